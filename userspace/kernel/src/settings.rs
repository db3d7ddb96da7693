//! Constants that the BPF programs are loaded with.

use binary::btf::{Btf, BtfError};
use pulse_trace_common::probes::syscalls::{COMPAT_FUTEX, COMPAT_FUTEX_TIME64};

/// A constant's name in the object and its value.
pub type Setting = (&'static str, u32);

const TASK_FIELDS: [(&str, &str, &str); 12] = [
    ("TASK_FLAGS", "task_struct", "flags"),
    ("TASK_PAGEFAULT_DISABLED", "task_struct", "pagefault_disabled"),
    ("TASK_EXIT_CODE", "task_struct", "exit_code"),
    ("TASK_COMM", "task_struct", "comm"),
    ("TASK_GROUP_LEADER", "task_struct", "group_leader"),
    ("TASK_REAL_PARENT", "task_struct", "real_parent"),
    ("TASK_CHILDREN", "task_struct", "children"),
    ("TASK_SIBLING", "task_struct", "sibling"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("SIGNAL_LIVE", "signal_struct", "live"),
    ("SIGNAL_FLAGS", "signal_struct", "flags"),
    ("SIGNAL_GROUP_EXIT_CODE", "signal_struct", "group_exit_code"),
];

/// Offsets that the programs cannot do without.
///
/// # Errors
/// When the kernel lacks one of the fields.
pub fn offsets(btf: &Btf) -> Result<Vec<Setting>, BtfError> {
    let mut settings = vec![
        ("TASK_PID", btf.offset("task_struct", "pid")?),
        ("TASK_TGID", btf.offset("task_struct", "tgid")?),
        // Renamed in Linux 5.14.
        ("TASK_STATE", btf.offset("task_struct", "__state").or_else(|_| btf.offset("task_struct", "state"))?),
        ("TASK_JOBCTL", btf.offset("task_struct", "jobctl")?),
        ("TASK_PENDING", btf.offset("task_struct", "pending.signal")?),
    ];
    for (name, structure, field) in TASK_FIELDS {
        settings.push((name, btf.offset(structure, field)?));
    }
    settings.extend(machine(btf)?);
    settings.push(("MULTIPLEXERS", multiplexers()));
    Ok(settings)
}

/// Bits of the calls that are told apart by operation. Other calls may share a bit: most do not.
fn multiplexers() -> u32 {
    let native = [libc::SYS_futex, libc::SYS_fcntl, libc::SYS_epoll_ctl].map(|nr| nr as u32);
    let all = native.into_iter().chain([COMPAT_FUTEX, COMPAT_FUTEX_TIME64]);
    all.fold(0, |bits, call| bits | 1 << (call % u32::BITS))
}

/// x86-64: a bit in `thread_info.status` is set while a call of the 32-bit ABI runs, in 32-bit and
/// 64-bit programs alike.
#[cfg(target_arch = "x86_64")]
fn machine(btf: &Btf) -> Result<Vec<Setting>, BtfError> {
    const TS_COMPAT: u32 = 2;
    Ok(vec![
        ("IS_X86", 1),
        ("REGS_NR", btf.offset("pt_regs", "orig_ax")?),
        ("COMPAT_OFFSET", btf.offset("task_struct", "thread_info.status")?),
        ("COMPAT_MASK", TS_COMPAT),
        ("EXECVE", 59),
        ("EXECVEAT", 322),
        ("SIGRETURN", 15),
        ("FUTEX", libc::SYS_futex as u32),
        ("FCNTL", libc::SYS_fcntl as u32),
        ("EPOLL_CTL", libc::SYS_epoll_ctl as u32),
        ("REGS_SECOND_COMPAT", btf.offset("pt_regs", "cx")?),
        ("REGS_FIRST", btf.offset("pt_regs", "di")?),
        ("REGS_SECOND", btf.offset("pt_regs", "si")?),
        ("REGS_THIRD", btf.offset("pt_regs", "dx")?),
        ("REGS_FOURTH", btf.offset("pt_regs", "r10")?),
        ("REGS_IP", btf.offset("pt_regs", "ip")?),
        ("REGS_SP", btf.offset("pt_regs", "sp")?),
        ("REGS_BP", btf.offset("pt_regs", "bp")?),
    ])
}

/// aarch64: a flag of the thread tells that its program is a 32-bit one.
#[cfg(target_arch = "aarch64")]
fn machine(btf: &Btf) -> Result<Vec<Setting>, BtfError> {
    const TIF_32BIT: u32 = 1 << 22;
    let registers = btf.offset("pt_regs", "regs")?;
    Ok(vec![
        ("REGS_NR", btf.offset("pt_regs", "syscallno")?),
        ("COMPAT_OFFSET", btf.offset("task_struct", "thread_info.flags")?),
        ("COMPAT_MASK", TIF_32BIT),
        ("EXECVE", 221),
        ("EXECVEAT", 281),
        ("SIGRETURN", 139),
        ("FUTEX", libc::SYS_futex as u32),
        ("FCNTL", libc::SYS_fcntl as u32),
        ("EPOLL_CTL", libc::SYS_epoll_ctl as u32),
        ("REGS_SECOND_COMPAT", registers + 8),
        ("REGS_FIRST", registers),
        ("REGS_SECOND", registers + 8),
        ("REGS_THIRD", registers + 16),
        ("REGS_FOURTH", registers + 24),
        ("REGS_IP", btf.offset("pt_regs", "pc")?),
        ("REGS_SP", btf.offset("pt_regs", "sp")?),
        ("REGS_BP", registers + 29 * 8),
        ("REGS_LR", registers + 30 * 8),
    ])
}
