//! Contents of a message: its number at both ends, so that loss, repetition, disorder and a torn copy are seen.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Bytes of a number.
const STAMP: usize = size_of::<u64>();

/// Writes the number of a message: at its start, and once more at its end if there is room for two.
#[inline]
pub fn stamp(message: &mut [u8], number: u64) {
    let bytes = number.to_le_bytes();
    if message.len() >= 2 * STAMP {
        let end = message.len() - STAMP;
        message[..STAMP].copy_from_slice(&bytes);
        message[end..].copy_from_slice(&bytes);
    } else {
        let width = message.len().min(STAMP);
        message[..width].copy_from_slice(&bytes[..width]);
    }
}

/// One side's record of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Put into the other side's queue.
    pub sent: u64,
    /// Taken from our own.
    pub received: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Numbers that came after a later one.
    pub reordered: u64,
    /// Numbers that came again.
    pub duplicated: u64,
    /// Messages whose two ends differ, or whose number makes no sense.
    pub corrupt: u64,
    #[serde(skip)]
    expected: u64,
    #[serde(skip)]
    missing: BTreeSet<u64>,
}

impl Tally {
    /// True when every message came once, whole and in order.
    pub fn perfect(&self) -> bool {
        self.lost == 0 && self.reordered == 0 && self.duplicated == 0 && self.corrupt == 0
    }

    /// Counts a message received; `window` is the most that can have overtaken it.
    #[inline]
    pub fn receive(&mut self, message: &[u8], window: u64) {
        self.received += 1;
        match read(message, self.expected) {
            Some(number) if number == self.expected => self.expected += 1,
            other => self.surprise(other, window),
        }
    }

    #[cold]
    fn surprise(&mut self, number: Option<u64>, window: u64) {
        match number {
            Some(number) if number > self.expected && number - self.expected <= window => {
                self.missing.extend(self.expected..number);
                self.lost += number - self.expected;
                self.expected = number + 1;
            }
            Some(number) if number < self.expected && self.missing.remove(&number) => {
                self.lost -= 1;
                self.reordered += 1;
            }
            Some(number) if number < self.expected => self.duplicated += 1,
            _ => self.corrupt += 1,
        }
    }
}

/// The number of a message: the one nearest to `expected` that its bytes can mean; none when its ends differ.
#[inline]
fn read(message: &[u8], expected: u64) -> Option<u64> {
    let width = message.len().min(STAMP);
    let mut bytes = [0; STAMP];
    bytes[..width].copy_from_slice(&message[..width]);
    if message.len() >= 2 * STAMP && message[message.len() - STAMP..] != bytes {
        return None;
    }
    // A short message carries the low bytes only: the distance, taken with its sign, restores the rest.
    let unused = 8 * (STAMP - width) as u32;
    let distance = (u64::from_le_bytes(bytes).wrapping_sub(expected) << unused).cast_signed() >> unused;
    expected.checked_add_signed(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(size: usize, numbers: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for number in numbers {
            let mut message = vec![0; size];
            stamp(&mut message, *number);
            tally.receive(&message, 50);
        }
        tally
    }

    #[test]
    fn every_size_tells_the_four_faults_apart() {
        for size in [1, 2, 7, 8, 15, 16, 100] {
            assert!(tally(size, &[0, 1, 2, 3]).perfect(), "{size}");
            let lossy = tally(size, &[0, 3]);
            assert_eq!((lossy.lost, lossy.received), (2, 2), "{size}");
            let late = tally(size, &[0, 2, 1, 3]);
            assert_eq!((late.reordered, late.lost, late.duplicated), (1, 0, 0), "{size}");
            let again = tally(size, &[0, 1, 1, 0]);
            assert_eq!((again.duplicated, again.lost, again.reordered), (2, 0, 0), "{size}");
        }
    }

    #[test]
    fn a_short_number_may_wrap() {
        let numbers: Vec<_> = (0..1000).collect();
        assert!(tally(1, &numbers).perfect());
    }

    #[test]
    fn a_torn_or_senseless_message_is_corrupt() {
        let mut message = [0; 16];
        stamp(&mut message, 0);
        message[15] = 1;
        let mut torn = Tally::default();
        torn.receive(&message, 50);
        assert_eq!((torn.corrupt, torn.lost), (1, 0));
        assert_eq!(tally(8, &[1 << 40]).corrupt, 1);
    }
}
