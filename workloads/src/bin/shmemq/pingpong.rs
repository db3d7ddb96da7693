//! The game: the client sends a message and waits for the reply, the server waits for a message and replies.

use std::time::Duration;

use pulse_trace_workloads::contract::{Warmup, now_ns, stopping};
use pulse_trace_workloads::hist::LatencyHist;

use crate::locks::Stop;
use crate::message::{Tally, stamp};
use crate::patience::Patience;
use crate::queue::Queue;

/// The two queues as one side uses them.
pub struct Table<Q> {
    /// Queue of messages to the other side.
    pub out: Q,
    /// Queue of messages from the other side.
    pub back: Q,
}

/// Parameters of one game of ping-pong.
#[derive(Clone, Debug)]
pub struct Game {
    /// Bytes of a message.
    pub size: usize,
    /// Most messages in a queue.
    pub capacity: u64,
    /// Round trips to make.
    pub repetitions: u64,
    /// Attempts in vain before a yield.
    pub per_yield: u32,
    /// Time without progress before giving up.
    pub timeout: Duration,
    /// The client times every round trip of so many; 0 is none.
    pub time_every: u64,
    /// After so many messages the server dies holding the lock.
    pub crash_at: Option<u64>,
}

/// Results of one game.
#[derive(Debug)]
pub struct Score {
    /// Whole round trips.
    pub completed: u64,
    /// From the go to the last reply.
    pub elapsed_ns: u64,
    /// Record of the messages.
    pub tally: Tally,
    /// `sched_yield` calls while waiting for the other side.
    pub yields: u64,
    /// Time per round trip, of those that were timed.
    pub latency: Option<LatencyHist>,
    /// Reason for an early end.
    pub stop: Option<Stop>,
}

impl Game {
    fn patience(&self) -> Patience {
        Patience::new(self.per_yield, self.timeout)
    }

    /// The client's part.
    pub fn client<Q: Queue>(&self, table: &mut Table<Q>) -> Score {
        let mut score = Score::start(self.time_every > 0);
        let mut patience = self.patience();
        let mut message = vec![0; self.size];
        let mut untimed = 0;
        let start = now_ns();
        score.stop = (0..self.repetitions)
            .try_for_each(|number| {
                if stopping() {
                    return Err(Stop::Asked);
                }
                // Timing all of them would slow down what is timed.
                let timed = (self.time_every > 0 && untimed == 0).then(now_ns);
                untimed = if timed.is_some() { self.time_every - 1 } else { untimed.saturating_sub(1) };
                stamp(&mut message, number);
                patience.insist(|| table.out.try_enqueue(&message))?;
                score.tally.sent += 1;
                patience.insist(|| table.back.try_dequeue(&mut message))?;
                score.tally.receive(&message, self.capacity);
                score.completed += 1;
                if let (Some(latency), Some(begin)) = (&mut score.latency, timed) {
                    latency.record(now_ns() - begin);
                }
                Ok(())
            })
            .err();
        score.end(start, &patience)
    }

    /// The server's part.
    pub fn server<Q: Queue>(&self, table: &mut Table<Q>) -> Score {
        let mut score = Score::start(false);
        let mut patience = self.patience();
        let mut message = vec![0; self.size];
        let start = now_ns();
        score.stop = (0..self.repetitions)
            .try_for_each(|number| {
                if self.crash_at == Some(number) {
                    // In the queue the client polls: the one in which it would meet the lock of a dead owner.
                    table.out.crash()?;
                }
                patience.insist(|| table.back.try_dequeue(&mut message))?;
                score.tally.receive(&message, self.capacity);
                patience.insist(|| table.out.try_enqueue(&message))?;
                score.tally.sent += 1;
                score.completed += 1;
                Ok(())
            })
            .err();
        score.end(start, &patience)
    }

    /// The client's warm-up; the first byte of the last message says that it is the last.
    pub fn warm_up_client<Q: Queue>(&self, table: &mut Table<Q>, how: Warmup) -> Result<(), Stop> {
        let mut patience = self.patience();
        let mut message = vec![0; self.size];
        let start = now_ns();
        let mut done = 0;
        loop {
            let last = stopping()
                || match how {
                    Warmup::Operations(n) => done + 1 >= n,
                    Warmup::Time(time) => u128::from(now_ns() - start) >= time.as_nanos(),
                };
            message[0] = u8::from(last);
            patience.insist(|| table.out.try_enqueue(&message))?;
            patience.insist(|| table.back.try_dequeue(&mut message))?;
            done += 1;
            if last {
                return Ok(());
            }
        }
    }

    /// The server's warm-up.
    pub fn warm_up_server<Q: Queue>(&self, table: &mut Table<Q>) -> Result<(), Stop> {
        let mut patience = self.patience();
        let mut message = vec![0; self.size];
        loop {
            patience.insist(|| table.back.try_dequeue(&mut message))?;
            patience.insist(|| table.out.try_enqueue(&message))?;
            if message[0] == 1 {
                return Ok(());
            }
        }
    }
}

impl Score {
    fn start(latency: bool) -> Self {
        let latency = latency.then(LatencyHist::new);
        Self { completed: 0, elapsed_ns: 0, tally: Tally::default(), yields: 0, latency, stop: None }
    }

    fn end(mut self, start: u64, patience: &Patience) -> Self {
        self.elapsed_ns = now_ns() - start;
        self.yields = patience.yields();
        self
    }
}
