//! The ledger, and what the measurement cost.

use std::collections::BTreeMap;

use pulse_trace_common::loss::{Class, Slot};

use super::{INTERVAL_NS, Shape, random::Random};
use crate::frame::{Ledger, Overhead, ProcessFrame, ProgramCost, Traps};

/// One hit of a probe that the kernel emulates.
const TRAP_NS: f64 = 1312.5;
/// Of a contended acquisition: the beginning and the end of the spin.
const HITS_PER_ACQUISITION: u64 = 2;
/// Hits per acquisition in a session that is to exceed its budget: most are of paths that no other number counts.
const HITS_ABOVE_BUDGET: u64 = 150;

pub fn ledger(random: &mut Random, shape: Shape, counted: u64) -> Ledger {
    let mut of_class = |class| -> BTreeMap<String, u64> {
        // Synthetic sessions lose no mutex that is held.
        let held = [Slot::HoldsUnfollowed, Slot::HoldsUnfinished];
        let slots = Slot::ALL
            .iter()
            .filter(|slot| !held.contains(slot) && (shape.events || **slot != Slot::FaultsUnseen))
            .filter(|slot| slot.class() == class && (shape.lossy || class == Class::Censored));
        slots.map(|slot| (slot.name().to_owned(), random.below(3) + 1)).collect()
    };
    Ledger {
        counted,
        events: BTreeMap::new(),
        lost: of_class(Class::Lost),
        censored: of_class(Class::Censored),
        degraded: of_class(Class::Degraded),
        room: if shape.lossy { BTreeMap::from([("threads".to_owned(), 1024)]) } else { BTreeMap::new() },
    }
}

pub fn overhead(random: &mut Random, counted: u64) -> Overhead {
    let mut cost = |name: &str, calls: u64| {
        let events = calls / 10;
        ProgramCost {
            name: name.to_owned(),
            events: Some(events),
            run_ns: Some(events * (100 + random.below(20))),
            missed: 0,
        }
    };
    Overhead {
        programs: vec![
            cost("syscalls_enter", counted),
            cost("syscalls_exit", counted),
            ProgramCost { name: "lifecycle_fork".to_owned(), events: Some(0), run_ns: Some(0), missed: 2 },
        ],
        measured_ns: INTERVAL_NS / 10,
        kernel_bytes: 12 << 20,
        tool_cpu_ns: 2_345_678,
        tool_bytes: 21 << 20,
        empty_program_ns: Some(47.0 + random.below(1000) as f64 / 7.0 / 100.0),
        sampled_calls: Some(counted / 20),
        traps: None,
        inline: None,
    }
}

/// Numbers of events, as far as they are in the data.
pub fn events(processes: &[ProcessFrame]) -> BTreeMap<String, u64> {
    let whole = || processes.iter().flat_map(|it| &it.sched).filter(|it| it.thread.is_none());
    let futexes = processes.iter().flat_map(|it| &it.futexes);
    let counts = [
        ("context_switches", whole().map(|it| it.stats.switches()).sum()),
        ("wakeups", whole().map(|it| it.stats.wakeup_to_run.count()).sum()),
        ("futex_calls", futexes.map(|it| it.stats.count).sum()),
        ("contended_acquisitions", contended(processes)),
    ];
    let mut all: BTreeMap<String, u64> =
        counts.into_iter().map(|(name, count): (&str, u64)| (name.to_owned(), count)).collect();
    for event in processes.iter().flat_map(|it| &it.events) {
        *all.entry(event.name.probe.clone()).or_default() += event.stats.times.count();
    }
    all
}

/// Cost of the probes in the targets' own code, as long as they were attached.
pub fn traps(processes: &[ProcessFrame], shape: Shape, number: u32) -> Traps {
    let whole = processes.iter().flat_map(|it| &it.sched).filter(|it| it.thread.is_none());
    let attached = super::mutex::attached(shape, number);
    let first_without = u64::from(shape.frames / 2).max(1);
    Traps {
        trap_ns: TRAP_NS,
        hold_one_in: Some(10),
        hits: contended(processes) * if shape.lossy { HITS_ABOVE_BUDGET } else { HITS_PER_ACQUISITION },
        target_cpu_ns: if attached { whole.map(|it| it.stats.budget.on_cpu_ns()).sum() } else { 0 },
        attached_ns: if attached { INTERVAL_NS } else { 0 },
        budget_percent: Some(5.0),
        detached_at_ns: (!attached).then(|| first_without * INTERVAL_NS + 123_000_000),
    }
}

fn contended(processes: &[ProcessFrame]) -> u64 {
    processes.iter().flat_map(|it| &it.mutexes).map(|it| it.stats.contended).sum()
}
