//! Events of kinds that are known beforehand: from the kernel side's cumulative counters to what happened since the
//! last look. One reader for all probes that count such events.

use std::collections::HashMap;

use kernel::{CellCounts, EventCounts, Histograms, Kernel};
use model::{events::EventName, frame::CallStats, probes::with_events};

use crate::syscalls::since;

/// Changes of one cell since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct EventChange {
    /// The row that it is accounted to.
    pub row: u32,
    /// The kernel side's cell, which stacks name.
    pub cell: u32,
    /// The kind.
    pub name: EventName,
    /// Numbers since the last look.
    pub times: CallStats,
}

/// The reader of events: remembers what it has seen.
#[derive(Default)]
pub struct Events {
    seen: HashMap<u32, CellCounts>,
    histograms: Histograms,
}

impl Events {
    /// Changes since the last look.
    pub fn drain(&mut self, kernel: &Kernel) -> Vec<EventChange> {
        let mut changes = Vec::new();
        for (cell, row, kind, counts) in kernel.event_cells() {
            let latency = match counts.histogram {
                0 => model::hist::Hist::default(),
                histogram => self.histograms.take(kernel, histogram),
            };
            let seen = self.seen.entry(cell).or_default();
            let times = CallStats { latency, ..since(seen, counts_of(counts)) };
            let Some(name) = name_of(kind).filter(|_| !times.is_empty()) else { continue };
            changes.push(EventChange { row, cell, name, times });
        }
        changes
    }

    /// Forgets cells and histograms that were given back.
    pub fn forget(&mut self, (cells, histograms): &(Vec<u32>, Vec<u32>)) {
        for cell in cells {
            self.seen.remove(cell);
        }
        self.histograms.forget(histograms);
    }
}

fn counts_of(counts: EventCounts) -> CellCounts {
    let EventCounts { lean_count, lean_sum_ns, lean_max_ns, blocked_ns, queued_ns, .. } = counts;
    CellCounts { lean_count, lean_sum_ns, lean_max_ns, blocked_ns, queued_ns, ..CellCounts::default() }
}

/// The kind of a number of the kernel side.
fn name_of(number: u32) -> Option<EventName> {
    with_events().find_map(|(spec, table)| {
        let kind = table.kinds.get(number.checked_sub(table.first)? as usize)?;
        Some(EventName { probe: spec.name.to_owned(), kind: kind.name.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use pulse_trace_common::probes::EVENT_KINDS;

    use super::*;

    #[test]
    fn every_number_of_the_kernel_side_has_a_name_of_its_own() {
        let names: Vec<EventName> = (0..EVENT_KINDS).map(|kind| name_of(kind).unwrap()).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(names[..at].iter().all(|other| other != name));
            assert!(name.described().is_some());
        }
        assert_eq!(name_of(EVENT_KINDS), None);
    }
}
