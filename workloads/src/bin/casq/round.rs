//! One round of one case: start everybody, receive everything, collect what they say.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;

use anyhow::Result;
use pulse_trace_workloads::contract::{Handshake, Progress, Warmup, cannot, name_this_process};
use pulse_trace_workloads::ring::{BlockingConsumer, CrossbeamQueue, SharedRing};

use crate::args::{Log, Options, Queue};
use crate::board::{Board, Stage};
use crate::case::Case;
use crate::produce::{Plan, Produced, Producer};
use crate::receive::{Received, Receiver};
use crate::samples;
use crate::start::{Team, await_ready};
use crate::worker::{Job, produce_shared};
use pulse_trace_workloads::timer::Timer;

/// Messages each producer pushes before anything is measured, unless told otherwise.
const WARM_UP: u64 = 10_000;

/// Results of one round.
#[derive(Debug)]
pub struct Round {
    pub received: Received,
    /// By id; none for a producer that died.
    pub produced: Vec<Option<Produced>>,
    /// Messages each producer had published, as the shared memory says.
    pub sent: Vec<u64>,
}

/// Settings and handles that all rounds have in common.
pub struct Stand<'a> {
    pub options: &'a Options,
    pub timer: &'a Timer,
    pub handshake: &'a mut Handshake,
    pub meter: &'a mut Progress,
}

impl Stand<'_> {
    pub fn run(&mut self, case: &Case, round: u32) -> Result<Round> {
        let (board, board_file) = Board::create()?;
        let common = (case.log == Log::Mutex)
            .then(|| samples::open(self.options.samples.as_deref(), case, round, None))
            .transpose()?;
        let (ring, ring_file) = SharedRing::create(case.geometry(self.options), 0)?;
        let job = |id| Job {
            parent: std::process::id(),
            board: board_file.as_raw_fd(),
            ring: ring_file.as_raw_fd(),
            common_log: common.as_ref().map(AsRawFd::as_raw_fd),
            queue: case.queue,
            producers: case.producers,
            log: case.log,
            samples: self.options.samples.clone(),
            round,
            pin: self.options.common.pin.as_ref().map(ToString::to_string),
            plan: self.plan(case, id),
        };
        let jobs: Vec<Job> = (0..case.producers).map(job).collect();
        let (received, produced) = if case.in_threads(self.options) {
            self.with_threads(case, &jobs, &board, &ring, common.as_ref())?
        } else {
            self.with_processes(case, &jobs, &board, &ring)?
        };
        if let Some(mut file) = common {
            let flushed = board.flush_log(|words| samples::write_entries(&mut file, words));
            flushed.map_err(|error| {
                cannot("write the samples", error, "free some space, or use another --samples")
            })?;
        }
        let sent = (0..case.producers).map(|id| board.sent(id)).collect();
        Ok(Round { received, produced, sent })
    }

    fn plan(&self, case: &Case, id: u32) -> Plan {
        let (mut warmup_messages, mut warmup_time) = (WARM_UP, std::time::Duration::ZERO);
        match self.options.common.warmup {
            Some(Warmup::Operations(count)) => warmup_messages = count,
            Some(Warmup::Time(time)) => (warmup_messages, warmup_time) = (0, time),
            None => {}
        }
        let options = self.options;
        Plan {
            id,
            share: case.share(options, id),
            size: options.size as usize,
            batch: options.batch,
            interval: options.rate.map(|rate| 1e9 / rate as f64 / self.timer.ns_per_unit),
            pause: options.pause,
            warmup_messages,
            warmup_time,
            kill: options.kill == Some(id),
        }
    }

    fn with_processes(
        &mut self,
        case: &Case,
        jobs: &[Job],
        board: &Board,
        ring: &SharedRing,
    ) -> Result<(Received, Vec<Option<Produced>>)> {
        let team = Team::start(jobs)?;
        let received = self.receive_shared(case, board, ring, &|id| team.alive(id));
        if received.is_err() {
            board.set_stage(Stage::Stop);
        }
        Ok((received?, team.collect()?))
    }

    fn with_threads(
        &mut self,
        case: &Case,
        jobs: &[Job],
        board: &Board,
        ring: &SharedRing,
        common: Option<&File>,
    ) -> Result<(Received, Vec<Option<Produced>>)> {
        let crossbeam = CrossbeamQueue::new(case.geometry(self.options).usable() as usize);
        thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .iter()
                .map(|job| {
                    let end = crossbeam.producer(job.plan.id);
                    scope.spawn(move || -> Result<Produced> {
                        name_this_process("casq-producer");
                        job.pin()?;
                        let log = job.sample_log(board, common.map(File::try_clone).transpose()?)?;
                        if job.queue == Queue::Crossbeam {
                            Producer::new(end, &job.plan, board).run(log)
                        } else {
                            produce_shared(job, ring, board, log)
                        }
                    })
                })
                .collect();
            let alive = |id: u32| threads.get(id as usize).is_some_and(|thread| !thread.is_finished());
            let received = if case.queue == Queue::Crossbeam {
                self.receive(case, crossbeam.clone(), board, &alive)
            } else {
                self.receive_shared(case, board, ring, &alive)
            };
            if received.is_err() {
                board.set_stage(Stage::Stop);
            }
            let mut produced = Vec::new();
            for thread in threads {
                let joined = thread
                    .join()
                    .map_err(|_| cannot("run a producer", "its thread panicked", "report it"))?;
                produced.push(Some(joined?));
            }
            Ok((received?, produced))
        })
    }

    fn receive_shared(
        &mut self,
        case: &Case,
        board: &Board,
        ring: &SharedRing,
        alive: &dyn Fn(u32) -> bool,
    ) -> Result<Received> {
        if case.queue == Queue::Futex {
            self.receive(case, BlockingConsumer::new(ring.consumer()), board, alive)
        } else {
            self.receive(case, ring.consumer(), board, alive)
        }
    }

    fn receive(
        &mut self,
        case: &Case,
        consumer: impl pulse_trace_workloads::ring::Pop,
        board: &Board,
        alive: &dyn Fn(u32) -> bool,
    ) -> Result<Received> {
        let ready = await_ready(board, case.producers, alive, self.options.patience)?;
        let go = ready && self.handshake.ready_then_go()?;
        board.set_stage(if go { Stage::WarmUp } else { Stage::Stop });
        Receiver::new(consumer, board, self.options, alive, case.producers, self.meter).run()
    }
}
