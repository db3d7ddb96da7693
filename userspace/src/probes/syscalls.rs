//! System calls: from the kernel side's cumulative counters to what happened since the last look.

use std::collections::{BTreeMap, HashMap};

use pulse_trace_common::probes::syscalls::{Cell, NATIVE_CALLS, errno_at};

use crate::{
    kernel::{Histograms, Kernel},
    model::{
        errno,
        frame::{Abi, Call, CallStats, Lean},
        spec::Spec,
    },
};

/// The probe's description.
pub const SPEC: Spec = Spec {
    name: "syscalls",
    summary: "count, errors and latency distribution of every system call, by process or thread",
    hooks: &["tp_btf:sys_exit", "tp_btf:sys_enter"],
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF",
    default: true,
    cost: "120 ns per call of a target, 10 ns per call of anybody else",
};

/// What one (row, call) pair did since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The row that it is accounted to.
    pub row: u32,
    /// The call.
    pub call: Call,
    /// Its numbers.
    pub stats: CallStats,
}

/// The reader of the probe's counters: remembers what it has seen.
#[derive(Default)]
pub struct Syscalls {
    /// What was seen of each cell, but for its histogram.
    totals: HashMap<u32, CallStats>,
    histograms: Histograms,
}

impl Syscalls {
    /// What happened since the last look, by row and call.
    pub fn drain(&mut self, kernel: &Kernel) -> Vec<Change> {
        let mut changes = Vec::new();
        for (id, row, call) in kernel.cells() {
            let Some(cell) = kernel.cell(id) else { continue };
            let mut stats = take_counters(self.totals.entry(id).or_default(), &cell);
            if kernel.cell_has_histogram(id) {
                stats.latency = self.histograms.take(kernel, id);
            }
            if !stats.is_empty() || !stats.errors.is_empty() {
                changes.push(Change { row, call: call_of(call), stats });
            }
        }
        changes
    }

    /// Calls that threads are in right now.
    #[must_use]
    pub fn in_flight(kernel: &Kernel) -> Vec<Change> {
        let change = |(row, call)| {
            let stats = CallStats { in_flight: 1, ..CallStats::default() };
            Change { row, call: call_of(call), stats }
        };
        kernel.in_flight().map(change).collect()
    }

    /// Forgets cells that were given back.
    pub fn forget(&mut self, cells: &[u32]) {
        for cell in cells {
            self.totals.remove(cell);
        }
        self.histograms.forget(cells);
    }
}

/// The call at an index of a row's directory.
pub(super) fn call_of(index: u32) -> Call {
    if index < NATIVE_CALLS {
        Call { abi: Abi::Native, nr: index }
    } else {
        Call { abi: Abi::Compat, nr: index - NATIVE_CALLS }
    }
}

/// What a cell's counters say that the total of what was seen does not.
fn take_counters(total: &mut CallStats, cell: &Cell) -> CallStats {
    let change = CallStats {
        lean: Lean {
            count: cell.lean_count - total.lean.count,
            sum_ns: cell.lean_sum_ns - total.lean.sum_ns,
            max_ns: cell.lean_max_ns,
        },
        untimed: cell.untimed - total.untimed,
        unreturned: cell.unreturned - total.unreturned,
        errors: new_errors(&cell.errors, errno_at, &total.errors),
        ..CallStats::default()
    };
    total.merge(&change);
    change
}

/// Errors of a table of the kernel side, which has an index for each errno, that were not seen before.
pub(super) fn new_errors(
    table: &[u32],
    errno_at: impl Fn(u32) -> Option<u32>,
    seen: &BTreeMap<u32, u64>,
) -> BTreeMap<u32, u64> {
    let counted = table.iter().enumerate().filter(|(_, counter)| **counter != 0);
    let new = counted.map(|(index, counter)| {
        let errno = errno_at(index as u32).unwrap_or(errno::OTHER);
        // Counters wrap at 32 bits, and are looked at far more often than that.
        let known = seen.get(&errno).map_or(0, |known| *known as u32);
        (errno, u64::from(counter.wrapping_sub(known)))
    });
    new.filter(|(_, new)| *new != 0).collect()
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn counters_that_wrap_lose_nothing() {
        let mut total = CallStats::default();
        let mut cell = Cell::zeroed();
        cell.errors[11] = u32::MAX;
        take_counters(&mut total, &cell);
        cell.errors[11] = 1;
        assert_eq!(take_counters(&mut total, &cell).errors.get(&11), Some(&2));
    }
}
