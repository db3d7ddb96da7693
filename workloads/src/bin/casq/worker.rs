//! A producer process, and what is the same for one that is a thread.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pulse_trace_workloads::contract::{self, CpuList, Refusal, cannot};
use pulse_trace_workloads::ring::{BlockingProducer, SharedRing};
use serde::{Deserialize, Serialize};

use crate::args::{Log, Queue};
use crate::board::Board;
use crate::case::Case;
use crate::produce::{Plan, Produced, Producer};
use crate::samples;

/// The job that the parent passes on, as JSON. Memory and log are descriptors of the parent, opened through `/proc`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub parent: u32,
    pub board: i32,
    pub ring: i32,
    pub common_log: Option<i32>,
    pub queue: Queue,
    pub producers: u32,
    pub log: Log,
    pub samples: Option<PathBuf>,
    pub round: u32,
    pub pin: Option<String>,
    pub plan: Plan,
}

impl Job {
    pub fn case(&self) -> Case {
        Case { queue: self.queue, producers: self.producers, log: self.log }
    }

    pub fn pin(&self) -> Result<(), Refusal> {
        let cpus = self.pin.as_ref().and_then(|list| list.parse::<CpuList>().ok());
        // The consumer is the first worker.
        cpus.map_or(Ok(()), |cpus| cpus.pin(self.plan.id as usize + 1))
    }

    pub fn sample_log<'a>(
        &self,
        board: &'a Board,
        common: Option<File>,
    ) -> Result<samples::SampleLog<'a>, Refusal> {
        let own = || samples::open(self.samples.as_deref(), &self.case(), self.round, Some(self.plan.id));
        samples::of_producer(&self.case(), board, self.plan.share, common, own)
    }
}

pub fn run(job: &str) -> Result<bool> {
    let job: Job = serde_json::from_str(job).context("cannot read the job: start casq without `worker`")?;
    contract::name_this_process("casq-producer");
    contract::tie_to_parent(job.parent);
    job.pin()?;
    let board = Board::attach(&inherited(job.parent, job.board, false)?)?;
    let ring = SharedRing::attach(&inherited(job.parent, job.ring, false)?)?;
    let common = job.common_log.map(|fd| inherited(job.parent, fd, true)).transpose()?;
    let log = job.sample_log(&board, common)?;
    let produced = produce_shared(&job, &ring, &board, log)?;
    contract::print(&produced)?;
    Ok(true)
}

/// The producer of any queue that lies in shared memory.
pub fn produce_shared(
    job: &Job,
    ring: &SharedRing,
    board: &Board,
    log: samples::SampleLog<'_>,
) -> Result<Produced> {
    let end = ring.producer(job.plan.id)?;
    if job.queue == Queue::Futex {
        Producer::new(BlockingProducer::new(end), &job.plan, board).run(log)
    } else {
        Producer::new(end, &job.plan, board).run(log)
    }
}

fn inherited(parent: u32, fd: i32, append: bool) -> Result<File, Refusal> {
    let path = format!("/proc/{parent}/fd/{fd}");
    let mut options = OpenOptions::new();
    let options = if append { options.append(true) } else { options.read(true).write(true) };
    options.open(&path).map_err(|error: io::Error| {
        cannot(format_args!("open {path}"), error, "let casq start its workers itself")
    })
}
