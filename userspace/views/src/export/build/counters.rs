//! Export of performance counters.

use std::collections::BTreeMap;

use model::counters::{self, Counter, Tally};

use crate::export::json::Counters;

/// Name of a counter's field.
const fn field(counter: Counter) -> &'static str {
    match counter {
        Counter::TaskClock => "task_clock_ns",
        Counter::ContextSwitches => "context_switches",
        Counter::Migrations => "migrations",
        Counter::PageFaults => "page_faults",
        Counter::MinorFaults => "minor_faults",
        Counter::MajorFaults => "major_faults",
        Counter::Cycles => "cycles",
        Counter::StalledFrontend => "stalled_cycles_frontend",
        Counter::StalledBackend => "stalled_cycles_backend",
        Counter::Instructions => "instructions",
        Counter::Branches => "branches",
        Counter::BranchMisses => "branch_misses",
        Counter::L1Loads => "l1_dcache_loads",
        Counter::L1LoadMisses => "l1_dcache_load_misses",
        Counter::LlcLoads => "llc_loads",
        Counter::LlcLoadMisses => "llc_load_misses",
    }
}

impl From<&counters::Counters> for Counters {
    fn from(counters: &counters::Counters) -> Self {
        let of = |counter| counters.value(counter);
        let (mut counted_share, mut not_supported, mut refused) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (counter, tally) in &counters.tallies {
            let name = field(*counter).to_owned();
            match tally {
                Tally::Counted(reading) => {
                    let share = reading.share().filter(|share| *share < 1.0);
                    counted_share.extend(share.map(|share| (name, share)));
                }
                Tally::Unsupported(why) => drop(not_supported.insert(name, why.clone())),
                Tally::Refused(why) => drop(refused.insert(name, why.clone())),
            }
        }
        Self {
            task_clock_ns: of(Counter::TaskClock),
            context_switches: of(Counter::ContextSwitches),
            migrations: of(Counter::Migrations),
            page_faults: of(Counter::PageFaults),
            minor_faults: of(Counter::MinorFaults),
            major_faults: of(Counter::MajorFaults),
            cycles: of(Counter::Cycles),
            stalled_cycles_frontend: of(Counter::StalledFrontend),
            stalled_cycles_backend: of(Counter::StalledBackend),
            instructions: of(Counter::Instructions),
            branches: of(Counter::Branches),
            branch_misses: of(Counter::BranchMisses),
            l1_dcache_loads: of(Counter::L1Loads),
            l1_dcache_load_misses: of(Counter::L1LoadMisses),
            llc_loads: of(Counter::LlcLoads),
            llc_load_misses: of(Counter::LlcLoadMisses),
            counted_share,
            not_supported,
            refused,
            with_children: counters.with_children,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::counters::Reading;

    use super::*;

    #[test]
    fn a_counter_has_a_number_or_a_reason() {
        let reading = |count, running_ns| Tally::Counted(Reading { count, enabled_ns: 1000, running_ns });
        let counters = counters::Counters {
            with_children: true,
            tallies: [
                (Counter::TaskClock, reading(7, 1000)),
                (Counter::Cycles, reading(10, 500)),
                (Counter::Branches, reading(0, 0)),
                (Counter::LlcLoads, Tally::Unsupported("none".to_owned())),
                (Counter::MinorFaults, Tally::Refused("may not".to_owned())),
            ]
            .into(),
        };
        let export = Counters::from(&counters);
        assert_eq!((export.task_clock_ns, export.cycles, export.branches), (Some(7), Some(20), None));
        assert_eq!((export.llc_loads, export.minor_faults), (None, None));
        let shares = [("branches".to_owned(), 0.0), ("cycles".to_owned(), 0.5)];
        assert_eq!(export.counted_share, shares.into());
        assert_eq!(export.not_supported["llc_loads"], "none");
        assert_eq!(export.refused["minor_faults"], "may not");
    }

    #[test]
    fn every_field_is_named_as_in_the_export() {
        let export = serde_json::to_value(Counters::from(&counters::Counters::default())).unwrap();
        for counter in Counter::ALL {
            assert!(export.get(field(counter)).is_some_and(serde_json::Value::is_null), "{}", field(counter));
        }
    }
}
