//! The counters of system calls, as raw values of the kernel side.

use std::{collections::HashSet, mem::offset_of, sync::atomic::Ordering::Relaxed};

use bytemuck::Zeroable as _;
use model::glance::Quick;
use pulse_trace_common::probes::syscalls::{Cell, Directory, ERRNOS};

use super::Kernel;

/// Counters of a cell; see [`Cell`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// Calls that are in no histogram.
    pub lean_count: u64,
    /// Time of the calls that are in no histogram, ns.
    pub lean_sum_ns: u64,
    /// Longest of the calls that are in no histogram, ns.
    pub lean_max_ns: u64,
    /// Calls without a latency.
    pub untimed: u64,
    /// Calls that never end.
    pub unreturned: u64,
    /// Time in which calls that ended were blocked, ns.
    pub blocked_ns: u64,
    /// Time in which calls that ended waited for a CPU, ns.
    pub queued_ns: u64,
}

impl CellCounts {
    /// Difference to an earlier reading.
    #[must_use]
    pub fn since(&self, seen: &Self) -> Quick {
        let without_latency = self.untimed - seen.untimed + self.unreturned - seen.unreturned;
        Quick {
            count: self.lean_count - seen.lean_count + without_latency,
            total_ns: self.lean_sum_ns - seen.lean_sum_ns,
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

    /// Counters of a cell without its errors and its histogram.
    #[must_use]
    pub fn cell_counts(&self, id: u32) -> CellCounts {
        let field = |offset| self.cells.double(id as usize, offset).map_or(0, |field| field.load(Relaxed));
        CellCounts {
            lean_count: field(offset_of!(Cell, lean_count)),
            lean_sum_ns: field(offset_of!(Cell, lean_sum_ns)),
            lean_max_ns: field(offset_of!(Cell, lean_max_ns)),
            untimed: field(offset_of!(Cell, untimed)),
            unreturned: field(offset_of!(Cell, unreturned)),
            blocked_ns: field(offset_of!(Cell, blocked_ns)),
            queued_ns: field(offset_of!(Cell, queued_ns)),
        }
    }

    /// Errors of a cell: counters that are not zero, by rising
    /// index of [`pulse_trace_common::probes::syscalls::errno_at`].
    pub fn cell_errors(&self, id: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let pair = move |at: usize| {
            let place = offset_of!(Cell, errors) + at * size_of::<u64>();
            self.cells.double(id as usize, place).map_or(0, |words| words.load(Relaxed))
        };
        let both = |(at, words): (usize, u64)| {
            let [a, b, c, d, e, f, g, h] = words.to_ne_bytes();
            let index = 2 * at as u32;
            [(index, u32::from_ne_bytes([a, b, c, d])), (index + 1, u32::from_ne_bytes([e, f, g, h]))]
        };
        let pairs = (0..ERRNOS / 2).map(move |at| (at, pair(at))).filter(|(_, words)| *words != 0);
        pairs.flat_map(both).filter(|(_, count)| *count != 0)
    }

    /// True if a cell has a histogram: its id is the cell's number.
    #[must_use]
    pub fn cell_has_histogram(&self, cell: u32) -> bool {
        cell <= self.limits.histograms
    }

    /// Frees the cells of finished rows, and returns their ids.
    pub fn free_cells(&mut self, rows: &HashSet<u32>) -> Vec<u32> {
        let mine: Vec<u32> = self.cells().filter(|cell| rows.contains(&cell.1)).map(|cell| cell.0).collect();
        for row in rows {
            self.directories.write(*row as usize, Directory::zeroed());
        }
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
