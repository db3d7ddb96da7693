//! Reads from kernel structures, whose offsets userspace took from the running kernel's BTF.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_attach_cookie, bpf_get_current_task, bpf_get_current_task_btf, bpf_get_smp_processor_id,
        bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_probe_read_kernel_str_bytes, bpf_probe_read_user,
        generated::{bpf_jiffies64, bpf_task_pt_regs},
    },
    programs::{BtfTracePointContext, ProbeContext},
};

use crate::{config, loss};
use pulse_trace_common::{loss::Slot, target::COMM_LEN};

/// The monotonic clock, ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: reads a clock.
    unsafe { bpf_ktime_get_ns() }
}

/// A number that each tick of the kernel changes, for a fraction of the cost of the clock.
#[inline(always)]
pub fn tick() -> u64 {
    // SAFETY: reads a number.
    unsafe { bpf_jiffies64() }
}

/// The CPU that runs this.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: reads a number.
    unsafe { bpf_get_smp_processor_id() }
}

/// The cookie that userspace attached to a probe. Linux 5.15 and newer.
#[inline(always)]
pub fn cookie(ctx: &ProbeContext) -> u64 {
    // SAFETY: the helper takes the context that the program was given.
    unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
}

/// A value in the running program's memory; `None` where that is not to be had.
#[inline(always)]
pub fn user<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails instead of faulting; the callers read plain integers.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// A task or another structure that a program attached through BTF was given: its fields are plain loads.
#[derive(Clone, Copy)]
pub struct Given(*const u8);

impl Given {
    /// The `n`th argument of a hook.
    #[inline(always)]
    pub fn argument(ctx: &BtfTracePointContext, n: usize) -> Self {
        Self(ctx.arg(n))
    }

    /// The running task. Linux 5.11 and newer.
    #[inline(always)]
    pub fn current_task() -> Self {
        // SAFETY: always available to programs attached through BTF.
        Self(unsafe { bpf_get_current_task_btf() }.cast::<u8>())
    }

    /// The registers with which the running task came into the kernel. Linux 5.15 and newer.
    #[inline(always)]
    pub fn registers() -> Self {
        // SAFETY: the helper takes the task that the other one returns.
        Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const u8)
    }

    /// The structure that a field points to.
    #[inline(always)]
    pub fn follow(self, offset: u32) -> Self {
        // SAFETY: as for `word`; the verifier knows what the field points to.
        Self(unsafe { self.0.add(offset as usize).cast::<*const u8>().read() })
    }

    /// A field of 32 bits.
    #[inline(always)]
    pub fn word(self, offset: u32) -> u32 {
        // SAFETY: the verifier checks the access against the kernel's types; the offset is a constant to it.
        unsafe { self.0.add(offset as usize).cast::<u32>().read() }
    }

    /// A field of 64 bits.
    #[inline(always)]
    pub fn double(self, offset: u32) -> u64 {
        // SAFETY: as for `word`.
        unsafe { self.0.add(offset as usize).cast::<u64>().read() }
    }
}

/// A kernel object.
#[derive(Clone, Copy)]
pub struct Object(u64);

impl Object {
    /// The object at an address that the kernel handed out.
    #[inline(always)]
    pub fn at(address: u64) -> Self {
        Self(address)
    }

    /// The running task.
    #[inline(always)]
    pub fn current_task() -> Self {
        // SAFETY: always available to tracing programs.
        Self(unsafe { bpf_get_current_task() })
    }

    /// The 32-bit field at an offset; 0 and a loss entry where it cannot be read.
    #[inline(always)]
    pub fn word(self, offset: u32) -> u32 {
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_kernel((self.0 + u64::from(offset)) as *const u32) }.unwrap_or_else(|_| {
            loss::count(Slot::KernelRead);
            0
        })
    }

    /// The 64-bit field at an offset, likewise.
    #[inline(always)]
    pub fn double(self, offset: u32) -> u64 {
        // SAFETY: as for `word`.
        unsafe { bpf_probe_read_kernel((self.0 + u64::from(offset)) as *const u64) }.unwrap_or_else(|_| {
            loss::count(Slot::KernelRead);
            0
        })
    }

    /// The name at an offset, likewise.
    #[inline(always)]
    pub fn name(self, offset: u32) -> [u8; COMM_LEN] {
        // SAFETY: as for `word`.
        unsafe { bpf_probe_read_kernel((self.0 + u64::from(offset)) as *const [u8; COMM_LEN]) }
            .unwrap_or_else(|_| {
                loss::count(Slot::KernelRead);
                [0; COMM_LEN]
            })
    }

    /// The object as a text that ends with a zero, cut to the length of a name.
    #[inline(always)]
    pub fn text(self) -> [u8; COMM_LEN] {
        let mut name = [0; COMM_LEN];
        // SAFETY: the helper checks the address and fails instead of faulting.
        if unsafe { bpf_probe_read_kernel_str_bytes(self.0 as *const u8, &mut name) }.is_err() {
            loss::count(Slot::KernelRead);
        }
        name
    }

    /// The field at an offset, as an object.
    #[inline(always)]
    pub fn field(self, offset: u32) -> Self {
        Self(self.0 + u64::from(offset))
    }

    /// The object of which this is the field at an offset.
    #[inline(always)]
    pub fn container(self, offset: u32) -> Self {
        Self(self.0.wrapping_sub(u64::from(offset)))
    }

    /// True if both are the same.
    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        self.0 == other.0
    }

    /// The object that the field at an offset points to.
    #[inline(always)]
    pub fn follow(self, offset: u32) -> Self {
        Self(self.double(offset))
    }
}

/// The name of the running task's process: that of its first thread, which may differ from the running thread's own.
#[inline(always)]
pub fn process_comm() -> [u8; COMM_LEN] {
    Object::current_task().follow(config::TASK_GROUP_LEADER()).name(config::TASK_COMM())
}
