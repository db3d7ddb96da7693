//! One party: the calling thread, or one future that the calling thread drives.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;

use super::lap::{Lap, Observed};
use super::work::{AsyncWork, Work, each, observe_async};
use super::{Run, Setup};
use crate::contract::{Refusal, cannot};

/// Work done by the calling thread.
pub struct Solo(Box<dyn Work>);

impl Solo {
    /// A closure that is one operation.
    pub fn of(operation: impl FnMut() + Send + 'static) -> Self {
        Self(each(operation))
    }

    /// Work with a loop of its own.
    pub fn work(work: impl Work + 'static) -> Self {
        Self(Box::new(work))
    }
}

impl Run for Solo {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let began = Instant::now();
        let done = self.0.run(operations);
        Ok(Lap::alone(done, began, Instant::now()))
    }

    fn observe(&mut self, operations: u64, batch: u64) -> Result<Option<Observed>, Refusal> {
        let mut seen = Observed::default();
        self.0.observe(operations, batch, &mut seen);
        Ok(Some(seen))
    }
}

/// Work awaited by the calling thread inside `block_on`, which is not a worker of the runtime.
pub struct Driven<W> {
    runtime: Runtime,
    work: W,
}

impl<W: AsyncWork> Driven<W> {
    /// Work on a runtime of its own.
    pub fn new(runtime: Runtime, work: W) -> Self {
        Self { runtime, work }
    }
}

impl<W: AsyncWork> Run for Driven<W> {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let work = &mut self.work;
        Ok(self.runtime.block_on(async {
            let began = Instant::now();
            let done = work.run(operations).await;
            Lap::alone(done, began, Instant::now())
        }))
    }

    fn observe(&mut self, operations: u64, batch: u64) -> Result<Option<Observed>, Refusal> {
        let work = &mut self.work;
        let mut seen = Observed::default();
        self.runtime.block_on(observe_async(work, operations, batch, &mut seen));
        Ok(Some(seen))
    }
}

/// A runtime whose only thread is the calling one.
pub fn single_threaded() -> Result<Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread().build().map_err(|error| no_runtime(&error))
}

/// A fresh runtime with the fixed number of workers, pinned in turn where pinning is asked for.
pub fn multi_threaded(setup: &Setup) -> Result<Runtime, Refusal> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(super::WORKERS).thread_name("worker");
    if let Some(cpus) = setup.pin.clone() {
        let next = AtomicUsize::new(0);
        builder.on_thread_start(move || {
            // `Setup::check` has tried every CPU: this can only fail if the process was moved since.
            let _ = cpus.pin(next.fetch_add(1, Ordering::Relaxed));
        });
    }
    builder.build().map_err(|error| no_runtime(&error))
}

fn no_runtime(error: &std::io::Error) -> Refusal {
    cannot("build a tokio runtime", error, "raise the limits `ulimit -u` and `ulimit -n`")
}
