//! The nanosecond patterns of Tokio, Crossbeam and parking_lot: *what* is done, apart from how it is measured.
//!
//! The `syncbench` program and the Criterion benches both measure the one list [`ALL`].

use crate::contract::{CpuList, Refusal};

mod atomic;
mod catalogue;
mod channel;
mod channel_tokio;
mod contest;
mod crew;
mod epoch;
mod herd;
mod lap;
mod lock;
mod lock_async;
mod migrate;
mod mutex;
mod rwlock;
mod sharing;
mod solo;
mod spawn;
mod spawn_many;
mod target;
mod tasks;
mod work;
mod yielding;

pub use catalogue::{ALL, Group, Pattern};
pub use lap::{Lap, Observed, Share, nanos};
pub use target::{TARGETS, Target};
pub use work::BATCH;

/// Worker threads of every multi-threaded runtime: fixed, so that results do not depend on the machine's CPUs.
pub const WORKERS: usize = 4;

/// Settings that the patterns leave open.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// CPUs to pin threads to, in turn; also the workers of runtimes.
    pub pin: Option<CpuList>,
    /// Units of arithmetic done while holding a lock, in `contention` and `fairness`.
    pub work_inside: u32,
    /// Units of arithmetic done between two acquisitions.
    pub work_between: u32,
}

impl Setup {
    /// Tries every CPU that is to be pinned to, in a thread that ends with the trial.
    ///
    /// # Errors
    ///
    /// A CPU does not exist or is not allowed.
    pub fn check(&self) -> Result<(), Refusal> {
        let Some(cpus) = &self.pin else { return Ok(()) };
        std::thread::scope(|scope| {
            let trial = scope.spawn(|| (0..cpus.len()).try_for_each(|nth| cpus.pin(nth)));
            trial.join().unwrap_or(Ok(()))
        })
    }
}

/// A pattern that is set up: threads started, runtime built, structures allocated.
pub trait Run {
    /// Does this many operations in all and tells how long they took.
    ///
    /// # Errors
    ///
    /// One of the parties died.
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal>;

    /// Does this many operations, timing each batch of `batch`; `None` where that cannot be done.
    ///
    /// # Errors
    ///
    /// One of the parties died.
    fn observe(&mut self, _operations: u64, _batch: u64) -> Result<Option<Observed>, Refusal> {
        Ok(None)
    }

    /// Operations that the exercised structure has counted since it was set up: it must equal those asked for.
    fn counted(&self) -> Option<u64> {
        None
    }
}

/// A pattern that was to be set up.
type Built = Result<Box<dyn Run>, Refusal>;

/// A crew, or another [`Run`], with an eye on the structure it exercises.
struct Counted<R, C> {
    run: R,
    count: C,
}

impl<R: Run, C: Fn() -> u64> Run for Counted<R, C> {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        self.run.lap(operations)
    }

    fn observe(&mut self, operations: u64, batch: u64) -> Result<Option<Observed>, Refusal> {
        self.run.observe(operations, batch)
    }

    fn counted(&self) -> Option<u64> {
        Some((self.count)())
    }
}

/// The loop around every operation, with none in it but the look at a value that the others have too.
#[must_use]
pub fn nothing() -> impl Run {
    let value = 42_u64;
    solo::Solo::of(move || {
        std::hint::black_box(&value);
    })
}
