//! Tokio's locks: awaited alone on the calling thread, and between tasks on workers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::{Mutex, RwLock};

use super::lap::{Lap, Share};
use super::mutex::{Ledger, arithmetic};
use super::rwlock::READS_PER_WRITE;
use super::solo::{Driven, multi_threaded, single_threaded};
use super::tasks::Tasks;
use super::work::AsyncWork;
use super::{Built, Counted, Run, Setup};
use crate::contract::Refusal;

struct Fighter {
    lock: Arc<Mutex<Ledger>>,
    inside: u32,
    between: u32,
    number: f64,
}

impl AsyncWork for Fighter {
    async fn once(&mut self) {
        self.lock.lock().await.enter(self.inside);
        self.number = arithmetic(self.number, self.between);
    }

    async fn once_told(&mut self) -> Option<bool> {
        let taken = match self.lock.try_lock() {
            Ok(mut ledger) => {
                ledger.enter(self.inside);
                false
            }
            Err(_) => {
                self.lock.lock().await.enter(self.inside);
                true
            }
        };
        self.number = arithmetic(self.number, self.between);
        Some(taken)
    }
}

fn fighter(setup: &Setup, lock: &Arc<Mutex<Ledger>>) -> Fighter {
    Fighter { lock: Arc::clone(lock), inside: setup.work_inside, between: setup.work_between, number: 0.0 }
}

/// Only called between laps, when no task holds the lock.
fn count(lock: &Mutex<Ledger>) -> u64 {
    lock.try_lock().map_or(0, |ledger| ledger.count)
}

/// Locks and unlocks, with no other task about.
pub fn mutex_uncontended(_: &Setup, _: usize) -> Built {
    let lock = Arc::new(Mutex::new(Ledger::default()));
    let run = Driven::new(single_threaded()?, fighter(&Setup::default(), &lock));
    Ok(Box::new(Counted { run, count: move || count(&lock) }))
}

/// Several tasks lock, count and unlock.
pub fn mutex_contended(setup: &Setup, tasks: usize) -> Built {
    let lock = Arc::new(Mutex::new(Ledger::default()));
    let run = Tasks::new(setup, (0..tasks).map(|_| fighter(setup, &lock)).collect())?;
    Ok(Box::new(Counted { run, count: move || count(&lock) }))
}

struct Reader(Arc<RwLock<u64>>);

impl AsyncWork for Reader {
    async fn once(&mut self) {
        black_box(*self.0.read().await);
    }
}

struct Writer(Arc<RwLock<u64>>);

impl AsyncWork for Writer {
    async fn once(&mut self) {
        *self.0.write().await += 1;
    }
}

/// Reads, with no other task about.
pub fn read_uncontended(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(single_threaded()?, Reader(Arc::new(RwLock::new(42))))))
}

/// Writes, with no other task about.
pub fn write_uncontended(_: &Setup, _: usize) -> Built {
    let lock = Arc::new(RwLock::new(0));
    let run = Driven::new(single_threaded()?, Writer(Arc::clone(&lock)));
    Ok(Box::new(Counted { run, count: move || lock.try_read().map_or(0, |value| *value) }))
}

/// Tasks that read only.
pub fn read_shared(setup: &Setup, tasks: usize) -> Built {
    let lock = Arc::new(RwLock::new(42));
    Ok(Box::new(Tasks::new(setup, (0..tasks).map(|_| Reader(Arc::clone(&lock))).collect())?))
}

struct Mixed {
    lock: Arc<RwLock<u64>>,
    turn: u64,
}

impl AsyncWork for Mixed {
    async fn once(&mut self) {
        self.turn += 1;
        if self.turn.is_multiple_of(READS_PER_WRITE) {
            *self.lock.write().await += 1;
        } else {
            black_box(*self.lock.read().await);
        }
    }
}

/// Tasks that write once in ten operations and read otherwise.
pub fn mixed(setup: &Setup, tasks: usize) -> Built {
    let lock = Arc::new(RwLock::new(0));
    let works = (0..tasks).map(|_| Mixed { lock: Arc::clone(&lock), turn: 0 }).collect();
    Ok(Box::new(Tasks::new(setup, works)?))
}

/// The published contended pattern: readers queue behind a held write lock. As published the write guard is never
/// dropped, so the readers would wait for ever; here it is dropped once they have queued, and an operation is one
/// reader's way through.
pub fn read_behind_writer(setup: &Setup, readers: usize) -> Built {
    Ok(Box::new(BehindWriter { runtime: multi_threaded(setup)?, lock: Arc::new(RwLock::new(42)), readers }))
}

struct BehindWriter {
    runtime: Runtime,
    lock: Arc<RwLock<u64>>,
    readers: usize,
}

async fn one_herd(lock: &RwLock<u64>, readers: usize) {
    let writer = lock.write().await;
    let mut queue: Vec<_> = (0..readers).map(|_| Box::pin(lock.read())).collect();
    // One poll puts each reader into the lock's queue; none can be ready while the writer holds it.
    std::future::poll_fn(|context| {
        for reader in &mut queue {
            let _ = reader.as_mut().poll(context);
        }
        std::task::Poll::Ready(())
    })
    .await;
    drop(writer);
    for reader in queue {
        black_box(*reader.await);
    }
}

impl Run for BehindWriter {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let (lock, most) = (Arc::clone(&self.lock), self.readers as u64);
        Ok(self.runtime.block_on(async move {
            let began = Instant::now();
            let mut left = operations;
            while left > 0 {
                let readers = left.min(most);
                one_herd(&lock, readers as usize).await;
                left -= readers;
            }
            Lap::of(vec![Share { operations, began, ended: Instant::now() }])
        }))
    }
}
