//! The cells of events, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{Array, MapData, PerCpuArray},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::{
    events::{EventCell, cell, cell_parts},
    pool::{owner, purpose},
    probes::EVENT_KINDS,
};

use super::{
    Kernel,
    loaded::{LoadError, map, typed},
    mapped::Mapped,
};

/// Maps of all probes that count events.
pub(super) struct EventMaps {
    cells: Mapped<EventCell>,
    software_runs: PerCpuArray<MapData, u64>,
    generation: Array<MapData, u64>,
    switched_on: u64,
}

impl EventMaps {
    pub(super) fn open(ebpf: &mut Ebpf, maps: &mut Vec<MapData>) -> Result<Self, LoadError> {
        Ok(Self {
            cells: map(ebpf, maps, "EVENTS")?,
            software_runs: typed(ebpf, "SOFTWARE_RUNS")?,
            generation: typed(ebpf, "GENERATION")?,
            switched_on: 0,
        })
    }
}

/// Counters of a cell, but for its histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Histogram in the pool; 0 where there is none.
    pub histogram: u32,
    /// Events that are in no histogram.
    pub lean_count: u64,
    /// Their time, ns.
    pub lean_sum_ns: u64,
    /// Longest of them, ns.
    pub lean_max_ns: u64,
    /// Time of all events in which their threads were blocked, ns.
    pub blocked_ns: u64,
    /// Time of all events in which their threads waited for a CPU, ns.
    pub queued_ns: u64,
}

impl Kernel {
    /// Cells in use: id, row, kind and counters.
    pub fn event_cells(&self) -> impl Iterator<Item = (u32, u32, u32, EventCounts)> + '_ {
        let used = |id: usize| {
            self.events.cells.word(id, offset_of!(EventCell, seen)).map(|seen| seen.load(Relaxed))
        };
        (0..self.events.cells.len()).filter(move |id| used(*id).is_some_and(|seen| seen != 0)).filter_map(
            |id| {
                let EventCell {
                    histogram, lean_count, lean_sum_ns, lean_max_ns, blocked_ns, queued_ns, ..
                } = self.events.cells.read(id)?;
                let counts =
                    EventCounts { histogram, lean_count, lean_sum_ns, lean_max_ns, blocked_ns, queued_ns };
                let (row, kind) = cell_parts(id as u32);
                Some((id as u32, row, kind, counts))
            },
        )
    }

    /// Hooks of a probe of events are about to be attached again: what its threads were in when they were detached has
    /// ended meanwhile.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn forget_open_events(&mut self) -> Result<(), LoadError> {
        self.events.switched_on += 1;
        let set = self.events.generation.set(0, self.events.switched_on, 0);
        set.map_err(|cause| LoadError::Map { name: "GENERATION", cause })
    }

    /// Runs of programs on software events.
    #[must_use]
    pub fn software_runs(&self) -> u64 {
        self.events.software_runs.get(&0, 0).map_or(0, |per_cpu| per_cpu.iter().sum())
    }

    /// Frees the cells of a finished row, and returns their ids and those of their histograms.
    pub fn free_events(&mut self, row: u32) -> (Vec<u32>, Vec<u32>) {
        let (mut cells, mut histograms) = (Vec::new(), Vec::new());
        for id in (0..EVENT_KINDS).map(|kind| cell(row, kind)) {
            let Some(cell) = self.events.cells.read(id as usize).filter(|cell| cell.seen != 0) else {
                continue;
            };
            self.pool.free(owner(purpose::EVENT, id), cell.histogram);
            self.events.cells.write(id as usize, EventCell::zeroed());
            cells.push(id);
            histograms.push(cell.histogram);
        }
        (cells, histograms)
    }
}
