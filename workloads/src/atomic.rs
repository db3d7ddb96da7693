//! The atomics of the lock-free structures: those of the standard library, or loom's when loom explores interleavings.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(crate) use stepped::AtomicU64;

pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Lets another thread run: for waits that end with another thread's step.
pub(crate) fn yield_now() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::thread::yield_now();
}

/// loom 0.7 remembers one last access per atomic. A thread that loads and then stores sees its own load there and not
/// the load of another thread before, so loom misses that the two could be exchanged, and explores far too little. A
/// relaxed step on one common counter before every operation makes each of them a point where threads can change
/// places, and orders nothing else.
#[cfg(loom)]
mod stepped {
    use std::sync::atomic::Ordering;

    loom::lazy_static! {
        static ref STEP: loom::sync::atomic::AtomicU64 = loom::sync::atomic::AtomicU64::new(0);
    }

    fn step() {
        STEP.fetch_add(1, Ordering::Relaxed);
    }

    #[derive(Debug)]
    pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(loom::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            step();
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            step();
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            step();
            self.0.fetch_add(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            step();
            self.0.compare_exchange(current, new, success, failure)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            step();
            self.0.compare_exchange_weak(current, new, success, failure)
        }
    }
}
