//! Result of a pattern: the time that a piece of work took, and each party's share of it.

use std::time::{Duration, Instant};

use crate::hist::LatencyHist;

/// One party's part of a lap.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Operations this party did.
    pub operations: u64,
    /// When it began its first one.
    pub began: Instant,
    /// When it ended its last one.
    pub ended: Instant,
}

/// One timed piece of work.
#[derive(Clone, Debug)]
pub struct Lap {
    /// Operations done, each counted once however many parties have a part in it.
    pub operations: u64,
    /// From the first party's first operation to the last party's last one.
    pub elapsed: Duration,
    /// One entry per party that did operations of its own.
    pub shares: Vec<Share>,
    /// Longest run of operations that one party got in a row, where parties race for operations.
    pub longest_streak: Option<u64>,
}

impl Lap {
    /// The lap that these shares make up, each of operations of its own.
    #[must_use]
    pub fn of(shares: Vec<Share>) -> Self {
        let operations = shares.iter().map(|share| share.operations).sum();
        let began = shares.iter().map(|share| share.began).min();
        let ended = shares.iter().map(|share| share.ended).max();
        let elapsed = match (began, ended) {
            (Some(began), Some(ended)) => ended.saturating_duration_since(began),
            _ => Duration::ZERO,
        };
        Self { operations, elapsed, shares, longest_streak: None }
    }

    /// The same where the first `senders` parties do what the others then do again.
    #[must_use]
    pub fn of_teams(shares: Vec<Share>, senders: usize) -> Self {
        let operations = shares.iter().take(senders).map(|share| share.operations).sum();
        Self { operations, ..Self::of(shares) }
    }

    /// A lap of one party.
    #[must_use]
    pub fn alone(operations: u64, began: Instant, ended: Instant) -> Self {
        Self::of(vec![Share { operations, began, ended }])
    }

    /// Share of the lap that the parties were in it together: 1 when all were at work from start to end, 1/n when they
    /// worked one after the other. Many threads on few CPUs with little work each have little overlap: their
    /// "contention" is then none.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        let whole = self.elapsed.as_secs_f64() * self.shares.len() as f64;
        if whole == 0.0 {
            return 1.0;
        }
        let busy: f64 =
            self.shares.iter().map(|s| s.ended.saturating_duration_since(s.began).as_secs_f64()).sum();
        busy / whole
    }
}

/// Results of timing operations one by one (or batch by batch).
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Operations that were timed.
    pub operations: u64,
    /// Of these, how many found the lock taken; `None` where a pattern has no lock that can tell.
    pub contended: Option<u64>,
    /// Time per operation, in ns.
    pub latency: LatencyHist,
}

impl Observed {
    /// Adds what another party saw.
    pub fn merge(&mut self, other: &Self) {
        self.operations += other.operations;
        self.latency.merge(&other.latency);
        if let Some(more) = other.contended {
            *self.contended.get_or_insert(0) += more;
        }
    }

    /// Counts one lock operation, and whether it found the lock taken.
    pub fn count_contended(&mut self, contended: bool) {
        *self.contended.get_or_insert(0) += u64::from(contended);
    }

    /// Records a batch that took this long, as its mean per operation.
    pub fn record(&mut self, operations: u64, took: Duration) {
        self.operations += operations;
        self.latency.record(nanos(took) / operations.max(1));
    }
}

/// Whole nanoseconds of a duration, saturating.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(origin: Instant, from: u64, to: u64) -> Share {
        let at = |ns| origin + Duration::from_nanos(ns);
        Share { operations: 1, began: at(from), ended: at(to) }
    }

    #[test]
    fn a_lap_lasts_from_the_first_start_to_the_last_end() {
        let now = Instant::now();
        let lap = Lap::of(vec![share(now, 100, 300), share(now, 50, 200)]);
        assert_eq!(lap.elapsed, Duration::from_nanos(250));
    }

    #[test]
    fn overlap_tells_together_from_one_after_the_other() {
        let now = Instant::now();
        let together = Lap::of(vec![share(now, 0, 100), share(now, 0, 100)]);
        let in_turn = Lap::of(vec![share(now, 0, 100), share(now, 100, 200)]);
        assert!((together.overlap() - 1.0).abs() < 1e-9);
        assert!((in_turn.overlap() - 0.5).abs() < 1e-9);
        assert!((Lap::of(Vec::new()).overlap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_batch_is_recorded_as_its_mean() {
        let mut seen = Observed::default();
        seen.record(100, Duration::from_nanos(1_000));
        assert_eq!(seen.operations, 100);
        assert_eq!(seen.latency.count(), 1);
        assert_eq!(seen.latency.max(), Some(10));
    }
}
