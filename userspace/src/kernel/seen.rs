//! Histograms of the kernel side count up for ever: what is new since the last look.

use std::collections::HashMap;

use super::{Kernel, pool::HistogramNow};
use crate::model::hist::Hist;

/// A probe's histograms as they were last seen.
#[derive(Default)]
pub struct Histograms {
    seen: HashMap<u32, Seen>,
    /// Where they are read into.
    now: Box<HistogramNow>,
}

impl Histograms {
    /// What was recorded since the last look. Nothing where there is no histogram yet: its id is 0 then.
    pub fn take(&mut self, kernel: &Kernel, id: u32) -> Hist {
        if id == 0 {
            return Hist::default();
        }
        let (seen, stamp) = (self.seen.entry(id).or_default(), kernel.pool.stamp(id));
        if seen.stamp == Some(stamp) {
            return Hist::default();
        }
        seen.stamp = Some(stamp);
        kernel.pool.read(id, &mut self.now);
        seen.difference(&self.now)
    }

    /// Forgets those that were given back.
    pub fn forget(&mut self, ids: &[u32]) {
        for id in ids {
            self.seen.remove(id);
        }
    }
}

/// What was seen of a histogram.
#[derive(Default)]
struct Seen {
    stamp: Option<u64>,
    total: Hist,
}

impl Seen {
    fn difference(&mut self, now: &HistogramNow) -> Hist {
        let mut change = Hist::default();
        change.sum = now.sum.wrapping_sub(self.total.sum);
        (change.max, change.min) = (now.max, now.min);
        // Both sides ascend: one walk over all buckets, without looking any of them up.
        let mut known = self.total.buckets().iter().peekable();
        for (index, counter) in now.buckets.iter().enumerate() {
            let seen =
                known.next_if(|(bucket, _)| usize::from(*bucket) == index).map_or(0, |(_, count)| *count);
            // Counters wrap at 32 bits, and are looked at far more often than that.
            let new = counter.wrapping_sub(seen as u32);
            if new != 0 {
                change.add(index as u16, u64::from(new));
            }
        }
        self.total.merge(&change);
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(counts: &[(usize, u32)], sum: u64) -> HistogramNow {
        let mut now = HistogramNow::default();
        now.add_lane(sum, 9, 3);
        counts.iter().for_each(|(bucket, count)| now.buckets[*bucket] = *count);
        now
    }

    #[test]
    fn a_look_is_the_difference_to_the_last_one() {
        let mut seen = Seen::default();
        let first = seen.difference(&now(&[(5, 10), (6, 1)], 56));
        assert_eq!((first.count(), first.sum, first.min, first.max), (11, 56, Some(2), Some(9)));
        let second = seen.difference(&now(&[(5, 12), (6, 1)], 66));
        assert_eq!((second.count(), second.sum), (2, 10));
        assert_eq!(seen.total.count(), 13);
    }

    #[test]
    fn counters_that_wrap_lose_nothing() {
        let mut seen = Seen::default();
        seen.difference(&now(&[(5, u32::MAX)], 0));
        assert_eq!(seen.difference(&now(&[(5, 4)], 0)).count(), 5);
    }
}
