//! Wire types of each probe, one file per stem.

pub mod futex;
pub mod mutex;
pub mod sched;
pub mod syscalls;
