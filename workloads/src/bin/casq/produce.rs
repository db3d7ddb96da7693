//! One producer: warm up together, then push a known number of messages and time every push.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{cannot, now_ns, stopping};
use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::ring::{Push, PushError};
use pulse_trace_workloads::sys::perf::{Counters, Counts};
use pulse_trace_workloads::sys::tsc;
use serde::{Deserialize, Serialize};

use crate::args::Pause;
use crate::board::{Board, Progress, Stage};
use crate::message;
use crate::pause::Waiting;
use crate::samples::{Sample, SampleLog};

/// The task of one producer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub id: u32,
    /// Messages that this producer pushes in the measured part.
    pub share: u64,
    pub size: usize,
    pub batch: u32,
    /// Units of the clock between two pushes; none means as fast as possible.
    pub interval: Option<f64>,
    pub pause: Pause,
    pub warmup_messages: u64,
    pub warmup_time: Duration,
    /// Dies inside a push, half-way.
    pub kill: bool,
}

/// Results of one producer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Produced {
    pub id: u32,
    pub warmup: u64,
    /// Messages of the measured part.
    pub measured: u64,
    /// Successful tries alone.
    pub service: LatencyHist,
    /// From the moment each was due.
    pub push: LatencyHist,
    /// Pushes that had to wait for room, and tries that found none.
    pub waited: u64,
    pub full: u64,
    /// Units of the clock between intent and the successful try, over all pushes.
    pub wait: u64,
    /// Times that came out negative because the clock differs between CPUs; in no histogram.
    pub backwards: u64,
    pub start_ns: u64,
    pub end_ns: u64,
    /// When its samples were written, too.
    pub written_ns: u64,
    pub counts: Counts,
}

/// The times of one push.
struct Times {
    due: u64,
    attempt: u64,
    end: u64,
}

pub struct Producer<'a, P> {
    push: P,
    plan: &'a Plan,
    board: &'a Board,
    sequence: u64,
    buffer: Vec<u8>,
    waiting: Waiting,
    full: u64,
}

impl<'a, P: Push> Producer<'a, P> {
    pub fn new(push: P, plan: &'a Plan, board: &'a Board) -> Self {
        let buffer = vec![0; plan.size * plan.batch as usize];
        Self { push, plan, board, sequence: 0, buffer, waiting: Waiting::new(plan.pause), full: 0 }
    }

    pub fn run(mut self, mut log: SampleLog<'_>) -> Result<Produced> {
        let outcome = self.work(&mut log);
        // First of all: the consumer must not wait for a producer that has stopped.
        self.board.set_progress(self.plan.id, Progress::Finished);
        let (mut produced, counters) = outcome?;
        log.finish(self.plan.id).map_err(log_failed)?;
        // With the writing at the end: deferring it does not make it free.
        (produced.written_ns, produced.counts) = (now_ns(), counters.read());
        Ok(produced)
    }

    fn work(&mut self, log: &mut SampleLog<'_>) -> Result<(Produced, Counters)> {
        self.board.set_progress(self.plan.id, Progress::Ready);
        self.board.await_stage(Stage::WarmUp, stopping);
        self.warm_up()?;
        let warmup = self.sequence;
        self.full = 0;
        self.board.set_progress(self.plan.id, Progress::Warm);
        self.board.await_stage(Stage::Measure, stopping);
        let counters = Counters::start();
        let mut produced = Produced {
            id: self.plan.id,
            warmup,
            measured: 0,
            service: LatencyHist::new(),
            push: LatencyHist::new(),
            waited: 0,
            full: 0,
            wait: 0,
            backwards: 0,
            start_ns: now_ns(),
            end_ns: 0,
            written_ns: 0,
            counts: Counts::default(),
        };
        self.measure(&mut produced, log)?;
        produced.end_ns = now_ns();
        produced.measured = self.sequence - warmup;
        produced.full = self.full;
        Ok((produced, counters))
    }

    fn stopped(&self) -> bool {
        stopping() || self.board.stage() == Stage::Stop
    }

    fn warm_up(&mut self) -> Result<()> {
        let until = Instant::now() + self.plan.warmup_time;
        while (self.sequence < self.plan.warmup_messages || Instant::now() < until) && !self.stopped() {
            self.push_once(None)?;
        }
        Ok(())
    }

    fn measure(&mut self, produced: &mut Produced, log: &mut SampleLog<'_>) -> Result<()> {
        let (first, start) = (self.sequence, tsc::begin());
        let mut pushes = 0u64;
        while self.sequence - first < self.plan.share && !self.stopped() {
            if self.plan.kill && self.sequence - first >= self.plan.share / 2 {
                self.die();
            }
            let due = self.plan.interval.map(|interval| start + (pushes as f64 * interval) as u64);
            pushes += 1;
            if let Some(due) = due {
                self.await_clock(due);
            }
            let full = self.full;
            let Some(times) = self.push_once(due)? else { break };
            produced.waited += u64::from(self.full > full);
            let service = times.end.checked_sub(times.attempt);
            let push = times.end.checked_sub(times.due);
            let Some((service, push)) = service.zip(push) else {
                produced.backwards += 1;
                continue;
            };
            produced.service.record(service);
            produced.push.record(push);
            produced.wait += times.attempt.saturating_sub(times.due);
            log.record(self.plan.id, Sample { sequence: self.sequence - 1, service, push })
                .map_err(log_failed)?;
        }
        Ok(())
    }

    /// Pushes one batch however long it takes; none when it was stopped before there was room.
    #[inline]
    fn push_once(&mut self, due: Option<u64>) -> Result<Option<Times>> {
        let batch = u64::from(self.plan.batch);
        for (message, sequence) in self.buffer.chunks_exact_mut(self.plan.size).zip(self.sequence..) {
            message::compose(message, sequence);
        }
        let begin = tsc::begin();
        let mut attempt = begin;
        loop {
            match self.push.try_push_batch(&self.buffer, self.plan.size) {
                Ok(()) => break,
                Err(PushError::Full) => {
                    self.full += 1;
                    if self.stopped() {
                        return Ok(None);
                    }
                    self.wait_for_room();
                    attempt = tsc::begin();
                }
                Err(error) => Err(cannot("push a message", error, "start the run anew"))?,
            }
        }
        let end = tsc::end();
        self.waiting.over();
        self.sequence += batch;
        self.board.set_sent(self.plan.id, self.sequence);
        // Without a rate a push is due when the producer comes to it: its waiting belongs to it.
        Ok(Some(Times { due: due.unwrap_or(begin), attempt, end }))
    }

    fn wait_for_room(&mut self) {
        if !self.push.wait_for_room(Duration::from_millis(20)) {
            self.waiting.pause();
        }
    }

    /// Sleeps or yields until the clock says so. Being late is not hidden: the push is timed from when it was due.
    fn await_clock(&mut self, due: u64) {
        while tsc::begin() < due && !self.stopped() {
            let far = due.saturating_sub(tsc::begin()) as f64 > self.plan.interval.unwrap_or(0.0) * 2.0;
            if far { thread::sleep(Duration::from_micros(50)) } else { thread::yield_now() }
        }
    }

    /// `--kill`: leaves a push half-done and dies as if from outside.
    fn die(&mut self) {
        while self.push.abandon() == Err(PushError::Full) {
            self.wait_for_room();
        }
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

fn log_failed(error: std::io::Error) -> pulse_trace_workloads::contract::Refusal {
    cannot("log a sample", error, "free some space, or use another --samples or --log none")
}
