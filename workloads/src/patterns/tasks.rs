//! Tasks on a multi-threaded runtime, lined up before each lap: neither their spawning nor their joining is timed.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use super::crew::portions;
use super::lap::{Lap, Observed, Share};
use super::solo::multi_threaded;
use super::work::{AsyncWork, observe_async};
use super::{Run, Setup};
use crate::contract::{Refusal, cannot};

/// Tasks in teams, each of which does the whole of a lap's operations.
pub struct Tasks<W> {
    runtime: Runtime,
    works: Vec<W>,
    teams: Vec<usize>,
    racing: bool,
}

impl<W: AsyncWork> Tasks<W> {
    /// One team on a fresh runtime.
    pub fn new(setup: &Setup, works: Vec<W>) -> Result<Self, Refusal> {
        Self::teams(setup, vec![works])
    }

    /// Several teams on a fresh runtime.
    pub fn teams(setup: &Setup, teams: Vec<Vec<W>>) -> Result<Self, Refusal> {
        let sizes = teams.iter().map(Vec::len).collect();
        let works = teams.into_iter().flatten().collect();
        Ok(Self { runtime: multi_threaded(setup)?, works, teams: sizes, racing: false })
    }

    /// Lets the tasks race for operations instead of dividing them beforehand.
    pub fn racing(mut self) -> Self {
        self.racing = true;
        self
    }

    fn divide(&self, operations: u64) -> Vec<u64> {
        if self.racing {
            return vec![operations; self.works.len()];
        }
        self.teams.iter().flat_map(|&size| portions(operations, size)).collect()
    }

    /// Tasks of the team whose operations count; the other teams do them again from their side.
    fn leading(&self) -> usize {
        self.teams.first().copied().unwrap_or(0)
    }

    /// Gives each task its part and waits for all. `batch` is zero for a lap, else what is timed at once.
    fn carry_out(&mut self, operations: u64, batch: u64) -> Result<Vec<(Share, Observed)>, Refusal> {
        let parts = self.divide(operations);
        let line = Arc::new(Barrier::new(parts.len()));
        let works: Vec<W> = self.works.drain(..).collect();
        let tasks: Vec<_> = works
            .into_iter()
            .zip(parts)
            .map(|(work, part)| self.runtime.spawn(one(work, part, batch, Arc::clone(&line))))
            .collect();
        let mut seen = Vec::with_capacity(tasks.len());
        for task in tasks {
            let (work, share, observed) = self.runtime.block_on(task).map_err(|error| {
                cannot("finish a lap", format_args!("one of its tasks died: {error}"), "report it")
            })?;
            self.works.push(work);
            seen.push((share, observed));
        }
        Ok(seen)
    }
}

async fn one<W: AsyncWork>(
    mut work: W,
    operations: u64,
    batch: u64,
    line: Arc<Barrier>,
) -> (W, Share, Observed) {
    let mut seen = Observed::default();
    line.wait().await;
    let began = Instant::now();
    let done = if batch == 0 {
        work.run(operations).await
    } else {
        observe_async(&mut work, operations, batch, &mut seen).await;
        operations
    };
    (work, Share { operations: done, began, ended: Instant::now() }, seen)
}

impl<W: AsyncWork> Run for Tasks<W> {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let parts = self.carry_out(operations, 0)?;
        let leading = self.leading();
        Ok(Lap::of_teams(parts.into_iter().map(|(share, _)| share).collect(), leading))
    }

    fn observe(&mut self, operations: u64, batch: u64) -> Result<Option<Observed>, Refusal> {
        if self.racing {
            return Ok(None);
        }
        let mut all = Observed::default();
        let leading = self.leading();
        for (_, seen) in self.carry_out(operations, batch)?.into_iter().take(leading) {
            all.merge(&seen);
        }
        Ok(Some(all))
    }
}
