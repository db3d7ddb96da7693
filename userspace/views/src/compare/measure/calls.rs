//! Measures of system calls.

use std::collections::BTreeMap;

use model::hist::Hist;

use super::Found;
use crate::{
    compare::{
        HistError, Measure,
        json::{Section, Unit},
        values,
    },
    export::json::{Process, Syscall},
};

#[derive(Default)]
struct Sum {
    count: u64,
    errors: u64,
    total_ns: u64,
    latency: Hist,
}

impl Sum {
    fn count(&mut self, call: &Syscall) {
        self.count = self.count.saturating_add(call.count);
        self.errors = call.errors.values().fold(self.errors, |all, more| all.saturating_add(*more));
    }
}

/// All calls together, and each kind; of calls told apart by operation only what adds up over the operations.
pub fn add(found: &mut Found<'_>, processes: &[&Process]) -> Result<(), HistError> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut mixed: BTreeMap<&str, Sum> = BTreeMap::new();
    for call in processes.iter().flat_map(|process| &process.syscalls) {
        if call.whole() != call.name {
            mixed.entry(call.whole()).or_default().count(call);
        }
        let sum = sums.entry(&call.name).or_default();
        sum.count(call);
        sum.total_ns = sum.total_ns.saturating_add(call.latency.sum).saturating_add(call.lean.sum_ns);
        sum.latency.merge(&values(&call.latency)?);
    }
    let whole = |of: fn(&Sum) -> u64| sums.values().map(|sum| of(sum) as f64).sum::<f64>();
    let cost = |key: &str, name: &str, value: f64| Measure::exact(key, name, Section::Cost, value);
    found.count(cost("syscalls", "system calls", whole(|sum| sum.count)));
    found.count(cost("syscall.time", "time in system calls", whole(|sum| sum.total_ns)).in_unit(Unit::Ns));
    for (name, sum) in mixed.into_iter().chain(sums) {
        let of = |tail: &str, value: f64| {
            Measure::exact(format!("{name}.{tail}"), format!("{name} {tail}"), Section::Syscalls, value)
        };
        found.count(of("count", sum.count as f64));
        if sum.errors > 0 {
            found.count(of("errors", sum.errors as f64));
        }
        let like = Measure::exact(name, name, Section::Syscalls, 0.0).in_unit(Unit::Ns);
        found.times(&like, sum.latency);
    }
    Ok(())
}
