//! The consumer's book: every message once, and in order per producer.

use std::collections::BTreeSet;

/// A gap larger than this is no loss but nonsense.
const MOST_MISSING: u64 = 1 << 20;

#[derive(Debug, Default)]
pub struct Ledger {
    /// Number expected next.
    next: u64,
    /// Skipped and not seen since.
    missing: BTreeSet<u64>,
    pub received: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupt: u64,
}

impl Ledger {
    /// Books a message; none stands for one that arrived torn.
    #[inline]
    pub fn book(&mut self, sequence: Option<u64>) {
        match sequence {
            Some(sequence) if sequence == self.next => {
                self.next += 1;
                self.received += 1;
            }
            Some(sequence) => self.book_irregular(sequence),
            None => self.corrupt += 1,
        }
    }

    #[cold]
    fn book_irregular(&mut self, sequence: u64) {
        if sequence < self.next {
            if self.missing.remove(&sequence) {
                self.reordered += 1;
                self.received += 1;
            } else {
                self.duplicated += 1;
            }
        } else if sequence - self.next + self.missing.len() as u64 > MOST_MISSING {
            self.corrupt += 1;
        } else {
            self.missing.extend(self.next..sequence);
            self.next = sequence + 1;
            self.received += 1;
        }
    }

    /// Messages of the `sent` that never came.
    pub fn lost(&self, sent: u64) -> u64 {
        self.missing.len() as u64 + sent.saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(sequences: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        sequences.iter().for_each(|n| ledger.book(Some(*n)));
        ledger
    }

    #[test]
    fn every_irregularity_has_its_name() {
        let good = ledger(&[0, 1, 2]);
        assert_eq!((good.received, good.lost(3), good.lost(5)), (3, 0, 2));
        let gap = ledger(&[0, 3]);
        assert_eq!((gap.received, gap.lost(4)), (2, 2));
        let late = ledger(&[0, 2, 1]);
        assert_eq!((late.reordered, late.lost(3), late.received), (1, 0, 3));
        let twice = ledger(&[0, 1, 1, 0]);
        assert_eq!((twice.duplicated, twice.received), (2, 2));
        let mut torn = ledger(&[0, u64::MAX]);
        torn.book(None);
        assert_eq!((torn.corrupt, torn.received), (2, 1));
    }
}
