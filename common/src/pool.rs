//! Histograms that are handed out on first use: who owns which.

/// Purposes of the pool's histograms; the upper byte of an owner's key.
pub mod purpose {
    /// A row's times from being woken to running.
    pub const WAKEUP_TO_RUN: u64 = 1;
    /// A row's times from being preempted to running again.
    pub const PREEMPTED_TO_RUN: u64 = 2;
    /// A row's stretches on a CPU.
    pub const ON_CPU: u64 = 3;
    /// A row's stretches off the CPU.
    pub const OFF_CPU: u64 = 4;
    /// The times from being woken to running of one pair of waker and woken.
    pub const EDGE: u64 = 5;
    /// The durations of one waiting operation on one futex.
    pub const FUTEX_WAIT: u64 = 6;
    /// Of those that slept: until they were woken.
    pub const FUTEX_BLOCKED: u64 = 7;
    /// Of those that slept: from then on until they ran.
    pub const FUTEX_RUN_QUEUE: u64 = 8;
    /// The running mean of the spin count of an adaptive mutex at the beginning of waits.
    pub const FUTEX_SPINS: u64 = 9;
    /// The spin counts of one contended lock.
    pub const MUTEX_SPINS: u64 = 10;
    /// The times that its spins took.
    pub const MUTEX_SPIN_TIME: u64 = 11;
    /// Time for which a mutex was held, ns.
    pub const MUTEX_HOLD: u64 = 12;
    /// Times of one kind of event in one row.
    pub const EVENT: u64 = 13;
}

/// The key under which a histogram is registered, so that two CPUs that want the same one get the same one.
#[inline(always)]
#[must_use]
pub const fn owner(purpose: u64, id: u32) -> u64 {
    purpose << 56 | id as u64
}
