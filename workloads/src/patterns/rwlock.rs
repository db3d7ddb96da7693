//! Reader-writer locks of threads: alone, readers only, and readers with a writer among them.

use std::hint::black_box;
use std::sync::{Arc, PoisonError};

use super::crew::Crew;
use super::solo::Solo;
use super::work::each;
use super::{Built, Counted, Setup};

/// One write in so many operations of the mixed pattern.
pub const READS_PER_WRITE: u64 = 10;

/// A reader-writer lock around a counter.
pub trait Shared: Send + Sync + 'static {
    /// A free lock around zero.
    fn new() -> Self;
    /// Reads the counter.
    fn read(&self) -> u64;
    /// Adds one to the counter.
    fn write(&self);
}

/// The standard library's.
pub struct Std(std::sync::RwLock<u64>);

impl Shared for Std {
    fn new() -> Self {
        Self(std::sync::RwLock::new(0))
    }

    #[inline]
    fn read(&self) -> u64 {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn write(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) += 1;
    }
}

/// The reader-writer lock of `parking_lot`.
pub struct ParkingLot(parking_lot::RwLock<u64>);

impl Shared for ParkingLot {
    fn new() -> Self {
        Self(parking_lot::RwLock::new(0))
    }

    #[inline]
    fn read(&self) -> u64 {
        *self.0.read()
    }

    #[inline]
    fn write(&self) {
        *self.0.write() += 1;
    }
}

/// Reads, with no other thread about.
pub fn read_uncontended<L: Shared>(_: &Setup, _: usize) -> Built {
    let lock = L::new();
    Ok(Box::new(Solo::of(move || {
        black_box(black_box(&lock).read());
    })))
}

/// Writes, with no other thread about.
pub fn write_uncontended<L: Shared>(_: &Setup, _: usize) -> Built {
    let lock = Arc::new(L::new());
    let mine = Arc::clone(&lock);
    let run = Solo::of(move || black_box(&mine).write());
    Ok(Box::new(Counted { run, count: move || lock.read() }))
}

/// Threads that read only: no one waits, yet all write to the lock's word.
pub fn read_shared<L: Shared>(setup: &Setup, threads: usize) -> Built {
    let lock = Arc::new(L::new());
    let works = (0..threads)
        .map(|_| {
            let lock = Arc::clone(&lock);
            each(move || {
                black_box(lock.read());
            })
        })
        .collect();
    Ok(Box::new(Crew::start(setup, works)?))
}

/// Threads that write once in [`READS_PER_WRITE`] operations and read otherwise.
pub fn mixed<L: Shared>(setup: &Setup, threads: usize) -> Built {
    let lock = Arc::new(L::new());
    let works = (0..threads)
        .map(|_| {
            let lock = Arc::clone(&lock);
            let mut turn = 0;
            each(move || {
                turn += 1;
                if turn == READS_PER_WRITE {
                    turn = 0;
                    lock.write();
                } else {
                    black_box(lock.read());
                }
            })
        })
        .collect();
    Ok(Box::new(Crew::start(setup, works)?))
}
