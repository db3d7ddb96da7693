//! Wire types of each probe, one file per stem.

pub mod faults;
pub mod futex;
pub mod mmaplock;
pub mod mutex;
pub mod sched;
pub mod syscalls;

/// Kinds of events of all probes that count events, one range after the other.
pub const EVENT_KINDS: u32 = mmaplock::FIRST + mmaplock::KINDS;
