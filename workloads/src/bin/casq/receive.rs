//! The consumer: takes everything, books it, moves the producers on, and finds out when one of them is dead.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{Progress as Meter, cannot, stopping};
use pulse_trace_workloads::ring::{Pop, Popped, Stall};
use pulse_trace_workloads::sys::perf::{Counters, Counts};

use crate::args::Options;
use crate::board::{Board, Progress, Stage};
use crate::ledger::Ledger;
use crate::message;
use crate::pause::Waiting;

/// Time after which the consumer looks up from the queue.
const LOOK: Duration = Duration::from_millis(1);
/// Most bytes, or messages, that it receives before it looks at the clock, for it may never be idle.
const LOOK_BYTES: u64 = 1 << 20;
const LOOK_MESSAGES: u64 = 4096;

/// Results of the consumer.
#[derive(Debug)]
pub struct Received {
    pub ledgers: Vec<Ledger>,
    /// Slots given up because their producer died inside a push.
    pub given_up: u64,
    /// The producers it can have been.
    pub suspects: Vec<u32>,
    pub locks_recovered: u64,
    pub counts: Counts,
}

pub struct Receiver<'a, C> {
    pub consumer: C,
    pub board: &'a Board,
    pub options: &'a Options,
    /// Reports whether producer `id` still runs.
    pub alive: &'a dyn Fn(u32) -> bool,
    pub received: Received,
    pub meter: &'a mut Meter,
    pub expected: u64,
    counters: Option<Counters>,
    looked: Instant,
    moved: Instant,
    total: u64,
    told: bool,
}

impl<'a, C: Pop> Receiver<'a, C> {
    pub fn new(
        consumer: C,
        board: &'a Board,
        options: &'a Options,
        alive: &'a dyn Fn(u32) -> bool,
        producers: u32,
        meter: &'a mut Meter,
    ) -> Self {
        let ledgers = (0..producers).map(|_| Ledger::default()).collect();
        let received = Received {
            ledgers,
            given_up: 0,
            suspects: Vec::new(),
            locks_recovered: 0,
            counts: Counts::default(),
        };
        let now = Instant::now();
        let (counters, expected, total, told) = (None, options.pushes, 0, false);
        Self {
            consumer,
            board,
            options,
            alive,
            received,
            meter,
            expected,
            counters,
            looked: now,
            moved: now,
            total,
            told,
        }
    }

    /// Receives until every producer has finished or died, and nothing is left.
    pub fn run(mut self) -> Result<Received> {
        let mut waiting = Waiting::new(self.options.pause);
        let mut message = Vec::with_capacity(self.options.size as usize);
        loop {
            // Read before the queue, so that what was pushed before the last producer ended is seen after.
            let over = self.looked.elapsed() >= LOOK && self.everybody_is_done();
            let popped = self.receive_all(&mut message);
            match popped {
                Popped::Broken => {
                    Err(cannot("receive", "the lock of the queue is beyond repair", "start the run anew"))?
                }
                Popped::Empty if over => break,
                Popped::Pending if over || self.looked.elapsed() >= LOOK => self.look_at_stall(),
                _ => {}
            }
            if self.looked.elapsed() >= LOOK {
                self.look_up()?;
            }
            if !matches!(popped, Popped::Message(_)) && !self.consumer.wait_for_data(Duration::from_millis(5))
            {
                waiting.pause();
            } else {
                waiting.over();
            }
        }
        self.received.locks_recovered = self.consumer.locks_recovered();
        self.received.counts = self.counters.map(|counters| counters.read()).unwrap_or_default();
        Ok(self.received)
    }

    /// Receives until there is nothing more, or it is time to look up; answers how it ended.
    fn receive_all(&mut self, message: &mut Vec<u8>) -> Popped {
        let before = self.total;
        let most = (LOOK_BYTES / self.options.size).clamp(1, LOOK_MESSAGES);
        let ended = loop {
            match self.consumer.try_pop(message) {
                Popped::Message(producer) => {
                    let sequence = message::decode(message, self.options.size as usize);
                    if let Some(ledger) = self.received.ledgers.get_mut(producer as usize) {
                        ledger.book(sequence);
                    } else {
                        self.received.ledgers[0].book(None);
                    }
                    self.total += 1;
                    if self.total - before >= most {
                        break Popped::Message(producer);
                    }
                }
                other => break other,
            }
        };
        if self.total > before {
            self.moved = Instant::now();
            self.told = false;
        }
        ended
    }

    fn everybody_is_done(&self) -> bool {
        self.producers().all(|id| self.board.progress(id) == Progress::Finished || !(self.alive)(id))
    }

    fn producers(&self) -> std::ops::Range<u32> {
        0..self.received.ledgers.len() as u32
    }

    /// Everything that is not receiving.
    fn look_up(&mut self) -> Result<()> {
        self.looked = Instant::now();
        self.meter.show("received", self.total, self.expected);
        if stopping() {
            self.board.set_stage(Stage::Stop);
        }
        if self.board.stage() == Stage::WarmUp && self.everybody_is_warm() {
            self.counters = Some(Counters::start());
            self.board.set_stage(Stage::Measure);
            self.moved = Instant::now();
        }
        if self.moved.elapsed() > self.options.patience {
            self.board.set_stage(Stage::Stop);
            let cause = format!("nothing has arrived for {:?}", self.options.patience);
            Err(cannot("go on receiving", cause, "look whether a producer is stopped, or raise --patience"))?;
        }
        Ok(())
    }

    fn everybody_is_warm(&self) -> bool {
        self.producers().all(|id| self.board.progress(id) >= Progress::Warm || !(self.alive)(id))
    }

    /// The next slot is reserved and not published: find out by whom, and give it up if that one is dead.
    fn look_at_stall(&mut self) {
        match self.consumer.look_at_stall(self.alive) {
            Stall::GivenUp { suspects } => {
                self.received.given_up += 1;
                self.received.suspects.extend(suspects);
                self.moved = Instant::now();
            }
            Stall::Waiting(producers) if self.moved.elapsed() > Duration::from_secs(1) && !self.told => {
                self.told = true;
                // Not silently: a living producer, perhaps stopped, holds up all others.
                let note =
                    format!("note: the queue waits for a push of producer {producers:?}, which is alive");
                let _ = writeln!(std::io::stderr().lock(), "{note}");
            }
            Stall::Waiting(_) | Stall::None => {}
        }
    }
}
