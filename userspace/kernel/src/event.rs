//! Opens perf events of the kernel, for counters and for probes.

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

/// The second published form of `perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) kind: u32,
    pub(super) size: u32,
    pub(super) config: u64,
    pub(super) sample_period: u64,
    pub(super) sample_type: u64,
    pub(super) read_format: u64,
    pub(super) flags: u64,
    pub(super) wakeup: u32,
    pub(super) breakpoint: u32,
    /// Argument that depends on the kind of event: for a uprobe, the address of the file's path.
    pub(super) address: u64,
    /// Offset in that file.
    pub(super) offset: u64,
}

/// `disabled` flag: the event begins when it is enabled.
pub(super) const DISABLED: u64 = 1;
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

impl Attributes {
    /// Opens an event of one thread, on all CPUs. The memory that `address` points to must stay valid during the call.
    pub(super) fn open(mut self, tid: u32) -> io::Result<OwnedFd> {
        self.size = size_of::<Self>() as u32;
        let (any_cpu, no_group) = (-1, -1);
        // SAFETY: the attributes, and what they point to, outlive the call and carry their size; the result is a new
        // descriptor or -1.
        owned(unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const self,
                tid.cast_signed(),
                any_cpu,
                no_group,
                CLOSE_ON_EXEC,
            )
        })
    }
}

/// Takes ownership of the descriptor that a system call returned.
pub(super) fn owned(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

const _: () = assert!(size_of::<Attributes>() == 72);
