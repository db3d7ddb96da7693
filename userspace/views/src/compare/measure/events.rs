//! Measures of events.

use std::collections::BTreeMap;

use model::hist::Hist;

use super::Found;
use crate::{
    compare::{
        HistError, Measure,
        json::{Section, Unit},
        values,
    },
    export::json::Process,
};

/// Each kind of event, all processes together.
pub fn add(found: &mut Found<'_>, processes: &[&Process]) -> Result<(), HistError> {
    let mut sums: BTreeMap<String, (u64, u64, Hist)> = BTreeMap::new();
    for event in processes.iter().flat_map(|process| &process.events) {
        let (count, total_ns, times) = sums.entry(format!("{}.{}", event.probe, event.kind)).or_default();
        *count = count.saturating_add(event.count);
        *total_ns = total_ns.saturating_add(event.time.sum).saturating_add(event.lean.sum_ns);
        times.merge(&values(&event.time)?);
    }
    for (name, (count, total_ns, times)) in sums {
        let words = name.replacen('.', ": ", 1);
        let of = |tail: &str, value: f64| {
            Measure::exact(format!("{name}.{tail}"), format!("{words} {tail}"), Section::Events, value)
        };
        found.count(of("count", count as f64));
        found.count(of("time", total_ns as f64).in_unit(Unit::Ns));
        let like = Measure::exact(&name, &words, Section::Events, 0.0).in_unit(Unit::Ns);
        found.times(&like, times);
    }
    Ok(())
}
