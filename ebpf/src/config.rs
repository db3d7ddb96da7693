//! Settings that userspace makes at load. The kernel freezes these, so the verifier removes what is switched off.

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $value:expr;)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        #[expect(non_snake_case, reason = "named as the constant that userspace sets")]
        pub fn $name() -> $kind {
            #[unsafe(no_mangle)]
            static $name: $kind = $value;
            // SAFETY: a valid static; volatile, because userspace changes it after compilation.
            unsafe { core::ptr::read_volatile(&raw const $name) }
        }
    )* };
}

settings! {
    /// CPUs that there can be.
    CPUS: u32 = 1;
    /// Cells up to this one have a histogram of the same number.
    CELL_HISTOGRAMS: u32 = 0;
    /// Lanes of a histogram minus one; lanes are a power of two.
    LANE_MASK: u32 = 0;
    /// Processes forked by a target are targets.
    FOLLOW_CHILDREN: u32 = 0;
    /// Every process is a target but the tool.
    EVERYBODY: u32 = 0;
    /// The row of processes that find none of their own; 0 where there is none.
    OTHERS: u32 = 0;
    /// Threads have rows of their own.
    PER_THREAD: u32 = 0;
    /// The tool itself.
    OWN_TGID: u32 = 0;
    /// Process that reads files for the tool in a system-wide session.
    READER_TGID: u32 = 0;
    /// The machine is x86-64: its kernel takes i386 and x32 calls too.
    IS_X86: u32 = 0;
    /// Number of `execve`, one of three calls that need care.
    EXECVE: u32 = 0;
    /// Number of `execveat`.
    EXECVEAT: u32 = 0;
    /// Number of `sigreturn`: it returns what its caller had in the register, which is never an error.
    SIGRETURN: u32 = 0;
    /// Offset in `task_struct` of the word that says which ABI the running call uses; 0 where the kernel has no other.
    COMPAT_OFFSET: u32 = 0;
    /// Bits of that word that mean a 32-bit call.
    COMPAT_MASK: u32 = 0;
    /// Offset in `pt_regs` of the number of the running call.
    REGS_NR: u32 = 0;
    /// Nonzero if all calls are counted and timed. If 0, the hooks of calls are for futexes alone.
    PROBE_SYSCALLS: u32 = 0;
    /// Nonzero if futexes are looked at.
    PROBE_FUTEX: u32 = 0;
    /// Nonzero if targets have probes in their own code, which userspace puts into new ones.
    PROBE_MUTEX: u32 = 0;
    /// Number of `futex`, a call whose second argument is an operation.
    FUTEX: u32 = 0;
    /// Number of `fcntl`, another such call.
    FCNTL: u32 = 0;
    /// Number of `epoll_ctl`, another such call.
    EPOLL_CTL: u32 = 0;
    /// The bit of each of them, by the remainder of its index; those of the 32-bit ABI included.
    MULTIPLEXERS: u32 = 0;
    /// Offset in `pt_regs` of the first argument of a call.
    REGS_FIRST: u32 = 0;
    /// Offset in `pt_regs` of the second argument.
    REGS_SECOND: u32 = 0;
    /// The second argument of a call of the 32-bit ABI.
    REGS_SECOND_COMPAT: u32 = 0;
    /// Offset in `pt_regs` of the third argument.
    REGS_THIRD: u32 = 0;
    /// Offset in `pt_regs` of the fourth argument.
    REGS_FOURTH: u32 = 0;
    /// Nonzero if stacks are taken.
    TAKE_STACKS: u32 = 0;
    /// Offset in `pt_regs` of the instruction pointer. Stacks are followed from this register and the next three.
    REGS_IP: u32 = 0;
    /// Offset in `pt_regs` of the stack pointer.
    REGS_SP: u32 = 0;
    /// Offset in `pt_regs` of the frame pointer.
    REGS_BP: u32 = 0;
    /// Offset in `pt_regs` of the link register.
    REGS_LR: u32 = 0;
    /// Offset of `task_struct.pid`.
    TASK_PID: u32 = 0;
    /// Offset of `task_struct.tgid`.
    TASK_TGID: u32 = 0;
    /// Offset of `task_struct.__state`, before Linux 5.14 of `task_struct.state`.
    TASK_STATE: u32 = 0;
    /// Offset of `task_struct.jobctl`.
    TASK_JOBCTL: u32 = 0;
    /// Offset of `task_struct.pending.signal`, the signals for the thread alone.
    TASK_PENDING: u32 = 0;
    /// Offset of `task_struct.exit_code`.
    TASK_EXIT_CODE: u32 = 0;
    /// Offset of `task_struct.flags`.
    TASK_FLAGS: u32 = 0;
    /// Offset of `task_struct.pagefault_disabled`.
    TASK_PAGEFAULT_DISABLED: u32 = 0;
    /// Offset of `task_struct.comm`.
    TASK_COMM: u32 = 0;
    /// Offset of `task_struct.group_leader`.
    TASK_GROUP_LEADER: u32 = 0;
    /// Offset of `task_struct.real_parent`.
    TASK_REAL_PARENT: u32 = 0;
    /// Offset of `task_struct.children`.
    TASK_CHILDREN: u32 = 0;
    /// Offset of `task_struct.sibling`.
    TASK_SIBLING: u32 = 0;
    /// Offset of `task_struct.signal`.
    TASK_SIGNAL: u32 = 0;
    /// Offset of `signal_struct.live`.
    SIGNAL_LIVE: u32 = 0;
    /// Offset of `signal_struct.flags`.
    SIGNAL_FLAGS: u32 = 0;
    /// Offset of `signal_struct.group_exit_code`.
    SIGNAL_GROUP_EXIT_CODE: u32 = 0;
}
