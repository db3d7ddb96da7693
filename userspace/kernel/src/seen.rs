//! Histograms of the kernel side only grow: differences between two readings.

use std::ops::Range;

use model::{glance::Quick, hist::Hist};
use pulse_trace_common::hist;

use super::{
    Kernel,
    pool::{HistogramNow, Reading},
};

/// A probe's histograms as they were last seen.
#[derive(Default)]
pub struct Histograms {
    /// By number, in pages: those of a probe lie together, and may lie far from the first.
    seen: Vec<Vec<Seen>>,
    /// Buffer for readings.
    now: Box<HistogramNow>,
}

impl Histograms {
    /// Values that were recorded since the last reading. Empty where there is no histogram yet: its id is 0 then.
    pub fn take(&mut self, kernel: &Kernel, id: u32) -> Hist {
        self.take_some(kernel, id, true)
    }

    /// As [`Self::take`], without the buckets where no values are expected: values that two CPUs have hidden there by
    /// racing for the extremes are found by the next [`Self::take`].
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

    /// Number and sum of the values since the last reading; it does not count as a reading itself.
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

    /// Forgets histograms that were freed.
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

/// Last reading of a histogram.
#[derive(Default)]
struct Seen {
    stamp: Option<u64>,
    /// True if the last reading covered all buckets.
    whole: bool,
    /// Counts as the kernel side has them, by rising bucket.
    buckets: Vec<(u16, u32)>,
    /// Sum of these counts; wraps as they do.
    count: u32,
    sum: u64,
    /// Minimum and maximum of the session, as of the last time that a value in their bucket was counted.
    extremes: [Option<u64>; 2],
    /// Difference that a glance has found since, and the stamp at that time.
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
        // Both sides ascend: one walk over all buckets, without looking any of them up.
        let mut known = self.buckets.iter_mut().peekable();
        let mut first_seen = Vec::new();
        for (index, counter) in now.read.clone().zip(&now.buckets[now.read.clone()]) {
            let seen = known.next_if(|(bucket, _)| usize::from(*bucket) == index);
            // Counters wrap at 32 bits, and are read far more often than that.
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
        self.find_extremes(&mut change, now);
        change
    }

    /// Finds the extremes of the new values. The kernel side keeps the extremes of all time: one that has changed
    /// belongs to the new values; otherwise it bounds them as far as its bucket reaches. One outside of the bucket of
    /// the new values is older, or its value is not counted yet.
    fn find_extremes(&mut self, change: &mut Hist, now: &HistogramNow) {
        let Some((lower, upper)) = change.bounds() else { return };
        let [least, most] = &mut self.extremes;
        (change.min, change.min_is_bound) = extreme(lower, now.min, least);
        (change.max, change.max_is_bound) = extreme(upper, now.max, most);
        if change.count() == 1 && hist::index(change.sum) == hist::index(lower) {
            (change.min, change.min_is_bound) = (Some(change.sum), false);
            (change.max, change.max_is_bound) = (Some(change.sum), false);
        }
    }
}

/// The extreme of values whose outermost bucket has this edge, and true if it is only a bound.
fn extreme(edge: u64, now: Option<u64>, known: &mut Option<u64>) -> (Option<u64>, bool) {
    let is_wide = edge >= hist::SUB_BUCKETS;
    match now.filter(|now| hist::index(*now) == hist::index(edge)) {
        Some(now) => (Some(now), known.replace(now) == Some(now) && is_wide),
        None => (Some(edge), is_wide),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(counts: &[(usize, u32)], sum: u64) -> HistogramNow {
        between(2, 9, counts, sum)
    }

    fn between(min: u64, max: u64, counts: &[(usize, u32)], sum: u64) -> HistogramNow {
        let mut now = HistogramNow::default();
        now.add_lane(sum, max, min + 1);
        counts.iter().for_each(|(bucket, count)| now.buckets[*bucket] = *count);
        now.read = 0..now.buckets.len();
        now
    }

    #[test]
    fn a_look_is_the_difference_to_the_last_one() {
        let mut seen = Seen::default();
        let first = seen.difference(&now(&[(2, 10), (9, 1)], 29));
        assert_eq!((first.count(), first.sum, first.min, first.max), (11, 29, Some(2), Some(9)));
        let second = seen.difference(&now(&[(2, 12), (9, 1)], 33));
        assert_eq!((second.count(), second.sum), (2, 4));
        assert_eq!((seen.count, seen.sum, seen.extent()), (13, 33, 2..10));
    }

    /// A kernel side that records values, and their extremes over all time.
    #[derive(Default)]
    struct Recorder(Hist);

    impl Recorder {
        fn look(&mut self, seen: &mut Seen, values: &[u64]) -> Hist {
            values.iter().for_each(|value| self.0.record(*value));
            let counts: Vec<(usize, u32)> =
                self.0.buckets().iter().map(|(at, count)| (usize::from(*at), *count as u32)).collect();
            seen.difference(&between(self.0.min.unwrap(), self.0.max.unwrap(), &counts, self.0.sum))
        }
    }

    #[test]
    fn extremes_are_those_of_the_values_since_the_last_look() {
        const MS: u64 = 1_000_000;
        let (mut seen, mut kernel) = (Seen::default(), Recorder::default());
        let mut all = Hist::default();
        let mut look = |values: &[u64]| {
            let hist = kernel.look(&mut seen, values);
            all.merge(&hist);
            hist
        };
        let of = |hist: &Hist| (hist.min.unwrap(), hist.min_is_bound, hist.max.unwrap(), hist.max_is_bound);
        // One long sleep, then short ones.
        assert_eq!(of(&look(&[700 * MS])), (700 * MS, false, 700 * MS, false));
        let short = look(&[2 * MS, 2 * MS + 1, 2 * MS + 2]);
        let edge = hist::upper(hist::index(2 * MS + 2)) - 1;
        assert_eq!(of(&short), (2 * MS, false, edge, true));
        assert!(edge < 2 * MS + 2 * MS / 32);
        let again = look(&[2 * MS + 1, 3 * MS]);
        assert_eq!(of(&again), (2 * MS, true, hist::upper(hist::index(3 * MS)) - 1, true));
        // As long as the longest, and one longer; one alone is its own sum.
        let nearly = look(&[9 * MS, 700 * MS - 1]);
        assert_eq!((nearly.max, nearly.max_is_bound), (Some(700 * MS), true));
        assert_eq!(
            of(&look(&[9 * MS, 700 * MS + 1])),
            (hist::lower(hist::index(9 * MS)), true, 700 * MS + 1, false)
        );
        assert_eq!(of(&look(&[5 * MS])), (5 * MS, false, 5 * MS, false));
        // Small values have buckets of their own.
        assert_eq!(of(&look(&[7, 8])), (7, false, hist::upper(hist::index(8)) - 1, false));
        assert_eq!(of(&look(&[9, 10])), (9, false, 10, false));
        assert_eq!(all, kernel.0);
    }

    #[test]
    fn an_extreme_whose_value_is_not_counted_yet_is_that_of_the_next_look() {
        let mut seen = Seen::default();
        let first = seen.difference(&between(100, 5000, &[(hist::index(100), 2)], 200));
        assert_eq!((first.max, first.max_is_bound), (Some(hist::upper(hist::index(100)) - 1), true));
        let counts = [(hist::index(100), 2), (hist::index(5000), 1)];
        let second = seen.difference(&between(100, 5000, &counts, 5200));
        assert_eq!((second.max, second.max_is_bound), (Some(5000), false));
    }

    #[test]
    fn an_extreme_that_lost_a_race_is_a_bound() {
        let mut seen = Seen::default();
        let counts = [(hist::index(100), 1), (hist::index(5000), 1), (hist::index(9000), 1)];
        let hist = seen.difference(&between(5000, 5000, &counts, 14_100));
        assert_eq!((hist.min, hist.min_is_bound), (Some(hist::lower(hist::index(100))), true));
        assert_eq!((hist.max, hist.max_is_bound), (Some(hist::upper(hist::index(9000)) - 1), true));
        // The last bucket has no upper edge.
        let hist = Seen::default().difference(&between(1, 1, &[(1, 1), (hist::CLAMPED, 1)], hist::CLAMP + 8));
        assert_eq!((hist.max, hist.max_is_bound), (Some(hist::CLAMP + 8), true));
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
