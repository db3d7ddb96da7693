//! Histograms of the kernel side count up for ever: what is new since the last look.

use std::ops::Range;

use pulse_trace_common::hist;

use super::{
    Kernel,
    pool::{HistogramNow, Reading},
};
use crate::model::{glance::Quick, hist::Hist};

/// A probe's histograms as they were last seen.
#[derive(Default)]
pub struct Histograms {
    /// By number, in pages: those of a probe lie together, and may lie far from the first.
    seen: Vec<Vec<Seen>>,
    /// Where they are read into.
    now: Box<HistogramNow>,
}

impl Histograms {
    /// What was recorded since the last look. Nothing where there is no histogram yet: its id is 0 then.
    pub fn take(&mut self, kernel: &Kernel, id: u32) -> Hist {
        self.take_some(kernel, id, true)
    }

    /// The same, without looking where values are not expected: what two CPUs have hidden there by racing for the
    /// extremes is taken by the next [`Self::take`].
    pub fn take_near(&mut self, kernel: &Kernel, id: u32) -> Hist {
        self.take_some(kernel, id, false)
    }

    fn take_some(&mut self, kernel: &Kernel, id: u32, whole: bool) -> Hist {
        if id == 0 {
            return Hist::default();
        }
        let (seen, stamp) = (seen_of(&mut self.seen, id), kernel.pool.stamp(id));
        if seen.stamp == Some(stamp) && (seen.whole || !whole) {
            return Hist::default();
        }
        (seen.stamp, seen.whole, seen.ahead) = (Some(stamp), whole, None);
        let known = seen.extent();
        let reading = if whole { Reading::Whole } else { Reading::Near(&known) };
        kernel.pool.read(id, reading, &mut self.now);
        seen.difference(&self.now)
    }

    /// How much was recorded since the last look, which this one is not.
    pub fn glance(&mut self, kernel: &Kernel, id: u32) -> Quick {
        let (seen, stamp) = (seen_of(&mut self.seen, id), kernel.pool.stamp(id));
        if seen.stamp == Some(stamp) {
            return Quick::default();
        }
        match seen.ahead {
            Some((known, quick)) if known == stamp => quick,
            _ => {
                let (count, sum) = kernel.pool.count(id, &seen.extent());
                let count = u64::from(count.wrapping_sub(seen.count));
                let quick = Quick { count, total_ns: sum.wrapping_sub(seen.sum) };
                seen.ahead = Some((stamp, quick));
                quick
            }
        }
    }

    /// Forgets those that were given back.
    pub fn forget(&mut self, ids: &[u32]) {
        for id in ids.iter().filter(|id| **id != 0) {
            let page = self.seen.get_mut(*id as usize / PAGE);
            if let Some(seen) = page.and_then(|page| page.get_mut(*id as usize % PAGE)) {
                *seen = Seen::default();
            }
        }
    }
}

/// Histograms of a page.
const PAGE: usize = 128;

fn seen_of(pages: &mut Vec<Vec<Seen>>, id: u32) -> &mut Seen {
    let (page, at) = (id as usize / PAGE, id as usize % PAGE);
    if page >= pages.len() {
        pages.resize_with(page + 1, Vec::new);
    }
    let page = &mut pages[page];
    if page.is_empty() {
        page.resize_with(PAGE, Seen::default);
    }
    &mut page[at]
}

/// What was seen of a histogram.
#[derive(Default)]
struct Seen {
    stamp: Option<u64>,
    /// Whether nothing was left out then.
    whole: bool,
    /// Counts as the kernel side has them, by rising bucket.
    buckets: Vec<(u16, u32)>,
    /// Their sum; wraps as they do.
    count: u32,
    sum: u64,
    /// What a glance has found since, and the stamp then.
    ahead: Option<(u64, Quick)>,
}

impl Seen {
    fn extent(&self) -> Range<usize> {
        match (self.buckets.first(), self.buckets.last()) {
            (Some(first), Some(last)) => usize::from(first.0)..usize::from(last.0) + 1,
            _ => 0..0,
        }
    }

    fn difference(&mut self, now: &HistogramNow) -> Hist {
        let mut change = Hist::default();
        change.sum = now.sum.wrapping_sub(self.sum);
        (change.max, change.min) = (now.max, now.min);
        // Both sides ascend: one walk over all buckets, without looking any of them up.
        let mut known = self.buckets.iter_mut().peekable();
        let mut first_seen = Vec::new();
        for (index, counter) in now.read.clone().zip(&now.buckets[now.read.clone()]) {
            let seen = known.next_if(|(bucket, _)| usize::from(*bucket) == index);
            // Counters wrap at 32 bits, and are looked at far more often than that.
            let new = counter.wrapping_sub(seen.as_ref().map_or(0, |it| it.1));
            if new == 0 {
                continue;
            }
            change.add(index as u16, u64::from(new));
            self.count = self.count.wrapping_add(new);
            match seen {
                Some(seen) => seen.1 = *counter,
                None => first_seen.push((index as u16, *counter)),
            }
        }
        if !first_seen.is_empty() {
            self.buckets.append(&mut first_seen);
            self.buckets.sort_unstable_by_key(|bucket| bucket.0);
            self.buckets.shrink_to_fit();
        }
        self.sum = now.sum;
        self.bound_extremes(&mut change);
        change
    }

    /// Keeps the extremes within the outermost buckets. Smallest and largest value are read before the buckets, and on
    /// kernels without compare and swap two CPUs that share a lane can lose one: then they are right to a bucket.
    fn bound_extremes(&self, change: &mut Hist) {
        let (Some((low, _)), Some((high, _))) = (self.buckets.first(), self.buckets.last()) else { return };
        let (low, high) = (usize::from(*low), usize::from(*high));
        let least = change.min.map_or(hist::lower(low), |min| min.min(hist::upper(low) - 1));
        let largest = change.max.map_or(hist::lower(high), |max| max.max(hist::lower(high)));
        (change.min, change.max) = (Some(least.min(largest)), Some(largest.max(least)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(counts: &[(usize, u32)], sum: u64) -> HistogramNow {
        let mut now = HistogramNow::default();
        now.add_lane(sum, 9, 3);
        counts.iter().for_each(|(bucket, count)| now.buckets[*bucket] = *count);
        now.read = 0..now.buckets.len();
        now
    }

    #[test]
    fn a_look_is_the_difference_to_the_last_one() {
        let mut seen = Seen::default();
        let first = seen.difference(&now(&[(5, 10), (6, 1)], 56));
        assert_eq!((first.count(), first.sum, first.min, first.max), (11, 56, Some(2), Some(9)));
        let second = seen.difference(&now(&[(5, 12), (6, 1)], 66));
        assert_eq!((second.count(), second.sum), (2, 10));
        assert_eq!((seen.count, seen.sum, seen.extent()), (13, 66, 5..7));
    }

    #[test]
    fn extremes_that_were_read_too_early_or_lost_are_right_to_a_bucket() {
        let look = |min_plus_1, max| {
            let mut now = HistogramNow::default();
            now.add_lane(1000, max, min_plus_1);
            (now.buckets[hist::index(100)], now.buckets[hist::index(900)]) = (1, 1);
            now.read = 0..now.buckets.len();
            let look = Seen::default().difference(&now);
            (look.min.unwrap(), look.max.unwrap())
        };
        assert_eq!(look(101, 900), (100, 900));
        // Another CPU's value came in between.
        assert_eq!(look(901, 900), (hist::upper(hist::index(100)) - 1, 900));
        assert_eq!(look(101, 100), (100, hist::lower(hist::index(900))));
        let (min, max) = look(0, 0);
        assert!(min <= max);
    }

    #[test]
    fn counters_that_wrap_lose_nothing() {
        let mut seen = Seen::default();
        seen.difference(&now(&[(5, u32::MAX)], 0));
        assert_eq!(seen.difference(&now(&[(5, 4)], 0)).count(), 5);
        // From 2^32 - 1 on.
        assert_eq!(seen.count, 4);
    }
}
