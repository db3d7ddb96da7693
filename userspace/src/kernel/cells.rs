//! The counters of system calls, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use bytemuck::Zeroable as _;
use pulse_trace_common::probes::syscalls::{Cell, Directory};

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

    /// Whether a cell has a histogram: it has the cell's number.
    #[must_use]
    pub fn cell_has_histogram(&self, cell: u32) -> bool {
        cell <= self.limits.histograms
    }

    /// Gives the cells of a finished row back, and tells which they were.
    pub fn free_cells(&mut self, row: u32) -> Vec<u32> {
        let mine: Vec<u32> = self.cells().filter(|cell| cell.1 == row).map(|cell| cell.0).collect();
        self.directories.write(row as usize, Directory::zeroed());
        for id in mine.iter().copied() {
            self.cells.write(id as usize, Cell::zeroed());
            let queue = if id <= self.limits.histograms {
                self.pool.clear(id);
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
