//! Targets: the thread table and the rows that calls are accounted to.
//!
//! Ids are indices into arrays; 0 always means "none", so a zeroed map is an empty map.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Length of a task's name in the kernel.
pub const COMM_LEN: usize = 16;

/// Thread ids per value of the table that leads from ids to seats.
pub const TIDS_PER_BLOCK: usize = 1024;

/// Seat of a thread that is a target but found no room: its calls are counted as lost.
pub const UNTRACKED: u32 = u32::MAX;

/// State of a followed thread. One cache line: only its own thread writes to it, on any CPU that it runs on.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Thread {
    /// Beginning of the call in flight (`CLOCK_MONOTONIC`, ns).
    pub entered_ns: u64,
    /// The call in flight as its index in the row's directory plus one; 0 outside of calls.
    pub call: u32,
    /// One of the [`phase`] constants.
    pub phase: u32,
    /// The row that its calls are accounted to.
    pub row: u32,
    /// The row of its process; the same as `row` unless threads have rows of their own.
    pub process: u32,
    /// Thread id in the initial PID namespace; 0 marks a free slot.
    pub tid: u32,
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// Bits of [`thread_flag`].
    pub flags: u16,
    /// The index that the call in flight is counted under: its own, or that of its operation.
    pub counted: u16,
    /// The seat itself, so that other tables by seat are found.
    pub seat: u32,
    /// Time in system calls that ended; wraps.
    pub in_calls_ns: u64,
    /// Time blocked in the call in flight, ns.
    pub blocked_ns: u64,
    /// Time spent waiting for a CPU in the call in flight, ns.
    pub queued_ns: u64,
}

/// Bits of [`Thread::flags`].
pub mod thread_flag {
    /// Only this thread was asked for: those that it creates are none of our business.
    pub const ALONE: u16 = 1;
}

/// Stages of a session.
pub mod stage {
    /// Its hooks are being put in: nothing counts.
    pub const BEFORE: u64 = 0;
    /// It runs and counts.
    pub const OPEN: u64 = 1;
    /// Its hooks are being let go; those on the beginnings of calls first.
    pub const CLOSING: u64 = 2;
    /// It has ended.
    pub const OVER: u64 = 3;
}

/// Phases of a followed thread.
pub mod phase {
    /// Followed since the session began: it may be inside a call whose beginning was not seen.
    pub const FRESH: u32 = 0;
    /// Born under our eyes: the end of its parent's `clone` comes first and is not its own.
    pub const BORN: u32 = 1;
    /// At least one call was seen to begin.
    pub const SEEN: u32 = 2;
    /// A command held before its `exec`: nothing but that call counts.
    pub const HELD: u32 = 3;
    /// Followed since the session began, and out of the call that it was in.
    pub const LEFT: u32 = 4;
}

/// The entity that calls are accounted to: a process, or a thread where threads are told apart.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Row {
    /// Time at which it joined the session, ns.
    pub joined_ns: u64,
    /// Time at which its last thread died, ns; 0 while it lives.
    pub exited_ns: u64,
    /// Process id; 0 marks a free row.
    pub tgid: u32,
    /// Thread id where the row is a thread's, otherwise 0.
    pub tid: u32,
    /// The process that forked it, where that was seen.
    pub parent: u32,
    /// Threads that were born or found minus those that died.
    pub live: u32,
    /// Threads that were ever followed.
    pub threads: u32,
    /// Status as `wait` reports it; valid once `exited_ns` is set.
    pub exit_status: u32,
    /// Times that it replaced its program.
    pub execs: u32,
    /// One of the [`row_flag`] bits.
    pub flags: u32,
    /// Name, as the kernel has it.
    pub comm: [u8; COMM_LEN],
}

/// Bits of [`Row::flags`].
pub mod row_flag {
    /// The exit status could not be read on this kernel.
    pub const STATUS_UNKNOWN: u32 = 1;
    /// A thread that was not the first has replaced the program, and is the first since.
    pub const MOVED: u32 = 2;
    /// Only single threads of the process are targets: what it forks is not.
    pub const ALONE: u32 = 4;
    /// The row of all processes that found none of their own.
    pub const OTHERS: u32 = 8;
}

/// Sent through the ring when a row is finished, so that userspace can harvest and reuse it at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Finished {
    /// Index of the row.
    pub row: u32,
    /// Process id of the row.
    pub tgid: u32,
}

const _: () = assert!(size_of::<Thread>() == 64 && size_of::<Row>() == 64 && size_of::<Finished>() == 8);
