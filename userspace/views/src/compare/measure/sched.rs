//! Scheduling, and who woke whom.

use std::collections::BTreeMap;

use model::hist::Hist;

use super::Found;
use crate::{
    compare::{
        HistError, Measure,
        json::{Section, Unit},
        values,
    },
    export::json::{Process, Sched, WakerContext},
};

/// Nothing where the probe did not run.
pub fn add(found: &mut Found<'_>, processes: &[&Process]) -> Result<(), HistError> {
    let all: Vec<&Sched> = processes.iter().filter_map(|process| process.sched.as_ref()).collect();
    if all.is_empty() {
        return Ok(());
    }
    let whole = |of: fn(&Sched) -> u64| all.iter().map(|sched| of(sched) as f64).sum::<f64>();
    let of = |key: &str, name: &str, value: f64| Measure::exact(key, name, Section::Scheduling, value);
    let (voluntary, involuntary) = (whole(|it| it.switches_voluntary), whole(|it| it.switches_involuntary));
    let cost = |key: &str, name: &str, value: f64| Measure::exact(key, name, Section::Cost, value);
    found.count(cost("switches", "context switches", voluntary + involuntary));
    found.count(of("switches.voluntary", "voluntary switches", voluntary));
    found.count(of("switches.involuntary", "involuntary switches", involuntary));
    found.count(of("migrations", "migrations", whole(|it| it.migrations)));
    let cpu = whole(|it| {
        let budget = &it.budget;
        [budget.faults_ns, budget.kernel_ns].into_iter().fold(budget.user_ns, u64::saturating_add)
    });
    found.count(cost("cpu", "CPU time", cpu).in_unit(Unit::Ns));
    let mut wakeups = Hist::default();
    for sched in &all {
        wakeups.merge(&values(&sched.wakeup_to_run)?);
    }
    found.count(cost("wakeups", "wakeups", wakeups.count() as f64));
    found.times(&of("wakeup", "wakeup to run", 0.0).in_unit(Unit::Ns), wakeups);
    wakers(found, &all)
}

fn wakers(found: &mut Found<'_>, all: &[&Sched]) -> Result<(), HistError> {
    let mut sums: BTreeMap<String, Hist> = BTreeMap::new();
    for waker in all.iter().flat_map(|sched| &sched.wakers) {
        let name = match waker.context {
            WakerContext::Interrupt => "interrupts".to_owned(),
            WakerContext::Task if waker.comm.is_empty() => "other programs".to_owned(),
            WakerContext::Task | WakerContext::Unknown => waker.comm.clone(),
        };
        sums.entry(name).or_default().merge(&values(&waker.latency)?);
    }
    for (name, latency) in sums {
        let of = |tail: &str, value: f64| {
            Measure::exact(
                format!("waker.{name}.{tail}"),
                format!("by {name}, {tail}"),
                Section::Wakers,
                value,
            )
        };
        found.count(of("count", latency.count() as f64).with_better(None));
        if let Some(mean) = latency.mean() {
            found.plain(of("mean", mean).in_unit(Unit::Ns));
        }
    }
    Ok(())
}
