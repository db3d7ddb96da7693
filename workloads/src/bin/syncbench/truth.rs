//! The run's record of itself, as it is printed with `--json` and as the table is made from.

use std::collections::BTreeMap;

use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::patterns::{Observed, Pattern};
use pulse_trace_workloads::sys::usage::Usage;
use serde::Serialize;

use crate::baseline::{Baseline, Saved};
use crate::fairness::Fairness;
use crate::host::Host;
use crate::measure::{Floor, Operations, Round, observed_batch};
use crate::settings::Settings;
use crate::stats::{Bootstrap, Summary, summarise};
use crate::verdict::{Aim, Change, Conditions, Trend};

/// One benchmark's result.
#[derive(Clone, Debug, Serialize)]
pub struct Benchmark {
    pub name: &'static str,
    pub group: String,
    pub parties: usize,
    pub about: &'static str,
    pub operations: Operations,
    pub operations_per_lap: u64,
    /// Operations that the structure itself counted over all rounds; must equal the sum of `operations`.
    pub counted: Option<u64>,
    pub holds: bool,
    pub samples: usize,
    /// ns per operation.
    pub time: Summary,
    /// Share of the time that the parties were at work together: 1 wholly, 1/parties one after the other.
    pub overlap: f64,
    /// CPU time by elapsed time while it measured.
    pub cpus_used: f64,
    /// Share of the CPU time the process was ready to use that it did not get: it makes times too long.
    pub starved: f64,
    /// CPU time of all parties by operations: what an operation costs the machine, however often the parties were
    /// interrupted by others.
    pub cpu_ns_per_operation: f64,
    /// CPU time, context switches and page faults of the process while it measured, as the kernel counts them.
    pub usage: Usage,
    pub observed: Option<Look>,
    pub fairness: Option<Fairness>,
    pub target: Option<Goal>,
    pub change: Option<Change>,
}

/// Results of the pass over single operations.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    pub operations: u64,
    /// Operations timed together; what is recorded is their mean.
    pub batch: u64,
    /// Operations that found the lock taken; only locks can tell.
    pub contended: Option<u64>,
    pub latency: LatencyHist,
}

/// The published target and what became of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goal {
    pub operation: &'static str,
    pub below_ns: f64,
    pub source: &'static str,
    pub verdict: Aim,
}

/// Number of targets by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Goals {
    pub met: usize,
    pub missed: usize,
    pub unsure: usize,
    pub untested: usize,
}

/// The comparison with an earlier run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub slower: Vec<&'static str>,
    pub faster: Vec<&'static str>,
    pub same: usize,
    /// Measured now but not then.
    pub new: Vec<&'static str>,
    /// In what machine and settings differ: reasons to doubt the comparison.
    pub differs: Vec<&'static str>,
}

/// The family's part of the truth.
#[derive(Debug, Serialize)]
pub struct Detail {
    /// All operations of all benchmarks.
    pub operations: u64,
    pub elapsed_ns: u64,
    pub usage: Usage,
    pub host: Host,
    pub settings: Settings,
    pub floor: Floor,
    pub benchmarks: Vec<Benchmark>,
    pub targets: Goals,
    pub comparison: Option<Comparison>,
    pub notes: Vec<String>,
}

impl Benchmark {
    /// The result of these rounds; `None` when there was none.
    pub fn of(
        pattern: &Pattern,
        rounds: &[Round],
        bootstrap: &Bootstrap,
        baseline: Option<&Baseline>,
        noise: f64,
    ) -> Option<Self> {
        let samples: Vec<Vec<f64>> = rounds.iter().map(|round| round.samples.clone()).collect();
        let time = summarise(&samples, bootstrap)?;
        let starved = starved(rounds);
        let change = || {
            let before = baseline?.of(pattern.name)?;
            let noise = noise.max(inflation(before.starved)).max(inflation(starved));
            Some(Change::between(&before.rounds, &samples, bootstrap, noise))
        };
        let before: Vec<Vec<f64>> = rounds.iter().map(|round| round.before.clone()).collect();
        let change = if before.iter().any(|laps| !laps.is_empty()) {
            Some(Change::paired(&before, &samples, bootstrap, noise))
        } else {
            change()
        };
        let mean = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>() / rounds.len() as f64;
        let (overlap, cpus_used) = (mean(|round| round.overlap), mean(|round| round.spent.cpus_used));
        let usage = rounds.iter().fold(Usage::default(), |sum, round| sum.plus(round.spent.usage));
        let operations = total(rounds);
        let cpu_ns = (usage.user_ns + usage.system_ns) as f64 / operations.measured.max(1) as f64;
        let conditions = Conditions { parties: pattern.parties, overlap, cpus_used, starved, cpu_ns };
        Some(Self {
            name: pattern.name,
            group: format!("{:?}", pattern.group).to_lowercase(),
            parties: pattern.parties,
            about: pattern.about,
            operations,
            operations_per_lap: rounds.last().map_or(0, |round| round.per_lap),
            counted: rounds.iter().map(|round| round.counted).sum(),
            holds: rounds.iter().all(Round::holds),
            samples: samples.iter().map(Vec::len).sum(),
            overlap,
            cpus_used,
            starved,
            cpu_ns_per_operation: cpu_ns,
            usage,
            observed: look(rounds, time.median),
            fairness: Fairness::over(rounds.iter().filter_map(|round| round.fairness.as_ref())),
            target: pattern.target.map(|target| Goal {
                operation: target.operation,
                below_ns: target.below_ns,
                source: target.source,
                verdict: Aim::of(&target, time.interval, conditions),
            }),
            change,
            time,
        })
    }
}

/// The mean over the rounds.
fn starved(rounds: &[Round]) -> f64 {
    rounds.iter().map(|round| round.spent.starved).sum::<f64>() / rounds.len().max(1) as f64
}

/// By what share a time grows when so much of the CPU time went to others: a change up to that may be theirs.
fn inflation(starved: f64) -> f64 {
    starved / (1.0 - starved.min(0.99))
}

fn total(rounds: &[Round]) -> Operations {
    rounds.iter().fold(Operations::default(), |sum, round| Operations {
        warmup: sum.warmup + round.operations.warmup,
        measured: sum.measured + round.operations.measured,
        observed: sum.observed + round.operations.observed,
    })
}

fn look(rounds: &[Round], cost: f64) -> Option<Look> {
    let mut all = Observed::default();
    for seen in rounds.iter().filter_map(|round| round.observed.as_ref()) {
        all.merge(seen);
    }
    let Observed { operations, contended, latency } = all;
    (operations > 0).then(|| Look { operations, batch: observed_batch(cost), contended, latency })
}

impl Goals {
    /// Counts the verdicts.
    pub fn of(benchmarks: &[Benchmark]) -> Self {
        let count = |aim| {
            benchmarks.iter().filter(|result| result.target.is_some_and(|goal| goal.verdict == aim)).count()
        };
        Self {
            met: count(Aim::Met),
            missed: count(Aim::Missed),
            unsure: count(Aim::Unsure),
            untested: count(Aim::Untested),
        }
    }
}

impl Comparison {
    /// Sorts the results by their trend.
    pub fn of(benchmarks: &[Benchmark], differs: Vec<&'static str>) -> Self {
        let mut all = Self { differs, ..Self::default() };
        for result in benchmarks {
            match result.change.map(|change| change.trend) {
                None => all.new.push(result.name),
                Some(Trend::Same) => all.same += 1,
                Some(Trend::Slower) => all.slower.push(result.name),
                Some(Trend::Faster) => all.faster.push(result.name),
            }
        }
        all
    }
}

/// The samples of all rounds by benchmark, to be saved.
pub fn samples(measured: &[(Pattern, Vec<Round>)]) -> BTreeMap<String, Saved> {
    let saved = |rounds: &[Round]| Saved {
        starved: starved(rounds),
        rounds: rounds.iter().map(|round| round.samples.clone()).collect(),
    };
    measured
        .iter()
        .filter(|(_, rounds)| !rounds.is_empty())
        .map(|(pattern, rounds)| (pattern.name.to_owned(), saved(rounds)))
        .collect()
}
