//! Capacities of the kernel side's tables. All of it is allocated when a session starts.

use model::{frame::Ledger, grade, probes::ProbeSet};
use pulse_trace_common::{
    hist::Histogram,
    probes::{
        futex::{OTHER_ENTRIES, Waiting},
        sched::{CpuTime, Sched},
        syscalls::{Cell, Directory},
    },
    target::{Row, Thread},
};

/// Above this number, histograms have no copies: one takes 4.6 KB.
const AFFORDABLE_HISTOGRAMS: u32 = 3072;

/// Most memory for tables that grow with the number of processes and threads, unless limits are set by hand.
const MEMORY: u64 = 256 << 20;

/// Memory of a key in a hash map of the kernel, about, in bytes.
const KEY: usize = 64;

/// Capacities of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that are alive at the same time.
    pub threads: u32,
    /// Processes (and, where threads are told apart, threads) between two drains.
    pub rows: u32,
    /// (row, call) pairs that have a histogram.
    pub histograms: u32,
    /// Histograms of scheduling and locks, handed out on first use.
    pub distributions: u32,
    /// Pairs of waker and woken process.
    pub edges: u32,
    /// Operations on futexes, by process.
    pub futexes: u32,
    /// Pairs of lock and thread that held it.
    pub holders: u32,
    /// Contended locks, by process.
    pub mutexes: u32,
    /// Further (row, call) pairs, for which only count, sum and maximum are kept.
    pub lean_cells: u32,
    /// Copies of each histogram, so that CPUs do not fight for its cache lines: a power of two.
    pub lanes: u32,
}

impl Limits {
    /// Room for a given number of processes and threads, with as many lanes as stay affordable.
    #[must_use]
    pub fn for_targets(processes: u32, threads: u32, grows: bool, per_thread: bool, cpus: u32) -> Self {
        let mut rows = if grows { processes * 2 + 766 } else { processes + 2 };
        let threads = (threads * 2).max(1024);
        if per_thread {
            rows += threads;
        }
        let histograms = if grows { 2048 + rows * 2 } else { rows.saturating_mul(64) }.clamp(256, 4096);
        let edges = (rows * 8).clamp(512, 2048);
        let distributions = (rows * 8).clamp(384, 1024);
        let mut lanes = cpus.next_power_of_two().min(8);
        while lanes > 1 && (histograms + distributions) * lanes > AFFORDABLE_HISTOGRAMS {
            lanes /= 2;
        }
        let mut limits = Self {
            threads,
            rows,
            histograms,
            distributions,
            edges,
            futexes: 1024,
            holders: 4096,
            mutexes: 1024,
            // Where it is known how many processes there are, each has room for all kinds of calls that one makes.
            lean_cells: if grows {
                rows.saturating_mul(8).clamp(histograms, 1 << 17)
            } else {
                rows.saturating_mul(64).saturating_sub(histograms).clamp(histograms, 1 << 14)
            },
            lanes,
        };
        while limits.bytes(cpus) > MEMORY && limits.rows > 1024 {
            for limit in [&mut limits.threads, &mut limits.rows, &mut limits.lean_cells] {
                *limit -= *limit / 8;
            }
        }
        limits
    }

    /// Memory of all of it at most, about, in bytes.
    fn bytes(&self, cpus: u32) -> u64 {
        let row = size_of::<Row>() + size_of::<Directory>() + cpus as usize * size_of::<CpuTime>() + KEY;
        let thread = size_of::<Thread>() + size_of::<Sched>() + size_of::<Waiting>() + 2 * KEY;
        let histogram = size_of::<Histogram>() * self.lanes as usize;
        let parts = [
            (self.rows, row),
            (self.threads, thread),
            (self.cells(), size_of::<Cell>()),
            (self.all_histograms(), histogram),
        ];
        parts.into_iter().map(|(count, size)| u64::from(count) * size as u64).sum()
    }

    /// These limits for a session that leaves probes out: what they would use takes neither memory nor time.
    #[must_use]
    pub fn of_use_with(mut self, probes: ProbeSet) -> Self {
        let [syscalls, sched, futex, mutex] =
            ["syscalls", "sched", "futex", "mutex"].map(|name| probes.has(name));
        if !syscalls {
            (self.histograms, self.lean_cells) = (0, 0);
        }
        if !sched {
            self.edges = 0;
        }
        if !futex {
            (self.futexes, self.holders) = (0, 0);
        }
        if !mutex {
            self.mutexes = 0;
        }
        if !sched && !futex && !mutex && !probes.counts_events() {
            self.distributions = 0;
        }
        self
    }

    /// Sets one limit by name.
    ///
    /// # Errors
    /// When there is no limit of that name, or the value is out of range.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), String> {
        let Some(field) = self.field(name) else {
            return Err(format!("there is no limit {name:?}; limits are {}", Self::NAMES.join(", ")));
        };
        if name == "lanes" && !(value.is_power_of_two() && value <= 64) {
            return Err("lanes must be a power of two, at most 64".to_owned());
        }
        if value > Self::MAX {
            return Err(format!("{name} can be at most {}", Self::MAX));
        }
        *field = value;
        Ok(())
    }

    fn field(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "threads" => &mut self.threads,
            "processes" => &mut self.rows,
            "histograms" => &mut self.histograms,
            "distributions" => &mut self.distributions,
            "wakers" => &mut self.edges,
            "futexes" => &mut self.futexes,
            "holders" => &mut self.holders,
            "mutexes" => &mut self.mutexes,
            "lean-cells" => &mut self.lean_cells,
            "lanes" => &mut self.lanes,
            _ => return None,
        })
    }

    /// Notes the sizes of the tables that were full. If threads found no room, the full table is not known; it is that
    /// of processes if all of its rows are in use.
    pub fn note_full_tables(mut self, rows: impl Fn() -> usize, ledger: &mut Ledger) {
        for slot in ledger.lost.keys().chain(ledger.degraded.keys()) {
            let name = match grade::limit_of(slot) {
                Some("threads") if rows() >= self.rows as usize => "processes",
                Some(name) => name,
                None => continue,
            };
            if let Some(size) = self.field(name) {
                ledger.room.insert(name.to_owned(), u64::from(*size));
            }
        }
    }

    /// Names that [`Limits::set`] knows.
    pub const NAMES: [&'static str; 10] = [
        "threads",
        "processes",
        "histograms",
        "distributions",
        "wakers",
        "futexes",
        "holders",
        "mutexes",
        "lean-cells",
        "lanes",
    ];
    const MAX: u32 = 1 << 20;

    /// Histograms of both kinds.
    #[must_use]
    pub const fn all_histograms(&self) -> u32 {
        self.histograms + self.distributions
    }

    /// Entries of futexes, those of all that have none of their own included.
    #[must_use]
    pub const fn all_futexes(&self) -> u32 {
        if self.futexes == 0 { 0 } else { self.futexes + OTHER_ENTRIES }
    }

    /// Cells of both kinds.
    #[must_use]
    pub const fn cells(&self) -> u32 {
        self.histograms + self.lean_cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_the_machine_up_to_a_stated_amount_of_memory() {
        let of = |processes, threads| Limits::for_targets(processes, threads, true, false, 8);
        let (few, many, most) = (of(300, 900), of(10_000, 32_000), of(60_000, 400_000));
        assert!(few.rows >= 2 * 300 && few.threads >= 2 * 900);
        assert!(many.rows >= 10_000 && many.threads >= 32_000, "{many:?}");
        for limits in [few, many, most] {
            assert!(limits.bytes(8) <= MEMORY, "{limits:?}");
        }
        assert!(most.rows > many.rows / 2);
    }
}
