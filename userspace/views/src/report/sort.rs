//! The order of calls, and of processes.

use std::{cmp::Reverse, str::FromStr};

use model::frame::CallStats;
use thiserror::Error;

/// Sort keys of calls, processes, threads and locks; the largest comes first, names ascend. Those that do not have
/// such a number are sorted by their total time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Total time of the calls.
    #[default]
    Total,
    /// Number of calls.
    Count,
    /// Number of failed calls.
    Errors,
    /// Mean latency of the calls.
    Mean,
    /// Median latency of the calls.
    P50,
    /// 90th percentile of the latency.
    P90,
    /// 99th percentile of the latency.
    P99,
    /// 99.9th percentile of the latency.
    P999,
    /// Time of the longest call.
    Max,
    /// Name, in ascending order.
    Name,
    /// Time on a CPU.
    Cpu,
    /// Time spent waiting for a CPU.
    Queue,
    /// Time spent waiting for anything else.
    Blocked,
    /// Times that it left a CPU.
    Switches,
}

/// An order that does not exist.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "cannot sort by {0:?}: it is no column; use one of total, count, errors, mean, p50, p90, p99, p999, max, name, \
     cpu, queue, blocked, switches"
)]
pub struct UnknownSort(pub String);

impl Sort {
    /// Every order, the default first.
    pub const ALL: [Self; 14] = [
        Self::Total,
        Self::Count,
        Self::Errors,
        Self::Mean,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::Name,
        Self::Cpu,
        Self::Queue,
        Self::Blocked,
        Self::Switches,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Count => "count",
            Self::Errors => "errors",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
            Self::Name => "name",
            Self::Cpu => "cpu",
            Self::Queue => "queue",
            Self::Blocked => "blocked",
            Self::Switches => "switches",
        }
    }

    /// Sorts by this; those that are equal in it by total time, then by name.
    pub fn apply<T>(self, items: &mut [T], of: impl Fn(&T) -> (&str, &CallStats)) {
        items.sort_by_cached_key(|item| {
            let (name, stats) = of(item);
            (Reverse(self.weight(stats)), Reverse(self.fallback(stats)), name.to_owned())
        });
    }

    /// Larger comes first; what has no such number comes last.
    fn weight(self, stats: &CallStats) -> Option<u64> {
        match self {
            Self::Total | Self::Cpu | Self::Queue | Self::Blocked | Self::Switches => Some(stats.total_ns()),
            Self::Count => Some(stats.count()),
            Self::Errors => Some(stats.failed()),
            Self::Mean => mean_ns(stats).map(|mean| mean as u64),
            Self::P50 => stats.latency.quantile(0.5),
            Self::P90 => stats.latency.quantile(0.9),
            Self::P99 => stats.latency.quantile(0.99),
            Self::P999 => stats.latency.quantile(0.999),
            Self::Max => stats.max_ns(),
            Self::Name => None,
        }
    }

    fn fallback(self, stats: &CallStats) -> u64 {
        if self == Self::Name { 0 } else { stats.total_ns() }
    }
}

impl FromStr for Sort {
    type Err = UnknownSort;

    fn from_str(text: &str) -> Result<Self, UnknownSort> {
        let wanted = if text == "p99.9" { "p999" } else { text };
        let found = Self::ALL.into_iter().find(|sort| sort.name() == wanted);
        found.ok_or_else(|| UnknownSort(text.to_owned()))
    }
}

/// Mean time of the calls whose time is known.
pub fn mean_ns(stats: &CallStats) -> Option<f64> {
    let timed = stats.latency.count() + stats.lean.count;
    (timed > 0).then(|| stats.total_ns() as f64 / timed as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> Vec<(String, CallStats)> {
        let stats = |latencies: &[u64], failed: u64| {
            let mut stats = CallStats::default();
            latencies.iter().for_each(|value| stats.latency.record(*value));
            stats.errors.insert(11, failed);
            stats
        };
        vec![
            ("many".to_owned(), stats(&[10; 50], 0)),
            ("slow".to_owned(), stats(&[100, 9000], 1)),
            ("failing".to_owned(), stats(&[20, 20, 20], 3)),
            ("endless".to_owned(), CallStats { unreturned: 1, ..CallStats::default() }),
        ]
    }

    #[test]
    fn each_order_puts_its_largest_first() {
        let first = |sort: Sort| {
            let mut calls = calls();
            sort.apply(&mut calls, |call| (call.0.as_str(), &call.1));
            calls.into_iter().map(|call| call.0).collect::<Vec<_>>()
        };
        assert_eq!(first(Sort::Total), ["slow", "many", "failing", "endless"]);
        assert_eq!(first(Sort::Count), ["many", "failing", "slow", "endless"]);
        assert_eq!(first(Sort::Errors), ["failing", "slow", "many", "endless"]);
        assert_eq!(first(Sort::P50), ["slow", "failing", "many", "endless"]);
        assert_eq!(first(Sort::Queue), first(Sort::Total));
        assert_eq!(first(Sort::Name), ["endless", "failing", "many", "slow"]);
    }

    #[test]
    fn names_come_back_and_others_are_refused() {
        for sort in Sort::ALL {
            assert_eq!(sort.name().parse(), Ok(sort));
        }
        assert_eq!("p99.9".parse(), Ok(Sort::P999));
        assert_eq!("speed".parse::<Sort>(), Err(UnknownSort("speed".to_owned())));
    }
}
