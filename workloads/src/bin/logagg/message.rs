//! The message: one JSON object per line, carrying producer, sequence and send time.

use std::io::Write;

use serde::Deserialize;

/// Bytes of the line around the payload, at most: the field names and the widest numbers.
pub const ENVELOPE: usize = 190;
/// Most messages a producer may announce: the aggregator keeps one bit for each.
pub const MOST: u64 = 100_000_000;
/// Level of a message that warms the path up and is not counted.
const WARMUP: &str = "WARMUP";

/// One received line.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Sender of the line, as `producer-N`.
    pub source: &'a str,
    /// Process of the producer, to tell a restarted one from its predecessor.
    pub pid: u32,
    /// Counts from zero.
    pub seq: u64,
    /// Messages that this producer means to send.
    pub of: u64,
    /// CLOCK_MONOTONIC at the moment the producer had something to say.
    pub sent_ns: u64,
    level: &'a str,
    message: &'a str,
}

impl<'a> Message<'a> {
    /// Reads one line; none when it is not one of ours.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let message: Self = serde_json::from_slice(line).ok()?;
        (message.producer().is_some() && message.seq < message.of && message.of <= MOST).then_some(message)
    }

    /// The number in the source.
    pub fn producer(&self) -> Option<u32> {
        self.source.strip_prefix("producer-")?.parse().ok()
    }

    /// True when it only warms the path up.
    pub fn is_warmup(&self) -> bool {
        self.level == WARMUP
    }

    /// True when the payload arrived as it was sent: the alphabet, beginning at a letter that follows the sequence.
    pub fn is_intact(&self) -> bool {
        let start = self.seq % 26;
        self.message.bytes().zip((start..).map(letter)).all(|(got, sent)| got == sent)
    }
}

/// Writes the lines of one producer.
#[derive(Debug)]
pub struct Composer {
    producer: u32,
    pid: u32,
    of: u64,
    size: usize,
    /// The alphabet, long enough to cut a payload from any letter on.
    letters: Vec<u8>,
}

impl Composer {
    /// For messages with a payload of `size` bytes.
    pub fn new(producer: u32, of: u64, size: usize) -> Self {
        let letters = (0..size as u64 + 26).map(letter).collect();
        Self { producer, pid: std::process::id(), of, size, letters }
    }

    /// Appends one line.
    pub fn line(&self, out: &mut Vec<u8>, seq: u64, sent_ns: u64) {
        self.write(out, seq, self.of, sent_ns, "INFO");
    }

    /// Appends one line that is not counted.
    pub fn warmup(&self, out: &mut Vec<u8>, seq: u64, sent_ns: u64) {
        self.write(out, seq, seq + 1, sent_ns, WARMUP);
    }

    fn write(&self, out: &mut Vec<u8>, seq: u64, of: u64, sent_ns: u64, level: &str) {
        let Self { producer, pid, .. } = self;
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            r#"{{"source":"producer-{producer}","pid":{pid},"seq":{seq},"of":{of},"sent_ns":{sent_ns},"level":"{level}","message":""#
        );
        let start = (seq % 26) as usize;
        out.extend_from_slice(&self.letters[start..start + self.size]);
        out.extend_from_slice(b"\"}\n");
    }
}

fn letter(nth: u64) -> u8 {
    b'A' + (nth % 26) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(size: usize, seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Composer::new(7, MOST, size).line(&mut out, seq, u64::MAX);
        out
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for (size, seq) in [(1, 0), (100, 25), (5000, 1_000_003)] {
            let line = composed(size, seq);
            let message = Message::parse(&line).unwrap();
            assert_eq!((message.producer(), message.seq, message.sent_ns), (Some(7), seq, u64::MAX));
            assert!(message.is_intact() && !message.is_warmup());
            assert_eq!(message.message.len(), size);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        }
    }

    #[test]
    fn the_envelope_is_never_larger_than_stated() {
        let mut out = Vec::new();
        let mut composer = Composer::new(u32::MAX, u64::MAX, 1);
        composer.pid = u32::MAX;
        composer.write(&mut out, u64::MAX - 1, u64::MAX, u64::MAX, WARMUP);
        assert!(out.len() <= 1 + ENVELOPE, "{}", out.len());
    }

    #[test]
    fn damage_is_noticed() {
        let line = composed(30, 3);
        assert!(Message::parse(&line[..line.len() - 3]).is_none());
        let swapped = String::from_utf8(line).unwrap().replacen("DEF", "FED", 1);
        assert!(!Message::parse(swapped.as_bytes()).unwrap().is_intact());
        let beyond =
            r#"{"source":"producer-0","pid":1,"seq":5,"of":5,"sent_ns":1,"level":"INFO","message":"F"}"#;
        assert!(Message::parse(beyond.as_bytes()).is_none());
        assert!(Message::parse(b"{}").is_none());
        let endless = beyond.replace(r#""of":5"#, r#""of":18446744073709551615"#);
        assert!(Message::parse(endless.as_bytes()).is_none());
    }
}
