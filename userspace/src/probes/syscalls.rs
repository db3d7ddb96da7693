//! System calls: from the kernel side's cumulative counters to what happened since the last look.

use std::collections::HashMap;

use pulse_trace_common::probes::syscalls::{Cell, NATIVE_CALLS, errno_at};

use crate::{
    kernel::{HistogramNow, Kernel, Seen},
    model::{
        frame::{Abi, Call, CallStats, Lean},
        spec::Spec,
    },
};

/// The probe's description.
pub const SPEC: Spec = Spec {
    name: "syscalls",
    summary: "count, errors and latency distribution of every system call, by process or thread",
    hooks: &["raw_tp:sys_exit", "tp_btf:sys_enter"],
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF",
    default: true,
    cost: "120 ns per call of a target, 10 ns per call of anybody else",
};

/// Errnos that do not fit into the kernel side's table are counted under this number.
const OTHER_ERRNO: u32 = u32::MAX;

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

#[derive(Default)]
struct Tally {
    latency: Seen,
    total: CallStats,
}

/// The reader of the probe's counters: remembers what it has seen.
#[derive(Default)]
pub struct Syscalls {
    tallies: HashMap<u32, Tally>,
    /// Where histograms are read into.
    now: Box<HistogramNow>,
}

impl Syscalls {
    /// What happened since the last look, by row and call.
    pub fn drain(&mut self, kernel: &Kernel) -> Vec<Change> {
        let mut changes = Vec::new();
        for (id, row, call) in kernel.cells() {
            let Some(cell) = kernel.cell(id) else { continue };
            let tally = self.tallies.entry(id).or_default();
            let mut stats = tally.take_counters(&cell);
            if kernel.cell_has_histogram(id) {
                stats.latency = tally.latency.take(kernel, id, &mut self.now);
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
            self.tallies.remove(cell);
        }
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

impl Tally {
    /// Everything but the histogram.
    fn take_counters(&mut self, cell: &Cell) -> CallStats {
        let mut change = CallStats {
            lean: Lean {
                count: cell.lean_count - self.total.lean.count,
                sum_ns: cell.lean_sum_ns - self.total.lean.sum_ns,
                max_ns: cell.lean_max_ns,
            },
            untimed: cell.untimed - self.total.untimed,
            unreturned: cell.unreturned - self.total.unreturned,
            ..CallStats::default()
        };
        for (index, counter) in cell.errors.iter().enumerate().filter(|(_, counter)| **counter != 0) {
            let errno = errno_at(index as u32).unwrap_or(OTHER_ERRNO);
            let known = self.total.errors.get(&errno).copied().unwrap_or(0);
            // Counters wrap at 32 bits, and are looked at far more often than that.
            let new = counter.wrapping_sub(known as u32);
            if new != 0 {
                change.errors.insert(errno, u64::from(new));
            }
        }
        self.total.merge(&change);
        change
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn counters_that_wrap_lose_nothing() {
        let mut tally = Tally::default();
        let mut cell = Cell::zeroed();
        cell.errors[11] = u32::MAX;
        tally.take_counters(&cell);
        cell.errors[11] = 1;
        assert_eq!(tally.take_counters(&cell).errors.get(&11), Some(&2));
    }
}
