//! Tasks that change their worker, and a runtime of its own for each task.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;

use super::lap::Lap;
use super::solo::multi_threaded;
use super::{Built, Counted, Run, Setup};
use crate::contract::{Refusal, cannot};

/// Tasks in a worker's queue at once; it holds 256.
const BURST: u64 = 128;
/// Runtimes of a lap: all are built before it, each with its threads.
pub const RUNTIMES: u64 = 8;

/// A worker fills its queue and stays busy: each task is stolen by another worker.
pub fn stolen(setup: &Setup, _: usize) -> Built {
    let moved = Arc::new(AtomicU64::new(0));
    let run = Stolen { runtime: multi_threaded(setup)?, moved: Arc::clone(&moved) };
    Ok(Box::new(Counted { run, count: move || moved.load(Ordering::Relaxed) }))
}

struct Stolen {
    runtime: Runtime,
    /// Tasks that ran on another thread than the one that spawned them.
    moved: Arc<AtomicU64>,
}

impl Run for Stolen {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let moved = Arc::clone(&self.moved);
        let task = self.runtime.spawn(async move {
            let began = Instant::now();
            let mut left = operations;
            while left > 0 {
                burst(left.min(BURST), &moved);
                left -= left.min(BURST);
            }
            Lap::alone(operations, began, Instant::now())
        });
        self.runtime
            .block_on(task)
            .map_err(|error| cannot("finish a lap", format_args!("its task died: {error}"), "report it"))
    }
}

/// Spawns tasks and keeps the worker until all have run elsewhere.
fn burst(tasks: u64, moved: &Arc<AtomicU64>) {
    let (home, done) = (std::thread::current().id(), Arc::new(AtomicU64::new(0)));
    for _ in 0..tasks {
        let (moved, done) = (Arc::clone(moved), Arc::clone(&done));
        tokio::spawn(async move {
            moved.fetch_add(u64::from(std::thread::current().id() != home), Ordering::Relaxed);
            done.fetch_add(1, Ordering::Release);
        });
    }
    // The last one spawned has a slot of its own from which tokio steals nothing: this one keeps it.
    drop(tokio::spawn(async {}));
    while done.load(Ordering::Acquire) < tasks {
        // Keeps the worker and lets go of the CPU, which the other workers may need.
        std::thread::yield_now();
    }
}

/// The published isolation: each operation is the first task of a runtime that is built before the lap and shut down
/// within it.
pub fn fresh_runtime(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(FreshRuntime { setup: setup.clone(), ran: 0 }))
}

struct FreshRuntime {
    setup: Setup,
    ran: u64,
}

impl Run for FreshRuntime {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let runtimes: Vec<Runtime> =
            (0..operations).map(|_| multi_threaded(&self.setup)).collect::<Result<_, _>>()?;
        let began = Instant::now();
        for runtime in runtimes {
            let task = runtime.spawn(async { 1 });
            self.ran += black_box(runtime.block_on(task).unwrap_or(0));
        }
        Ok(Lap::alone(operations, began, Instant::now()))
    }

    fn counted(&self) -> Option<u64> {
        Some(self.ran)
    }
}
