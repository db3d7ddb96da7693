//! Report of each side when it is done.

use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::sys::usage::Usage;
use serde::{Deserialize, Serialize, Serializer};

use crate::locks::Stop;
use crate::message::Tally;
use crate::plan::Role;
use crate::queue::{Attempts, LockUse};

/// One side's own truth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The side that reports.
    pub role: Role,
    /// Process id of the side.
    pub pid: u32,
    /// Whole round trips.
    pub completed: u64,
    /// From its go to its last message.
    pub elapsed_ns: u64,
    /// CPU time, context switches and page faults of its process in that time, as the kernel counts them.
    pub usage: Usage,
    /// Messages of both queues, as it saw them.
    pub messages: Tally,
    /// Its attempts on both queues.
    pub attempts: Attempts,
    /// `sched_yield` calls while waiting for the other side.
    pub yields: u64,
    /// Both locks together; none without a lock.
    pub lock: Option<LockReport>,
    /// Time per round trip, of those that were timed (client only).
    pub latency: Option<LatencyHist>,
    /// Futex system calls as the kernel counted them, where asked for.
    pub futex_syscalls: Option<u64>,
    /// Reason for an early end.
    pub stopped: Option<String>,
}

/// The use of the locks. What a kind of lock does not know is null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LockReport {
    /// Times a lock was taken.
    pub acquisitions: u64,
    /// Of these, not at the first attempt.
    pub contended: Option<u64>,
    /// Of these, not within the spin limit.
    pub gave_up: Option<u64>,
    /// Of these, not at the attempt after giving up either.
    pub slow_calls: Option<u64>,
    /// `FUTEX_WAIT` system calls.
    pub futex_waits: Option<u64>,
    /// Of these, answered `EAGAIN`.
    pub futex_waits_missed: Option<u64>,
    /// `FUTEX_WAKE` system calls.
    pub futex_wakes: Option<u64>,
    /// Of these, woke no thread.
    pub futex_wakes_in_vain: Option<u64>,
    /// `sched_yield` calls inside a lock that never sleeps.
    pub yields: u64,
    /// Times the previous owner had died.
    pub owner_deaths: u64,
    /// The running mean of the spin count that lay in the mutex at the end (the larger of both).
    pub running_mean: Option<i16>,
    /// Spin count of the contended acquisitions.
    #[serde(serialize_with = "as_counts")]
    pub spins: Option<LatencyHist>,
    /// The same, exactly: each count and how often it occurred.
    pub spins_exact: Option<Vec<(u64, u64)>>,
}

fn as_counts<S: Serializer>(hist: &Option<LatencyHist>, serializer: S) -> Result<S::Ok, S::Error> {
    /// Serialises through the method for counts.
    struct Counts<'a>(&'a LatencyHist);
    impl Serialize for Counts<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize_counts(serializer)
        }
    }
    hist.as_ref().map(Counts).serialize(serializer)
}

impl LockReport {
    /// The report of one lock; null for counters that its kind does not keep.
    pub fn of(used: &LockUse<'_>) -> Self {
        let (counters, knows) = (used.counters, used.knows);
        let futex = |count: u64| knows.futex.then_some(count);
        Self {
            acquisitions: counters.acquisitions,
            contended: knows.contended.then_some(counters.contended),
            gave_up: knows.limit.then_some(counters.gave_up),
            slow_calls: futex(counters.slow_calls),
            futex_waits: futex(counters.futex_waits),
            futex_waits_missed: futex(counters.futex_waits_missed),
            futex_wakes: futex(counters.futex_wakes),
            futex_wakes_in_vain: futex(counters.futex_wakes_in_vain),
            yields: counters.yields,
            owner_deaths: counters.owner_deaths,
            running_mean: used.running_mean,
            spins: knows.spins.then(|| counters.spins.histogram()),
            spins_exact: knows.spins.then(|| counters.spins.exact()).flatten(),
        }
    }

    /// Both together; both are of the same kind.
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        Self {
            acquisitions: self.acquisitions + other.acquisitions,
            contended: sum(self.contended, other.contended),
            gave_up: sum(self.gave_up, other.gave_up),
            slow_calls: sum(self.slow_calls, other.slow_calls),
            futex_waits: sum(self.futex_waits, other.futex_waits),
            futex_waits_missed: sum(self.futex_waits_missed, other.futex_waits_missed),
            futex_wakes: sum(self.futex_wakes, other.futex_wakes),
            futex_wakes_in_vain: sum(self.futex_wakes_in_vain, other.futex_wakes_in_vain),
            yields: self.yields + other.yields,
            owner_deaths: self.owner_deaths + other.owner_deaths,
            running_mean: self.running_mean.max(other.running_mean),
            spins: self.spins.as_ref().zip(other.spins.as_ref()).map(|(mine, theirs)| {
                let mut all = mine.clone();
                all.merge(theirs);
                all
            }),
            spins_exact: self.spins_exact.as_ref().zip(other.spins_exact.as_ref()).map(|(a, b)| merged(a, b)),
        }
    }

    /// Futex system calls it knows of.
    pub fn futex_calls(&self) -> Option<u64> {
        self.futex_waits.zip(self.futex_wakes).map(|(waits, wakes)| waits + wakes)
    }
}

fn merged(a: &[(u64, u64)], b: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all = std::collections::BTreeMap::new();
    for (value, n) in a.iter().chain(b) {
        *all.entry(*value).or_insert(0) += n;
    }
    all.into_iter().collect()
}

/// A stop in words.
pub fn in_words(stop: &Stop) -> String {
    match stop {
        Stop::Asked => String::from("a stop was asked for"),
        Stop::Stalled => String::from("the other side made no progress"),
        Stop::Lock(error) => format!("the lock cannot be taken: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(contended: Option<u64>, spins: &[(u64, u64)]) -> LockReport {
        let mut hist = LatencyHist::new();
        spins.iter().for_each(|(value, n)| (0..*n).for_each(|_| hist.record(*value)));
        LockReport {
            acquisitions: 10,
            contended,
            spins: Some(hist),
            spins_exact: Some(spins.to_vec()),
            ..LockReport::default()
        }
    }

    #[test]
    fn two_locks_add_up_and_the_unknown_stays_unknown() {
        let sum = report(Some(3), &[(1, 2), (5, 1)]).plus(&report(Some(1), &[(5, 1)]));
        assert_eq!((sum.acquisitions, sum.contended, sum.gave_up), (20, Some(4), None));
        assert_eq!(sum.spins_exact, Some(vec![(1, 2), (5, 2)]));
        assert_eq!(sum.spins.map(|spins| spins.count()), Some(4));
        assert_eq!(report(None, &[]).plus(&report(None, &[])).contended, None);
    }

    #[test]
    fn a_report_survives_the_pipe_and_counts_are_no_nanoseconds() {
        let json = serde_json::to_value(report(Some(3), &[(1, 2)])).unwrap();
        assert_eq!(json["spins"]["unit"], "count");
        let back: LockReport = serde_json::from_value(json).unwrap();
        assert_eq!((back.contended, back.spins_exact), (Some(3), Some(vec![(1, 2)])));
    }
}
