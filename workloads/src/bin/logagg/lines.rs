//! Cuts a stream of bytes into lines, in any pieces it arrives in.

/// Longest line of this program: a longer one is foreign and dropped, and reading resumes after the next newline.
pub const LONGEST: usize = 2 << 20;

/// The unfinished line of one stream.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// Inside a line that was too long, until its newline comes.
    skipping: bool,
}

impl Lines {
    /// Hands every complete line (without its newline) to `take`; answers how many overlong lines were dropped.
    pub fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> u64 {
        let mut dropped = 0;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, more) = bytes.split_at(end);
            bytes = &more[1..];
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.rest.is_empty() {
                take(line);
            } else {
                self.rest.extend_from_slice(line);
                take(&self.rest);
                self.rest.clear();
            }
        }
        if !self.skipping {
            self.rest.extend_from_slice(bytes);
        }
        if self.rest.len() > LONGEST {
            self.rest.clear();
            self.skipping = true;
            dropped += 1;
        }
        dropped
    }

    /// Ends the stream: true when a line was cut off in its middle. Ready for a new stream afterwards.
    pub fn end(&mut self) -> bool {
        let cut = !self.rest.is_empty();
        *self = Self::default();
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for piece in pieces {
            lines.feed(piece, |line| got.push(String::from_utf8(line.to_vec()).unwrap()));
        }
        (got, lines.end())
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_lines() {
        let stream = b"one\ntwo\n\nfour\n";
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                let (lines, cut_off) = cut(&pieces);
                assert_eq!(lines, ["one", "two", "", "four"]);
                assert!(!cut_off);
            }
        }
    }

    #[test]
    fn a_cut_off_line_is_told_and_forgotten() {
        assert_eq!(cut(&[b"one\ntw"]), (vec!["one".to_owned()], true));
        let mut lines = Lines::default();
        lines.feed(b"half", |_| ());
        assert!(lines.end());
        lines.feed(b"whole\n", |line| assert_eq!(line, b"whole"));
        assert!(!lines.end());
    }

    #[test]
    fn an_overlong_line_is_skipped_and_the_next_one_read() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        let mut got = Vec::new();
        let dropped: u64 = (0..5).map(|_| lines.feed(&piece, |line| got.push(line.to_vec()))).sum();
        assert_eq!(dropped, 1);
        lines.feed(b"tail\nnext\n", |line| got.push(line.to_vec()));
        assert_eq!(got, [b"next".to_vec()]);
    }
}
