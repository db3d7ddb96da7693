//! The counters of system calls, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use bytemuck::Zeroable as _;
use pulse_trace_common::{
    hist::BUCKETS,
    probes::syscalls::{Cell, Directory, Latency},
};

use super::Kernel;

/// A histogram as the kernel side has it now.
pub struct LatencyNow {
    /// Sum of the values; wraps.
    pub sum_ns: u64,
    /// The largest value.
    pub max_ns: Option<u64>,
    /// The smallest value.
    pub min_ns: Option<u64>,
    /// Counts by bucket; they wrap.
    pub buckets: [u32; BUCKETS],
}

impl Default for LatencyNow {
    fn default() -> Self {
        Self { sum_ns: 0, max_ns: None, min_ns: None, buckets: [0; BUCKETS] }
    }
}

impl LatencyNow {
    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds what a lane says besides its buckets. The smallest value is stored plus one: 0 means that there is none.
    pub fn add_lane(&mut self, sum_ns: u64, max_ns: u64, min_ns_plus_1: u64) {
        self.sum_ns = self.sum_ns.wrapping_add(sum_ns);
        if let Some(min_ns) = min_ns_plus_1.checked_sub(1) {
            self.max_ns = self.max_ns.max(Some(max_ns));
            self.min_ns = Some(self.min_ns.map_or(min_ns, |least| least.min(min_ns)));
        }
    }
}

impl Kernel {
    /// Cells in use: id, row, and the call's index in the row's directory.
    pub fn cells(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        (1..self.cells.len()).filter_map(|id| {
            let key = self.cells.double(id, offset_of!(Cell, key))?.load(Relaxed);
            (key != 0).then_some((id as u32, (key >> 32) as u32, key as u32))
        })
    }

    /// A cell's counters.
    #[must_use]
    pub fn cell(&self, id: u32) -> Option<Cell> {
        self.cells.read(id as usize)
    }

    /// A cell's histogram, all lanes together, in place of what was there; false for a cell without.
    pub fn latency(&self, cell: u32, into: &mut LatencyNow) -> bool {
        into.clear();
        if cell > self.limits.histograms {
            return false;
        }
        let lanes = self.limits.lanes;
        for at in (cell * lanes..(cell + 1) * lanes).map(|at| at as usize) {
            let field = |offset| self.latencies.double(at, offset).map_or(0, |field| field.load(Relaxed));
            into.add_lane(
                field(offset_of!(Latency, sum_ns)),
                field(offset_of!(Latency, max_ns)),
                field(offset_of!(Latency, min_ns_plus_1)),
            );
            self.latencies.add_words(at, offset_of!(Latency, buckets), &mut into.buckets);
        }
        true
    }

    /// A number that changes whenever the cell's histograms do.
    #[must_use]
    pub fn latency_stamp(&self, cell: u32) -> u64 {
        if cell > self.limits.histograms {
            return 0;
        }
        let lanes = self.limits.lanes;
        let sum_of = |at: u32| self.latencies.double(at as usize, offset_of!(Latency, sum_ns));
        (cell * lanes..(cell + 1) * lanes)
            .filter_map(|at| Some(sum_of(at)?.load(Relaxed)))
            .fold(0, u64::wrapping_add)
    }

    /// Gives the cells of a finished row back, and tells which they were.
    pub fn free_cells(&mut self, row: u32) -> Vec<u32> {
        let mine: Vec<u32> = self.cells().filter(|cell| cell.1 == row).map(|cell| cell.0).collect();
        self.directories.write(row as usize, Directory::zeroed());
        for id in mine.iter().copied() {
            self.cells.write(id as usize, Cell::zeroed());
            let queue = if id <= self.limits.histograms {
                let lanes = self.limits.lanes;
                for at in id * lanes..(id + 1) * lanes {
                    self.latencies.write(at as usize, Latency::zeroed());
                }
                &mut self.free_cells
            } else {
                &mut self.free_lean_cells
            };
            // The queue was sized for all cells: one that comes back always finds room.
            let _ = queue.push(id, 0);
        }
        mine
    }
}
