//! One write on its way through the link, for threads and for tasks.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::stopping;

use super::Sent;

/// The next step after an attempt.
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

    /// True from a refusal or a full link until sends succeed again.
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
        // A datagram into nowhere succeeds; only the next one tells. Two in a row prove that a receiver is there.
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
                self.unless_too_long(Step::Again, "no process receives there")
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

/// True when the error means that the other side is missing, so that its return would cure it.
pub fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, NotFound,
    };
    let gone = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, NotFound];
    gone.contains(&error.kind()) || error.raw_os_error() == Some(libc::ENXIO)
}

#[cfg(test)]
mod tests {
    use super::super::super::lines::Lines;
    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    /// A stream that takes pieces of any size, is full at times, and breaks.
    struct Moody {
        state: u64,
        lines: Lines,
        got: Vec<String>,
    }

    impl Moody {
        fn roll(&mut self, sides: u64) -> u64 {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state % sides
        }

        fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.roll(12) {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                2 => {
                    // A new connection: the receiver forgets the half line of the old one.
                    self.lines.end();
                    Err(ErrorKind::BrokenPipe.into())
                }
                _ => {
                    let count = 1 + self.roll(bytes.len() as u64) as usize;
                    let got = &mut self.got;
                    self.lines
                        .feed(&bytes[..count], |line| got.push(String::from_utf8(line.to_vec()).unwrap()));
                    Ok(count)
                }
            }
        }
    }

    #[test]
    fn every_line_goes_once_and_in_order_over_a_link_that_fills_and_breaks() {
        for seed in 1..200 {
            let mut link = Moody { state: seed, lines: Lines::default(), got: Vec::new() };
            let (mut delivery, mut sent) = (Delivery::new(PATIENT, false, false), Sent::default());
            for write in 0..20 {
                let bytes: Vec<u8> =
                    (0..4).flat_map(|nth| format!("{}\n", write * 4 + nth).into_bytes()).collect();
                delivery.begin();
                loop {
                    match delivery.attempt(|rest| link.take(rest), &bytes, &mut sent) {
                        Step::Done => break,
                        Step::Reconnect => drop(delivery.whole_lines(&bytes)),
                        Step::Full | Step::Again => {}
                        step => panic!("{step:?}"),
                    }
                }
            }
            let all: Vec<String> = (0..80).map(|line| line.to_string()).collect();
            assert_eq!(link.got, all, "seed {seed}");
            assert!(sent.reconnects > 0 || sent.full > 0 || sent.writes > 20);
        }
    }

    #[test]
    fn a_full_link_is_given_up_when_the_patience_is_over() {
        let mut delivery = Delivery::new(Duration::ZERO, false, false);
        let mut full =
            || delivery.attempt(|_| Err(ErrorKind::WouldBlock.into()), b"x\n", &mut Sent::default());
        full();
        std::thread::sleep(Duration::from_millis(2));
        assert!(matches!(full(), Step::Failed(error) if error.kind() == ErrorKind::TimedOut));
    }

    #[test]
    fn a_message_begun_is_never_dropped() {
        let mut delivery = Delivery::new(PATIENT, true, false);
        let mut attempt =
            |answer: io::Result<usize>| delivery.attempt(|_| answer, b"long\n", &mut Sent::default());
        assert!(matches!(attempt(Err(ErrorKind::WouldBlock.into())), Step::Dropped));
        assert!(matches!(attempt(Ok(2)), Step::Again));
        assert!(matches!(attempt(Err(ErrorKind::WouldBlock.into())), Step::Full));
        assert!(matches!(attempt(Ok(3)), Step::Done));
    }

    #[test]
    fn one_datagram_into_nowhere_proves_nothing_two_prove_a_receiver() {
        let mut delivery = Delivery::new(PATIENT, false, true);
        let mut attempt = |answer: io::Result<usize>| {
            delivery.begin();
            delivery.attempt(|_| answer, b"x\n", &mut Sent::default());
            delivery.in_trouble()
        };
        assert!(!attempt(Ok(2)));
        assert!(attempt(Err(ErrorKind::ConnectionRefused.into())));
        assert!(attempt(Ok(2)));
        assert!(!attempt(Ok(2)));
    }
}
