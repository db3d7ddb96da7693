//! The counters of system calls, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use bytemuck::Zeroable as _;
use pulse_trace_common::probes::syscalls::{Cell, Directory, Latency};

use super::Kernel;

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

    /// A cell's histograms, one per lane; none for a cell without.
    pub fn latencies(&self, cell: u32) -> impl Iterator<Item = Latency> + '_ {
        let lanes = self.limits.lanes;
        let first = cell * lanes;
        let with_histogram = cell <= self.limits.histograms;
        (first..first + lanes)
            .filter(move |_| with_histogram)
            .filter_map(|at| self.latencies.read(at as usize))
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
