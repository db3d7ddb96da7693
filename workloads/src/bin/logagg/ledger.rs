//! The messages that the aggregator has received, counted: nothing is counted twice, nothing is guessed.

use std::collections::BTreeMap;

use pulse_trace_workloads::hist::LatencyHist;
use serde::{Deserialize, Serialize};

use super::message::Message;
use super::stages::{Arrival, Noted, Reading};

/// One producer as the aggregator saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Number of the producer (`--id`).
    pub producer: u32,
    /// Process id of the producer.
    pub pid: u32,
    /// Messages that it announced.
    pub announced: u64,
    /// Distinct messages received.
    pub received: u64,
    /// Messages received again.
    pub duplicated: u64,
    /// Messages that came after one with a higher sequence.
    pub reordered: u64,
    /// One past the highest sequence received.
    pub next: u64,
    /// True once the last announced message has come.
    pub complete: bool,
}

/// The sums over all producers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// One entry per producer process.
    pub producers: Vec<Seen>,
    /// Bytes of all messages, newlines included, warm-up and strangers apart.
    pub bytes: u64,
    /// Successful reads of the transport.
    pub reads: u64,
    /// Lines that are not messages.
    pub malformed: u64,
    /// Messages whose payload is not what the producer wrote.
    pub corrupt: u64,
    /// Lines cut off because their producer died or the stream broke.
    pub truncated: u64,
    /// Warm-up messages, counted nowhere else.
    pub warmups: u64,
    /// Earliest send time, CLOCK_MONOTONIC.
    pub first_sent_ns: Option<u64>,
    /// Latest arrival, CLOCK_MONOTONIC.
    pub last_received_ns: Option<u64>,
    /// From the producer's intent to the aggregator's return from the read.
    pub latency: LatencyHist,
    /// Every read and every message, where they were to be noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Noted>,
}

impl Received {
    /// Distinct messages of all producers.
    pub fn messages(&self) -> u64 {
        self.producers.iter().map(|seen| seen.received).sum()
    }

    /// Messages received again, of all producers.
    pub fn duplicated(&self) -> u64 {
        self.producers.iter().map(|seen| seen.duplicated).sum()
    }

    /// Messages overtaken by a later one, of all producers.
    pub fn reordered(&self) -> u64 {
        self.producers.iter().map(|seen| seen.reordered).sum()
    }
}

/// Counts as the lines come in.
#[derive(Debug, Default)]
pub struct Ledger {
    tracks: BTreeMap<(u32, u32), Track>,
    sums: Received,
}

#[derive(Debug, Default)]
struct Track {
    announced: u64,
    received: u64,
    duplicated: u64,
    reordered: u64,
    next: u64,
    /// One bit per sequence.
    seen: Vec<u64>,
}

impl Ledger {
    /// Enters one line; `now` is the time the read returned. Answers whether it belongs into the output.
    pub fn enter(&mut self, line: &[u8], now: u64) -> bool {
        let Some(message) = Message::parse(line) else {
            self.sums.malformed += 1;
            return false;
        };
        if message.is_warmup() {
            self.sums.warmups += 1;
            return false;
        }
        self.sums.corrupt += u64::from(!message.is_intact());
        self.sums.bytes += line.len() as u64 + 1;
        self.sums.latency.record(now.saturating_sub(message.sent_ns));
        let first = self.sums.first_sent_ns.get_or_insert(message.sent_ns);
        *first = message.sent_ns.min(*first);
        self.sums.last_received_ns = Some(now);
        // A producer's number is proven by the parser.
        let key = (message.producer().unwrap_or_default(), message.pid);
        if let Some(noted) = &mut self.sums.noted {
            let (producer, seq, sent_ns) = (key.0, message.seq, message.sent_ns);
            let reading = noted.readings.len().saturating_sub(1);
            noted.arrivals.push(Arrival { producer, seq, sent_ns, reading });
        }
        self.tracks.entry(key).or_default().enter(&message);
        true
    }

    /// Counts one read of the transport.
    pub fn count_read(&mut self, reading: Reading) {
        self.sums.reads += 1;
        if let Some(noted) = &mut self.sums.noted {
            noted.readings.push(reading);
        }
    }

    /// Notes every read and every message from here on.
    pub fn note_all(&mut self) {
        self.sums.noted = Some(Noted::default());
    }

    /// Counts lines that were no messages before they could be read as such.
    pub fn count_malformed(&mut self, lines: u64) {
        self.sums.malformed += lines;
    }

    /// Counts a line that was cut off.
    pub fn count_truncated(&mut self) {
        self.sums.truncated += 1;
    }

    /// When the latest message came.
    pub fn last_received_ns(&self) -> Option<u64> {
        self.sums.last_received_ns
    }

    /// Producers whose last announced message has come.
    pub fn complete(&self) -> usize {
        self.tracks.values().filter(|track| track.complete()).count()
    }

    /// The sums so far.
    pub fn summary(&self) -> Received {
        let producers = self.tracks.iter().map(|(&(producer, pid), track)| Seen {
            producer,
            pid,
            announced: track.announced,
            received: track.received,
            duplicated: track.duplicated,
            reordered: track.reordered,
            next: track.next,
            complete: track.complete(),
        });
        Received { producers: producers.collect(), ..self.sums.clone() }
    }
}

impl Track {
    fn enter(&mut self, message: &Message) {
        self.announced = self.announced.max(message.of);
        let word = (message.seq / 64) as usize;
        let bit = 1 << (message.seq % 64);
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
            return;
        }
        self.seen[word] |= bit;
        self.received += 1;
        if message.seq < self.next {
            self.reordered += 1;
        } else {
            self.next = message.seq + 1;
        }
    }

    fn complete(&self) -> bool {
        self.announced > 0 && self.next == self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Composer;
    use super::*;

    fn ledger(order: &[(u32, u64)]) -> Received {
        let mut ledger = Ledger::default();
        for &(producer, seq) in order {
            let mut line = Vec::new();
            Composer::new(producer, 100, 10).line(&mut line, seq, 1000);
            assert!(ledger.enter(&line[..line.len() - 1], 1500));
        }
        ledger.summary()
    }

    #[test]
    fn order_loss_and_duplicates_are_told_apart() {
        let got = ledger(&[(0, 0), (0, 2), (0, 1), (0, 2), (1, 0), (0, 5)]);
        assert_eq!((got.messages(), got.duplicated(), got.reordered()), (5, 1, 1));
        assert_eq!(got.producers.len(), 2);
        assert_eq!((got.producers[0].received, got.producers[0].next), (4, 6));
        assert!(!got.producers[0].complete);
        assert_eq!(got.latency.count(), 6);
        assert_eq!(got.latency.max(), Some(500));
    }

    #[test]
    fn random_delivery_is_accounted_for_exactly() {
        let mut state = 7u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..50 {
            let mut order: Vec<(u32, u64)> =
                (0..100).map(|seq| (0, seq)).filter(|_| random() % 10 > 0).collect();
            let kept = order.len() as u64;
            for _ in 0..random() % 20 {
                let again = order[(random() % kept) as usize];
                order.push(again);
            }
            let extra = order.len() as u64 - kept;
            for from in (1..order.len()).rev() {
                order.swap(from, (random() % (from as u64 + 1)) as usize);
            }
            let got = ledger(&order);
            assert_eq!((got.messages(), got.duplicated()), (kept, extra));
            assert!(got.reordered() < kept);
        }
    }

    #[test]
    fn the_last_announced_message_completes_and_strangers_do_not_count() {
        assert!(ledger(&[(3, 99)]).producers[0].complete);
        let mut ledger = Ledger::default();
        assert!(!ledger.enter(b"hello", 1));
        let got = ledger.summary();
        assert_eq!((got.malformed, got.messages(), got.bytes), (1, 0, 0));
    }
}
