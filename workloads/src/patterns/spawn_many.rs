//! Spawning a flood of tasks without awaiting each: from a worker, from outside, and as a chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::lap::Lap;
use super::solo::multi_threaded;
use super::{Built, Run, Setup};
use crate::contract::{Refusal, cannot};

/// Tasks in flight at once.
const FLOOD: u64 = 1_000;

type Done = oneshot::Receiver<()>;

/// Spawned tasks count down, and the last one tells.
struct Countdown {
    left: AtomicU64,
    done: Arc<AtomicU64>,
    last: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    fn from(tasks: u64, done: &Arc<AtomicU64>) -> (Arc<Self>, Done) {
        let (tell, told) = oneshot::channel();
        let left = AtomicU64::new(tasks);
        (Arc::new(Self { left, done: Arc::clone(done), last: std::sync::Mutex::new(Some(tell)) }), told)
    }

    fn one_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let tell = self.last.lock().ok().and_then(|mut last| last.take());
            // The receiver is gone only when the lap was given up.
            let _ = tell.map(|tell| tell.send(()));
        }
    }
}

#[derive(Clone, Copy)]
enum From {
    Worker,
    Outside,
    Each,
}

struct Flood {
    runtime: Runtime,
    from: From,
    done: Arc<AtomicU64>,
}

fn flood(tasks: u64, done: &Arc<AtomicU64>) -> Done {
    let (countdown, told) = Countdown::from(tasks, done);
    for _ in 0..tasks {
        let countdown = Arc::clone(&countdown);
        tokio::spawn(async move { countdown.one_done() });
    }
    told
}

fn chain(countdown: Arc<Countdown>, left: u64) {
    tokio::spawn(async move {
        if left > 1 {
            chain(Arc::clone(&countdown), left - 1);
        }
        countdown.one_done();
    });
}

impl Flood {
    async fn all(from: From, operations: u64, done: Arc<AtomicU64>) -> bool {
        let mut left = operations;
        while left > 0 {
            let tasks = left.min(FLOOD);
            let told = match from {
                From::Worker | From::Outside => flood(tasks, &done),
                From::Each => {
                    let (countdown, told) = Countdown::from(tasks, &done);
                    chain(countdown, tasks);
                    told
                }
            };
            if told.await.is_err() {
                return false;
            }
            left -= tasks;
        }
        true
    }
}

impl Run for Flood {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let all = Self::all(self.from, operations, Arc::clone(&self.done));
        let timed = async move {
            let began = Instant::now();
            all.await.then(|| Lap::alone(operations, began, Instant::now()))
        };
        let lap = match self.from {
            From::Worker | From::Each => self.runtime.block_on(self.runtime.spawn(timed)).ok().flatten(),
            From::Outside => self.runtime.block_on(timed),
        };
        lap.ok_or_else(|| cannot("finish a lap", "a spawned task was lost", "report it"))
    }

    fn counted(&self) -> Option<u64> {
        Some(self.done.load(Ordering::Relaxed))
    }
}

fn built(setup: &Setup, from: From) -> Built {
    Ok(Box::new(Flood { runtime: multi_threaded(setup)?, from, done: Arc::default() }))
}

/// A worker spawns them all.
pub fn local(setup: &Setup, _: usize) -> Built {
    built(setup, From::Worker)
}

/// The thread in `block_on` spawns them all.
pub fn remote(setup: &Setup, _: usize) -> Built {
    built(setup, From::Outside)
}

/// Each task spawns the next.
pub fn chained(setup: &Setup, _: usize) -> Built {
    built(setup, From::Each)
}
