//! The truth of a run: what each cell did, what both sides know together, and whether it adds up.

use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::sys::usage::Usage;
use serde::Serialize;

use crate::cell::Cell;
use crate::pair::Outcome;
use crate::plan::Plan;
use crate::queue::Attempts;
use crate::report::{LockReport, Report};

/// All cells, in the order they ran.
#[derive(Debug, Serialize)]
pub struct Detail {
    /// Name and version of the C library whose mutex was used.
    pub c_library: String,
    /// CPUs the two sides were pinned to.
    pub pin: Option<String>,
    /// One entry per cell and round.
    pub cells: Vec<CellTruth>,
}

/// One run of one cell. The totals are those of both sides together.
#[derive(Debug, Serialize)]
pub struct CellTruth {
    /// The varied parameters.
    #[serde(flatten)]
    pub cell: Cell,
    /// Most messages in a queue.
    pub capacity: u64,
    /// Number of the repetition of the cell.
    pub round: u32,
    /// Whole round trips, as the client counted them.
    pub completed: u64,
    /// Messages received by either side: two per round trip.
    pub packets: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// The client's time from its go to the last reply.
    pub elapsed_ns: u64,
    /// That, per round trip.
    pub ns_per_round_trip: Option<f64>,
    /// CPU time, switches and faults.
    pub usage: Usage,
    /// Attempts on both queues.
    pub attempts: Attempts,
    /// `sched_yield` calls while waiting for the other side.
    pub yields: u64,
    /// Both locks, both sides.
    pub lock: Option<LockReport>,
    /// Futex calls as the kernel counted them (`--count-futex`).
    pub futex_syscalls: Option<u64>,
    /// The client timed every round trip of so many.
    pub time_every: u64,
    /// Time per round trip, of those that were timed.
    pub latency: Option<LatencyHist>,
    /// Contradictions between the numbers; empty when all add up.
    pub faults: Vec<String>,
    /// Each side for itself.
    pub sides: Vec<Report>,
}

impl CellTruth {
    /// Adds up what the sides told.
    pub fn new(cell: Cell, plan: &Plan, round: u32, outcome: Outcome, interrupted: bool) -> Self {
        let completed = outcome.client.as_ref().or(outcome.server.as_ref()).map_or(0, |side| side.completed);
        let elapsed_ns =
            outcome.client.as_ref().or(outcome.server.as_ref()).map_or(0, |side| side.elapsed_ns);
        let latency = outcome.client.as_ref().and_then(|client| client.latency.clone());
        let sides: Vec<Report> = outcome.server.into_iter().chain(outcome.client).collect();
        let packets = sides.iter().map(|side| side.messages.received).sum();
        let mut attempts = Attempts::default();
        sides.iter().for_each(|side| attempts.add(side.attempts));
        let mut truth = Self {
            cell,
            capacity: plan.geometry.capacity,
            round,
            completed,
            packets,
            bytes: packets * cell.size,
            elapsed_ns,
            ns_per_round_trip: (completed > 0).then(|| elapsed_ns as f64 / completed as f64),
            usage: sides.iter().fold(Usage::default(), |sum, side| sum.plus(side.usage)),
            attempts,
            yields: sides.iter().map(|side| side.yields).sum(),
            lock: sides.iter().filter_map(|side| side.lock.clone()).reduce(|sum, lock| sum.plus(&lock)),
            futex_syscalls: sides.iter().map(|side| side.futex_syscalls).sum(),
            time_every: plan.time_every,
            latency,
            faults: Vec::new(),
            sides,
        };
        truth.faults = truth.contradictions(interrupted);
        truth
    }

    /// Futex calls, from the best source there is.
    pub fn futex_calls(&self) -> Option<u64> {
        self.futex_syscalls.or_else(|| self.lock.as_ref().and_then(LockReport::futex_calls))
    }

    fn contradictions(&self, interrupted: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for side in &self.sides {
            let mut check = |holds: bool, what: &str| {
                if !holds {
                    faults.push(format!("{}: {what}", side.role.name()));
                }
            };
            check(interrupted || side.completed == self.cell.repetitions, "not all round trips were made");
            check(side.messages.perfect(), "messages were lost, reordered, duplicated or torn");
            check(
                side.attempts.enqueued == side.messages.sent,
                "the queue took in another number than was sent",
            );
            check(
                side.attempts.dequeued == side.messages.received,
                "the queue gave another number than came",
            );
            // A side stopped inside a lock has counted the way in and not the arrival.
            if let (Some(lock), None) = (&side.lock, &side.stopped) {
                check(lock.acquisitions == side.attempts.total(), "an attempt did not take the lock once");
                lock_adds_up(lock, side.futex_syscalls, &mut check);
            }
        }
        faults
    }
}

fn lock_adds_up(lock: &LockReport, futex_syscalls: Option<u64>, check: &mut impl FnMut(bool, &str)) {
    let ordered =
        |less: Option<u64>, more: Option<u64>| less.zip(more).is_none_or(|(less, more)| less <= more);
    check(ordered(lock.contended, Some(lock.acquisitions)), "contended more often than taken");
    check(ordered(lock.gave_up, lock.contended), "gave up more often than contended");
    check(ordered(lock.slow_calls, lock.gave_up.or(lock.contended)), "more slow calls than reasons for them");
    let spins = lock.spins.as_ref().map(LatencyHist::count);
    check(spins.is_none() || spins == lock.contended, "the spin histogram misses contended acquisitions");
    let exact = lock.spins_exact.as_ref().map(|counts| counts.iter().map(|(_, n)| n).sum());
    check(exact.is_none() || exact == spins, "the exact spin counts differ from the histogram");
    let same = lock.futex_calls().zip(futex_syscalls).is_none_or(|(ours, kernel)| ours == kernel);
    check(same, "the kernel counted other futex calls than we made");
}
