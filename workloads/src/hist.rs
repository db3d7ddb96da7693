//! A histogram of the project's geometry, serialised as `HIST` of the export schema.

use std::fmt::{self, Write};

use pulse_trace_common::hist::{BUCKETS, CLAMPED, MAX_RELATIVE_ERROR, index, lower, upper};
use serde::{Deserialize, Serialize};

/// Counts per bucket, with exact count, sum, minimum and maximum.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct LatencyHist {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

/// `HIST`: what an empty histogram has no answer for is null.
#[derive(Serialize, Deserialize)]
struct Wire {
    unit: String,
    count: u64,
    sum: u64,
    min: Option<u64>,
    max: Option<u64>,
    mean: Option<f64>,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p999: Option<u64>,
    max_relative_error: f64,
    buckets: Vec<(u64, u64, u64)>,
}

impl Default for LatencyHist {
    fn default() -> Self {
        Self::new()
    }
}

impl LatencyHist {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Counts one value, in nanoseconds.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.buckets[index(value)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds everything another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Exact sum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Smallest value, exact.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// Largest value, exact.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Arithmetic mean, from the exact sum.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// Values too large for the geometry, counted in the last bucket.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.buckets[CLAMPED]
    }

    /// The value below or at which a share `q` (0 to 1) lies: the top of its bucket, so it never flatters.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some((upper(bucket) - 1).min(self.max));
            }
        }
        None
    }

    /// The buckets that hold something: lower edge, exclusive upper edge, count.
    pub fn filled(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.buckets.iter().enumerate().filter(|(_, n)| **n > 0).map(|(i, n)| (lower(i), upper(i), *n))
    }

    /// A drawing in octaves, `width` characters for the fullest row; empty rows at both ends are left out.
    #[must_use]
    pub fn draw(&self, width: usize) -> String {
        let mut rows = [0u64; 64];
        for (from, _, count) in self.filled() {
            rows[from.checked_ilog2().map_or(0, |bit| bit as usize)] += count;
        }
        let most = rows.iter().copied().max().unwrap_or(0).max(1);
        let first = rows.iter().position(|n| *n > 0).unwrap_or(0);
        let last = rows.iter().rposition(|n| *n > 0).map_or(0, |row| row + 1);
        let mut out = String::new();
        for (bit, count) in rows.iter().enumerate().take(last).skip(first) {
            let from = if bit == 0 { 0 } else { 1 << bit };
            let bar = "@".repeat((u128::from(*count) * width as u128 / u128::from(most)) as usize);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "[{:>5}, {:>5}) {count:>10} |{bar:<width$}|", Edge(from), Edge(2 << bit));
        }
        out
    }

    fn wire(&self, unit: &str) -> Wire {
        Wire {
            unit: unit.to_owned(),
            count: self.count,
            sum: self.sum,
            min: self.min(),
            max: self.max(),
            mean: self.mean(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max_relative_error: MAX_RELATIVE_ERROR,
            buckets: self.filled().collect(),
        }
    }

    /// Serialises as a histogram of processor cycles; for `#[serde(serialize_with)]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize_cycles<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wire(crate::sys::tsc::UNIT).serialize(serializer)
    }

    /// Serialises as a histogram of counts instead of nanoseconds; for `#[serde(serialize_with)]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize_counts<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wire("count").serialize(serializer)
    }
}

impl Serialize for LatencyHist {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wire("ns").serialize(serializer)
    }
}

impl TryFrom<Wire> for LatencyHist {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let mut hist = Self::new();
        for (from, to, count) in wire.buckets {
            let bucket = index(from);
            if lower(bucket) != from || upper(bucket) != to {
                return Err(format!("bucket [{from}, {to}) is not of this geometry"));
            }
            hist.buckets[bucket] += count;
            hist.count += count;
        }
        if hist.count != wire.count {
            return Err(format!("the buckets hold {} values, the count says {}", hist.count, wire.count));
        }
        hist.sum = wire.sum;
        hist.min = wire.min.unwrap_or(u64::MAX);
        hist.max = wire.max.unwrap_or(0);
        Ok(hist)
    }
}

/// A power of two as bpftrace writes it: 1K, 64M.
struct Edge(u64);

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.checked_ilog2().unwrap_or(0) / 10;
        let suffix = ["", "K", "M", "G", "T", "P"].get(bits as usize).copied().unwrap_or("E");
        f.pad(&format!("{}{suffix}", self.0 >> (bits * 10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hist(values: impl IntoIterator<Item = u64>) -> LatencyHist {
        let mut hist = LatencyHist::new();
        values.into_iter().for_each(|value| hist.record(value));
        hist
    }

    #[test]
    fn quantiles_stay_within_the_stated_error_and_never_flatter() {
        let hist = hist(1..=100_000);
        for (q, exact) in [(0.5, 50_000u64), (0.9, 90_000), (0.99, 99_000), (0.999, 99_900), (1.0, 100_000)] {
            let got = hist.quantile(q).unwrap();
            assert!(got >= exact && got as f64 <= exact as f64 * (1.0 + MAX_RELATIVE_ERROR), "{q}: {got}");
        }
        assert_eq!(hist.quantile(0.0), Some(1));
        assert_eq!(hist.mean(), Some(50_000.5));
    }

    #[test]
    fn an_empty_histogram_has_no_answers() {
        let empty = LatencyHist::new();
        assert_eq!((empty.quantile(0.5), empty.min(), empty.max(), empty.mean()), (None, None, None, None));
        assert_eq!(empty.draw(20), "");
        let json = serde_json::to_value(&empty).unwrap();
        assert!(json["p99"].is_null() && json["count"] == 0);
    }

    #[test]
    fn merging_is_counting_everything_once() {
        let mut left = hist(0..500);
        left.merge(&hist(500..1000));
        assert_eq!(left, hist(0..1000));
        left.merge(&LatencyHist::new());
        assert_eq!(left, hist(0..1000));
    }

    #[test]
    fn json_round_trips_and_strangers_are_refused() {
        let before = hist([0, 5, 31, 32, 1000, 1 << 39, 1 << 40, u64::MAX - 1]);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<LatencyHist>(&json).unwrap(), before);
        assert_eq!(before.clamped(), 2);
        let strange = json.replacen("[0,1,1]", "[0,3,1]", 1);
        assert_ne!(strange, json);
        assert!(serde_json::from_str::<LatencyHist>(&strange).is_err());
    }

    #[test]
    fn the_drawing_has_one_row_per_octave() {
        let drawing = hist([1, 1024, 1500, 2048]).draw(4);
        let rows: Vec<_> = drawing.lines().collect();
        assert_eq!(rows.len(), 12);
        assert_eq!(rows[10], "[   1K,    2K)          2 |@@@@|");
        assert_eq!(rows[11], "[   2K,    4K)          1 |@@  |");
    }
}
