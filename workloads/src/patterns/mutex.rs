//! A mutex around a counter: alone, and between several threads.

use std::hint::black_box;
use std::sync::Arc;

use super::crew::Crew;
use super::lap::Observed;
use super::lock::Lock;
use super::solo::Solo;
use super::work::{BATCH, Work};
use super::{Built, Counted, Setup};

/// Data that the locks protect: a count, and something to do arithmetic on while holding the lock.
#[derive(Default)]
pub struct Ledger {
    pub count: u64,
    pub number: f64,
}

impl Ledger {
    #[inline]
    pub fn enter(&mut self, units: u32) {
        self.count += 1;
        self.number = arithmetic(self.number, units);
    }
}

/// Units of work that depend on each other, as in `parking_lot`'s own benchmark: one addition, one multiplication.
#[inline]
pub fn arithmetic(number: f64, units: u32) -> f64 {
    let mut number = number;
    for _ in 0..units {
        number = black_box((number + 1.0) * 1.01);
    }
    number
}

/// Locks and unlocks, with no other thread about.
pub fn uncontended<L: Lock<Ledger>>(_: &Setup, _: usize) -> Built {
    let lock = Arc::new(L::new(Ledger::default()));
    let mine = Arc::clone(&lock);
    let run = Solo::of(move || black_box(&mine).with(|ledger| ledger.count += 1));
    Ok(Box::new(Counted { run, count: move || lock.with(|ledger| ledger.count) }))
}

/// Several threads lock, count and unlock.
pub fn contended<L: Lock<Ledger>>(setup: &Setup, threads: usize) -> Built {
    let lock = Arc::new(L::new(Ledger::default()));
    let works = (0..threads)
        .map(|_| -> Box<dyn Work> {
            let lock = Arc::clone(&lock);
            Box::new(Fighter { lock, inside: setup.work_inside, between: setup.work_between, number: 0.0 })
        })
        .collect();
    let run = Crew::start(setup, works)?;
    Ok(Box::new(Counted { run, count: move || lock.with(|ledger| ledger.count) }))
}

struct Fighter<L> {
    lock: Arc<L>,
    inside: u32,
    between: u32,
    number: f64,
}

impl<L: Lock<Ledger>> Fighter<L> {
    #[inline]
    fn once(&mut self) {
        self.lock.with(|ledger| ledger.enter(self.inside));
        self.number = arithmetic(self.number, self.between);
    }

    /// Tries first, which is the only way to know from outside whether the lock was taken.
    fn once_told(&mut self) -> bool {
        let taken = self.lock.try_with(|ledger| ledger.enter(self.inside)).is_none();
        if taken {
            self.lock.with(|ledger| ledger.enter(self.inside));
        }
        self.number = arithmetic(self.number, self.between);
        taken
    }
}

impl<L: Lock<Ledger>> Work for Fighter<L> {
    fn run(&mut self, operations: u64) -> u64 {
        for _ in 0..operations / BATCH {
            for _ in 0..BATCH {
                self.once();
            }
        }
        for _ in 0..operations % BATCH {
            self.once();
        }
        operations
    }

    fn observe(&mut self, operations: u64, batch: u64, seen: &mut Observed) {
        let mut left = operations;
        while left > 0 {
            let now = left.min(batch);
            let began = std::time::Instant::now();
            for _ in 0..now {
                seen.count_contended(self.once_told());
            }
            seen.record(now, began.elapsed());
            left -= now;
        }
    }
}
