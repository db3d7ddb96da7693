//! System calls: from the kernel side's cumulative counters to what happened since the last look.

use kernel::{CellCounts, Errors, Histograms, Kernel};
use model::{
    frame::{Abi, Call, CallStats, Lean},
    glance::Quick,
    hist::Hist,
};
use pulse_trace_common::probes::syscalls::{
    COMPAT_FUTEX, COMPAT_FUTEX_TIME64, Multiplexer, NATIVE_CALLS, errno_at, operation_at,
};

/// Changes of one (row, call) pair since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The row that it is accounted to.
    pub row: u32,
    /// System call of the pair.
    pub call: Call,
    /// Numbers since the last look.
    pub stats: CallStats,
}

/// Number of calls since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glanced {
    /// Numbers by row.
    pub rows: Vec<(u32, Quick)>,
    /// By call, all rows together.
    pub calls: Vec<(Call, Quick)>,
}

/// The reader of the probe's counters: remembers what it has seen.
#[derive(Default)]
pub struct Syscalls {
    /// Counts of each cell that have been read, but for its histogram; by the cell's number.
    seen: Vec<Seen>,
    histograms: Histograms,
}

/// Counts of a cell that have been read.
#[derive(Default)]
struct Seen {
    counts: CellCounts,
    errors: Errors,
}

impl Syscalls {
    /// Changes since the last look, by row and call. Of rows that nothing will be added to, everything is looked at; of
    /// others only what seems to have changed.
    pub fn drain(&mut self, kernel: &Kernel, is_last: impl Fn(u32) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for (id, row, call) in kernel.cells() {
            let last = is_last(row);
            let latency = match kernel.cell_has_histogram(id) {
                true if last => self.histograms.take(kernel, id),
                true => self.histograms.take_near(kernel, id),
                false => Hist::default(),
            };
            let (seen, counts) = (seen_of(&mut self.seen, id), kernel.cell_counts(id));
            // A call that fails is noted before it is counted, or right afterwards.
            // A look between the parts of a value finds its time by itself.
            let timed = latency.count() != 0 || latency.sum != 0;
            if !last && !timed && counts == seen.counts {
                continue;
            }
            let stats = CallStats { latency, ..seen.difference(counts, kernel.cell_errors(id)) };
            let off_cpu = stats.blocked_ns + stats.queued_ns > 0;
            if timed || off_cpu || !stats.is_empty() || !stats.errors.is_empty() {
                changes.push(Change { row, call: call_of(call), stats });
            }
        }
        changes
    }

    /// Number of calls since the last look; the next look has them too.
    pub fn glance(&mut self, kernel: &Kernel) -> Glanced {
        let (mut rows, mut calls) = (Vec::new(), Vec::new());
        for (id, row, call) in kernel.cells() {
            let seen = seen_of(&mut self.seen, id);
            let mut quick = kernel.cell_counts(id).since(&seen.counts);
            if kernel.cell_has_histogram(id) {
                quick.add(self.histograms.glance(kernel, id));
            }
            if quick != Quick::default() {
                add_at(&mut rows, row, quick);
                add_at(&mut calls, call, quick);
            }
        }
        let used = |all: Vec<Quick>| {
            let all = all.into_iter().enumerate().filter(|(_, quick)| *quick != Quick::default());
            all.map(|(at, quick)| (at as u32, quick))
        };
        Glanced {
            rows: used(rows).collect(),
            calls: used(calls).map(|(call, quick)| (call_of(call), quick)).collect(),
        }
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
            *seen_of(&mut self.seen, *cell) = Seen::default();
        }
        self.histograms.forget(cells);
    }
}

fn seen_of(all: &mut Vec<Seen>, cell: u32) -> &mut Seen {
    let at = cell as usize;
    if at >= all.len() {
        all.resize_with(at + 1, Seen::default);
    }
    &mut all[at]
}

fn add_at(all: &mut Vec<Quick>, at: u32, quick: Quick) {
    let at = at as usize;
    if at >= all.len() {
        all.resize(at + 1, Quick::default());
    }
    all[at].add(quick);
}

/// The call at an index of a row's directory.
pub(super) fn call_of(index: u32) -> Call {
    match operation_at(index) {
        Some((of, operation)) => {
            Call { operation: Some(operation.unwrap_or(Call::OTHER)), ..call_of(whole(of)) }
        }
        None if index < NATIVE_CALLS => Call::whole(Abi::Native, index),
        None => Call::whole(Abi::Compat, index - NATIVE_CALLS),
    }
}

/// The index of a call, all operations together.
const fn whole(of: Multiplexer) -> u32 {
    match of {
        Multiplexer::Futex => libc::SYS_futex as u32,
        Multiplexer::Fcntl => libc::SYS_fcntl as u32,
        Multiplexer::EpollCtl => libc::SYS_epoll_ctl as u32,
        Multiplexer::CompatFutex => COMPAT_FUTEX,
        Multiplexer::CompatFutexTime64 => COMPAT_FUTEX_TIME64,
    }
}

impl Seen {
    /// Counts of a cell that were not seen before.
    fn difference(&mut self, counts: CellCounts, errors: impl Iterator<Item = (u32, u32)>) -> CallStats {
        CallStats { errors: self.errors.take(errors, errno_at), ..since(&mut self.counts, counts) }
    }
}

/// Counts that were not seen before; then they are.
pub fn since(known: &mut CellCounts, counts: CellCounts) -> CallStats {
    let seen = std::mem::replace(known, counts);
    let count = counts.lean_count - seen.lean_count;
    let sum_ns = counts.lean_sum_ns - seen.lean_sum_ns;
    // The kernel side keeps the longest of all time. One that has not moved may be older; no call is longer than all.
    let moved = counts.lean_max_ns > seen.lean_max_ns;
    CallStats {
        lean: Lean {
            count,
            sum_ns,
            max_ns: if moved { counts.lean_max_ns } else { counts.lean_max_ns.min(sum_ns) },
            max_is_bound: !moved && count > 1,
        },
        untimed: counts.untimed - seen.untimed,
        unreturned: counts.unreturned - seen.unreturned,
        blocked_ns: counts.blocked_ns - seen.blocked_ns,
        queued_ns: counts.queued_ns - seen.queued_ns,
        ..CallStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_the_difference_to_the_last_look() {
        let mut seen = Seen::default();
        let mut now = CellCounts {
            lean_count: 5,
            lean_sum_ns: 70,
            lean_max_ns: 60,
            untimed: 1,
            ..CellCounts::default()
        };
        assert_eq!(seen.difference(CellCounts::default(), [].into_iter()).lean, Lean::default());
        let first = seen.difference(now, [].into_iter()).lean;
        assert_eq!(first, Lean { count: 5, sum_ns: 70, max_ns: 60, max_is_bound: false });
        assert_eq!(now.since(&seen.counts), Quick::default());
        (now.lean_count, now.lean_sum_ns, now.unreturned) = (7, 100, 1);
        assert_eq!(now.since(&seen.counts), Quick { count: 3, total_ns: 30 });
        let second = seen.difference(now, [].into_iter()).lean;
        assert_eq!(second, Lean { count: 2, sum_ns: 30, max_ns: 30, max_is_bound: true });
        (now.lean_count, now.lean_sum_ns) = (8, 120);
        let third = seen.difference(now, [].into_iter()).lean;
        assert_eq!(third, Lean { count: 1, sum_ns: 20, max_ns: 20, max_is_bound: false });
        assert_eq!(seen.difference(now, [].into_iter()).lean, Lean::default());
    }
}
