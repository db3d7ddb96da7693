//! Counters of one process for its own use of a lock.

use super::Spins;

/// Private counters; which of them mean something is told by [`Knows`].
#[derive(Debug)]
pub struct Counters {
    /// Our thread id, for the owner field of a mutex.
    pub tid: u32,
    /// Longest spin of the restated loops.
    pub spin_limit: i32,
    /// Times the lock was taken.
    pub acquisitions: u64,
    /// Of these, not at the first attempt.
    pub contended: u64,
    /// Of these, not within the spin limit.
    pub gave_up: u64,
    /// Of these, not at the attempt after giving up either: the slow path was called.
    pub slow_calls: u64,
    /// `FUTEX_WAIT` system calls, with any result.
    pub futex_waits: u64,
    /// Of these, answered `EAGAIN`: the lock had changed on the way into the kernel.
    pub futex_waits_missed: u64,
    /// `FUTEX_WAKE` system calls.
    pub futex_wakes: u64,
    /// Of these, woke no thread.
    pub futex_wakes_in_vain: u64,
    /// `sched_yield` calls inside the lock.
    pub yields: u64,
    /// Times the previous owner had died.
    pub owner_deaths: u64,
    /// Distribution of the spin count of contended acquisitions.
    pub spins: Spins,
}

impl Counters {
    /// Zeros, for the calling thread.
    pub fn new(spin_limit: i32) -> Self {
        let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        Self {
            tid,
            spin_limit,
            acquisitions: 0,
            contended: 0,
            gave_up: 0,
            slow_calls: 0,
            futex_waits: 0,
            futex_waits_missed: 0,
            futex_wakes: 0,
            futex_wakes_in_vain: 0,
            yields: 0,
            owner_deaths: 0,
            spins: Spins::new(),
        }
    }
}

/// The counters that a kind of lock keeps. The C library's own locks tell little; that is what tracers are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knows {
    /// It keeps `contended`.
    pub contended: bool,
    /// `spins`, one value per contended acquisition.
    pub spins: bool,
    /// `gave_up`: it spins and has a limit.
    pub limit: bool,
    /// `slow_calls` and the futex counters.
    pub futex: bool,
}
