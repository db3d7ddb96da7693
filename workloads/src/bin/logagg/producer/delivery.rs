//! One write on its way through the link, whoever does the waiting.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::stopping;

use super::Sent;

/// What to do after an attempt.
#[derive(Debug)]
pub enum Step {
    /// All bytes are on their way.
    Done,
    /// Full: wait for room, and try again.
    Full,
    /// Try again at once.
    Again,
    /// The aggregator has gone: connect anew, and try again from the first byte.
    Reconnect,
    /// Full, and the user prefers loss to waiting.
    Dropped,
    /// A stop was asked for before the first byte went.
    Stopped,
    /// No way on.
    Failed(io::Error),
}

/// The rules of sending, and what they remember from one write to the next.
#[derive(Debug)]
pub struct Delivery {
    done: usize,
    patience: Duration,
    drop_when_full: bool,
    /// Datagrams: a refused send tells of the one before it, which the kernel has thrown away.
    lossy: bool,
    trouble_since: Option<Instant>,
    good_in_a_row: u32,
}

impl Delivery {
    /// For one producer.
    pub fn new(patience: Duration, drop_when_full: bool, lossy: bool) -> Self {
        Self { done: 0, patience, drop_when_full, lossy, trouble_since: None, good_in_a_row: 0 }
    }

    /// The whole lines of `bytes` that are on their way; sending goes on behind them, for a new connection gets no
    /// half line.
    pub fn whole_lines<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let gone = &bytes[..self.done];
        self.done = gone.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        &bytes[..self.done]
    }

    /// Begins a new write.
    pub fn begin(&mut self) {
        self.done = 0;
    }

    /// Whether the aggregator was last heard of by a refusal.
    pub fn in_trouble(&self) -> bool {
        self.trouble_since.is_some()
    }

    /// Sends what is left of `bytes` once.
    pub fn attempt(
        &mut self,
        send: impl FnOnce(&[u8]) -> io::Result<usize>,
        bytes: &[u8],
        sent: &mut Sent,
    ) -> Step {
        match send(&bytes[self.done..]) {
            Ok(count) => {
                sent.writes += 1;
                self.done += count;
                self.progressed();
                if self.done == bytes.len() { Step::Done } else { Step::Again }
            }
            Err(error) => self.troubled(error, sent),
        }
    }

    fn progressed(&mut self) {
        self.good_in_a_row += 1;
        // A datagram into nowhere succeeds; only the next one tells. Two in a row prove that somebody is there.
        if !self.lossy || self.good_in_a_row >= 2 {
            self.trouble_since = None;
        }
    }

    fn troubled(&mut self, error: io::Error, sent: &mut Sent) -> Step {
        self.good_in_a_row = 0;
        match error.kind() {
            ErrorKind::Interrupted if stopping() && self.done == 0 => Step::Stopped,
            ErrorKind::Interrupted => Step::Again,
            ErrorKind::WouldBlock if self.drop_when_full && self.done == 0 => {
                sent.full += 1;
                Step::Dropped
            }
            ErrorKind::WouldBlock if stopping() && self.done == 0 => Step::Stopped,
            ErrorKind::WouldBlock => {
                sent.full += 1;
                self.unless_too_long(Step::Full, "the link has been full all the time")
            }
            ErrorKind::ConnectionRefused if self.lossy => {
                sent.refused += 1;
                self.unless_too_long(Step::Again, "nobody receives there")
            }
            _ if is_gone(&error) => {
                sent.reconnects += 1;
                Step::Reconnect
            }
            _ => Step::Failed(error),
        }
    }

    fn unless_too_long(&mut self, step: Step, cause: &str) -> Step {
        let since = *self.trouble_since.get_or_insert_with(Instant::now);
        if since.elapsed() <= self.patience {
            return step;
        }
        Step::Failed(io::Error::new(ErrorKind::TimedOut, format!("{cause} for {:?}", self.patience)))
    }
}

/// Whether the error means that the other side is missing, so that its return would cure it.
pub fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, NotFound,
    };
    let gone = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, NotFound];
    gone.contains(&error.kind()) || error.raw_os_error() == Some(libc::ENXIO)
}
