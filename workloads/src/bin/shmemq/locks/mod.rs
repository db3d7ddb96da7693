//! The locks. Each is a rule of behaviour over a piece of shared memory; what it counts stays private to the process,
//! because a shared counter would add the very contention it counts.

mod counters;
mod futex;
mod pthread;
mod restated;
mod spin;
mod spins;
mod ticket;

use std::io;

use pulse_trace_workloads::sys::queue_map::Shareable;

pub use counters::{Counters, Knows};
pub use futex::Futex;
pub use pthread::Pthread;
pub use restated::{Backoff, Linear, Restated};
pub use spin::Spin;
pub use spins::Spins;
pub use ticket::Ticket;

/// Pauses of a never-sleeping lock before it yields the CPU: on a machine with fewer CPUs than spinners the owner could
/// not go on otherwise.
const PAUSES_PER_YIELD: u64 = 1_024;

/// Reason for an operation that ended without its work done.
#[derive(Debug)]
pub enum Stop {
    /// A stop was asked for.
    Asked,
    /// The other side has made no progress for too long.
    Stalled,
    /// The lock cannot be taken any more.
    Lock(io::Error),
}

/// A lock that lives in shared memory.
pub trait Lock {
    /// The lock's own data in shared memory.
    type Memory: Shareable;

    /// The counters that it keeps.
    const KNOWS: Knows;

    /// Runs `section` while holding the lock.
    fn with<R>(
        memory: &Self::Memory,
        counters: &mut Counters,
        section: impl FnOnce() -> R,
    ) -> Result<R, Stop>;

    /// The running mean of the spin count that lies in the mutex, where the kind keeps one.
    fn running_mean(_memory: &Self::Memory) -> Option<i16> {
        None
    }
}

#[cfg(test)]
mod tests;
