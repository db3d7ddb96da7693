//! Atomic operations: alone, and on one word shared by several threads.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;

use super::crew::Crew;
use super::lap::Lap;
use super::solo::Solo;
use super::work::each;
use super::{Built, Counted, Run, Setup};
use crate::contract::Refusal;

pub fn load(_: &Setup, _: usize) -> Built {
    let value = AtomicU64::new(42);
    Ok(Box::new(Solo::of(move || {
        black_box(black_box(&value).load(Ordering::Relaxed));
    })))
}

pub fn store(_: &Setup, _: usize) -> Built {
    let value = AtomicU64::new(0);
    Ok(Box::new(Solo::of(move || black_box(&value).store(black_box(42), Ordering::Relaxed))))
}

pub fn store_seqcst(_: &Setup, _: usize) -> Built {
    let value = AtomicU64::new(0);
    Ok(Box::new(Solo::of(move || black_box(&value).store(black_box(42), Ordering::SeqCst))))
}

pub fn fetch_add(_: &Setup, _: usize) -> Built {
    let value = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&value);
    let run = Solo::of(move || {
        black_box(black_box(&counter).fetch_add(1, Ordering::Relaxed));
    });
    Ok(Box::new(Counted { run, count: move || value.load(Ordering::Relaxed) }))
}

pub fn compare_exchange(_: &Setup, _: usize) -> Built {
    swapping(|word, old| word.compare_exchange(old, old + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok())
}

pub fn compare_exchange_seqcst(_: &Setup, _: usize) -> Built {
    swapping(|word, old| word.compare_exchange(old, old + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok())
}

fn swapping(swap: impl Fn(&AtomicU64, u64) -> bool + Send + 'static) -> Built {
    let value = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&value);
    let mut expected = 0;
    // The only writer succeeds each time; were it not to, the count would tell.
    let run = Solo::of(move || expected += u64::from(swap(black_box(&counter), expected)));
    Ok(Box::new(Counted { run, count: move || value.load(Ordering::Relaxed) }))
}

pub fn cell_fetch_add(_: &Setup, _: usize) -> Built {
    let value = Arc::new(AtomicCell::new(0u64));
    let counter = Arc::clone(&value);
    let run = Solo::of(move || {
        black_box(black_box(&counter).fetch_add(1));
    });
    Ok(Box::new(Counted { run, count: move || value.load() }))
}

/// All threads add to one word.
pub fn shared_fetch_add(setup: &Setup, threads: usize) -> Built {
    let value = Arc::new(AtomicU64::new(0));
    let works = (0..threads)
        .map(|_| {
            let value = Arc::clone(&value);
            each(move || {
                black_box(value.fetch_add(1, Ordering::Relaxed));
            })
        })
        .collect();
    let run = Crew::start(setup, works)?;
    Ok(Box::new(Counted { run, count: move || value.load(Ordering::Relaxed) }))
}

/// The published way to measure contention: threads are started and joined inside the timed part, and do
/// [`FEW`] operations each. Kept to show what that measures.
pub fn spawned_inside(_: &Setup, threads: usize) -> Built {
    Ok(Box::new(SpawnedInside { threads, value: AtomicU64::new(0) }))
}

/// Operations of a thread in the published sketch.
const FEW: u64 = 100;

struct SpawnedInside {
    threads: usize,
    value: AtomicU64,
}

impl Run for SpawnedInside {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let (value, threads) = (&self.value, self.threads);
        let crowds = operations.div_ceil(FEW * threads as u64);
        let began = Instant::now();
        for _ in 0..crowds {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        (0..FEW).for_each(|_| _ = black_box(value.fetch_add(1, Ordering::Relaxed)))
                    });
                }
            });
        }
        Ok(Lap::alone(crowds * FEW * threads as u64, began, Instant::now()))
    }

    fn counted(&self) -> Option<u64> {
        Some(self.value.load(Ordering::Relaxed))
    }
}

/// All threads add to one word by a compare-and-swap loop: what a lock-free structure does when it must.
pub fn shared_cas_loop(setup: &Setup, threads: usize) -> Built {
    let value = Arc::new(AtomicU64::new(0));
    let works = (0..threads)
        .map(|_| {
            let value = Arc::clone(&value);
            each(move || {
                let mut seen = value.load(Ordering::Relaxed);
                while let Err(now) =
                    value.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed)
                {
                    seen = now;
                }
            })
        })
        .collect();
    let run = Crew::start(setup, works)?;
    Ok(Box::new(Counted { run, count: move || value.load(Ordering::Relaxed) }))
}
