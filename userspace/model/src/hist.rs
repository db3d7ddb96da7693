//! Histograms: sparse, mergeable, with exact count and sum.

use pulse_trace_common::hist;
use serde::{Deserialize, Serialize};

use super::{
    units,
    valid::{LARGEST_COUNT, is_default, time},
};

/// A distribution. Merging is addition; the geometry is that of [`pulse_trace_common::hist`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Read")]
pub struct Hist {
    /// Sum of the values, exact.
    pub sum: u64,
    /// Smallest value that was recorded.
    pub min: Option<u64>,
    /// Largest value that was recorded.
    pub max: Option<u64>,
    /// `min` is a bound below the smallest value, in the same bucket.
    #[serde(skip_serializing_if = "is_default")]
    pub min_is_bound: bool,
    /// `max` is a bound above the largest value, in the same bucket.
    #[serde(skip_serializing_if = "is_default")]
    pub max_is_bound: bool,
    /// Sorted by bucket, without zeros.
    buckets: Vec<(u16, u64)>,
}

/// A distribution as a file has it.
#[derive(Deserialize)]
struct Read {
    #[serde(deserialize_with = "time")]
    sum: u64,
    min: Option<u64>,
    max: Option<u64>,
    #[serde(default)]
    min_is_bound: bool,
    #[serde(default)]
    max_is_bound: bool,
    /// Pairs of bucket number and count.
    buckets: Vec<(u16, u64)>,
}

impl TryFrom<Read> for Hist {
    type Error = &'static str;

    fn try_from(read: Read) -> Result<Self, &'static str> {
        let mut hist = Self::default();
        for (bucket, count) in read.buckets {
            if count > LARGEST_COUNT {
                return Err("a count is too large");
            }
            if usize::from(bucket) > hist::CLAMPED {
                return Err("a bucket lies outside of the histogram");
            }
            hist.add(bucket, count);
        }
        (hist.sum, hist.min, hist.max) = (read.sum, read.min, read.max);
        (hist.min_is_bound, hist.max_is_bound) = (read.min_is_bound, read.max_is_bound);
        hist.bound_by_buckets();
        if hist.min > hist.max { Err("a minimum is above its maximum") } else { Ok(hist) }
    }
}

/// The largest of some values. Merging takes the greater one: of equal values the exact one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Largest {
    /// The value itself, or the bound.
    pub value: u64,
    /// False for a bound above it.
    pub exact: bool,
}

impl Largest {
    /// A time in words: `2.05ms`, or `<=2.06ms` for a bound.
    #[must_use]
    pub fn time(self) -> String {
        let sign = if self.exact { "" } else { "<=" };
        format!("{sign}{}", units::time(self.value))
    }
}

impl Hist {
    /// The non-empty buckets in ascending order: index and count.
    #[must_use]
    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    /// Number of values that were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The count of one bucket.
    #[must_use]
    pub fn bucket(&self, index: u16) -> u64 {
        self.buckets.binary_search_by_key(&index, |bucket| bucket.0).map_or(0, |at| self.buckets[at].1)
    }

    /// Adds to one bucket; sum, minimum and maximum are the caller's.
    pub fn add(&mut self, index: u16, count: u64) {
        if count == 0 {
            return;
        }
        if self.buckets.last().is_none_or(|last| last.0 < index) {
            return self.buckets.push((index, count));
        }
        match self.buckets.binary_search_by_key(&index, |bucket| bucket.0) {
            Ok(at) => self.buckets[at].1 += count,
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }

    /// Records one value.
    pub fn record(&mut self, value: u64) {
        self.add(hist::index(value) as u16, 1);
        self.sum += value;
        self.merge_extremes(&Self { min: Some(value), max: Some(value), ..Self::default() });
    }

    /// Adds all that another one holds.
    pub fn merge(&mut self, other: &Self) {
        self.merge_buckets(&other.buckets);
        self.sum += other.sum;
        self.merge_extremes(other);
    }

    fn merge_extremes(&mut self, other: &Self) {
        let smallest = |hist: &Self| hist.min.map(|min| (min, hist.min_is_bound));
        let min = [smallest(self), smallest(other)].into_iter().flatten().min();
        (self.min, self.min_is_bound) = (min.map(|min| min.0), min.is_some_and(|min| min.1));
        let max = [self.largest(), other.largest()].into_iter().flatten().max();
        (self.max, self.max_is_bound) = (max.map(|max| max.value), max.is_some_and(|max| !max.exact));
    }

    /// The smallest and the largest value that there may be, by the buckets.
    #[must_use]
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let (first, last) = (usize::from(self.buckets.first()?.0), usize::from(self.buckets.last()?.0));
        // The last possible bucket has no upper edge, but no value is above the sum.
        let upper = if last >= hist::CLAMPED { self.sum.max(hist::CLAMP) } else { hist::upper(last) - 1 };
        Some((hist::lower(first), upper))
    }

    /// Reports whether there can be values with this minimum and this maximum: both in the buckets, or neither where
    /// there are none.
    #[must_use]
    pub fn has_possible_extremes(&self) -> bool {
        match (self.bounds(), self.min.zip(self.max)) {
            (Some((lower, upper)), Some((min, max))) => lower <= min && min <= max && max <= upper,
            (bounds, _) => bounds.is_none() && self.min.is_none() && self.max.is_none(),
        }
    }

    /// Replaces extremes that lie outside of the buckets by the edges of these: recordings of earlier versions have
    /// those of the session in each interval.
    pub fn bound_by_buckets(&mut self) {
        let Some((lower, upper)) = self.bounds() else { return };
        if self.min.is_some_and(|min| min < lower) {
            (self.min, self.min_is_bound) = (Some(lower), true);
        }
        if self.max.is_some_and(|max| max > upper) {
            (self.max, self.max_is_bound) = (Some(upper), true);
        }
    }

    /// The largest value.
    #[must_use]
    pub fn largest(&self) -> Option<Largest> {
        self.max.map(|value| Largest { value, exact: !self.max_is_bound })
    }

    /// In a long session most buckets are there already: only new ones cost a new list.
    fn merge_buckets(&mut self, others: &[(u16, u64)]) {
        let mut new: Vec<(u16, u64)> = Vec::new();
        let mut rest = &mut self.buckets[..];
        for other in others {
            let at = rest.partition_point(|bucket| bucket.0 < other.0);
            rest = &mut rest[at..];
            match rest.first_mut() {
                Some(mine) if mine.0 == other.0 => mine.1 += other.1,
                _ => new.push(*other),
            }
        }
        if !new.is_empty() {
            self.buckets = merged(&self.buckets, &new);
        }
    }

    /// The sum of many: they are added up in one flat table, which is several times faster than merging each.
    #[must_use]
    pub fn of_all<'a>(hists: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut flat = [0_u64; hist::BUCKETS];
        let (mut low, mut high) = (hist::BUCKETS, 0);
        let mut sum = Self::default();
        for other in hists {
            let (Some(first), Some(last)) = (other.buckets.first(), other.buckets.last()) else { continue };
            (low, high) = (low.min(usize::from(first.0)), high.max(usize::from(last.0) + 1));
            for (index, count) in &other.buckets {
                flat[usize::from(*index)] += count;
            }
            sum.sum += other.sum;
            sum.merge_extremes(other);
        }
        let some = (low..high).filter(|at| flat[*at] != 0);
        sum.buckets = some.map(|at| (at as u16, flat[at])).collect();
        sum
    }

    /// Mean of the values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum as f64 / count as f64)
    }

    /// The value below or at which a share of the values lies: the middle of its bucket, kept within minimum and
    /// maximum. The true value differs by at most [`hist::MAX_RELATIVE_ERROR`] of itself.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let (index, _) = *self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        })?;
        Some(self.middle(index))
    }

    /// Value that stands for those of a bucket: its middle, kept within minimum and maximum.
    #[must_use]
    pub fn middle(&self, index: u16) -> u64 {
        let index = usize::from(index);
        let middle = if index >= hist::CLAMPED {
            self.max.unwrap_or(hist::CLAMP)
        } else {
            hist::lower(index) + (hist::upper(index) - 1 - hist::lower(index)) / 2
        };
        middle.clamp(self.min.unwrap_or(0), self.max.unwrap_or(u64::MAX))
    }

    /// Values of [`hist::CLAMP`] and more, which share one bucket.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.bucket(hist::CLAMPED as u16)
    }
}

/// Two ascending lists as one, in one walk.
fn merged(left: &[(u16, u64)], right: &[(u16, u64)]) -> Vec<(u16, u64)> {
    let mut buckets = Vec::with_capacity(left.len() + right.len());
    let mut right = right.iter().copied().peekable();
    for (index, count) in left.iter().copied() {
        while let Some(other) = right.next_if(|other| other.0 < index) {
            buckets.push(other);
        }
        let same = right.next_if(|other| other.0 == index).map_or(0, |other| other.1);
        buckets.push((index, count + same));
    }
    buckets.extend(right);
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_stay_within_the_stated_error() {
        let values: Vec<u64> = (1..=10_000).map(|value| value * value).collect();
        let mut hist = Hist::default();
        values.iter().for_each(|value| hist.record(*value));
        for share in [0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = values[((share * 10_000.0_f64).ceil() as usize).max(1) - 1] as f64;
            let shown = hist.quantile(share).unwrap() as f64;
            assert!((shown - exact).abs() <= exact / 32.0, "{share}: {shown} for {exact}");
        }
        assert_eq!(hist.sum, values.iter().sum::<u64>());
    }

    #[test]
    fn merging_is_addition() {
        let (mut left, mut right, mut both) = (Hist::default(), Hist::default(), Hist::default());
        for value in [0, 1, 31, 32, 1000, u64::from(u32::MAX)] {
            left.record(value);
            right.record(value * 3);
            both.record(value);
            both.record(value * 3);
        }
        left.merge(&right);
        assert_eq!(left, both);
    }

    #[test]
    fn many_at_once_are_the_same_as_one_after_another() {
        let hists: Vec<Hist> = (0..40_u64)
            .map(|at| {
                let mut hist = Hist::default();
                (0..at).for_each(|value| hist.record((value * value * (at + 7)) << (at % 30)));
                hist
            })
            .collect();
        let mut merged = Hist::default();
        hists.iter().for_each(|hist| merged.merge(hist));
        assert_eq!(Hist::of_all(&hists), merged);
        assert_eq!(Hist::of_all(&hists[..1]), Hist::default());
    }

    #[test]
    fn of_equal_extremes_the_exact_one_is_kept() {
        let hist = |min, max, bounds| Hist {
            min: Some(min),
            max: Some(max),
            min_is_bound: bounds,
            max_is_bound: bounds,
            ..Hist::default()
        };
        for (one, other, both) in [
            (hist(5, 70, false), hist(5, 70, true), hist(5, 70, false)),
            (hist(5, 70, false), hist(4, 71, true), hist(4, 71, true)),
            (hist(5, 70, true), hist(6, 69, false), hist(5, 70, true)),
            (Hist::default(), hist(5, 70, true), hist(5, 70, true)),
        ] {
            for (mut sum, next) in [(one.clone(), other.clone()), (other.clone(), one.clone())] {
                sum.merge(&next);
                assert_eq!(sum, both);
            }
        }
    }

    #[test]
    fn extremes_outside_of_the_buckets_become_their_edges() {
        let mut hist = Hist { min: Some(3), max: Some(700_000_000), ..Hist::default() };
        hist.add(hist::index(2000) as u16, 1);
        hist.bound_by_buckets();
        assert_eq!((hist.min, hist.max), (Some(1984), Some(2015)));
        assert!(hist.min_is_bound && hist.max_is_bound);
        let mut within = Hist::default();
        [2000, hist::CLAMP + 7].iter().for_each(|value| within.record(*value));
        let before = within.clone();
        within.bound_by_buckets();
        assert_eq!(within, before);
    }

    #[test]
    fn an_empty_one_has_no_numbers() {
        let hist = Hist::default();
        assert_eq!((hist.count(), hist.mean(), hist.quantile(0.5)), (0, None, None));
    }
}
