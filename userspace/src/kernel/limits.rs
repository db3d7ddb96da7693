//! How many of each thing the kernel side has room for. All of it is allocated when a session starts.

use super::loaded::Probes;

/// Beyond this many, histograms have no copies: one is 4.6 KB.
const AFFORDABLE_HISTOGRAMS: u32 = 3072;

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
        let mut rows = if grows { processes * 2 + 254 } else { processes + 2 };
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
        Self {
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
                histograms
            } else {
                rows.saturating_mul(64).saturating_sub(histograms).clamp(histograms, 1 << 14)
            },
            lanes,
        }
    }

    /// These limits for a session that leaves probes out: what they would use takes neither memory nor time.
    #[must_use]
    pub const fn of_use_with(mut self, probes: Probes) -> Self {
        let Probes { syscalls, sched, futex, mutex, .. } = probes;
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
        if !sched && !futex && !mutex {
            self.distributions = 0;
        }
        self
    }

    /// Sets one limit by name.
    ///
    /// # Errors
    /// When there is no limit of that name, or the value is out of range.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), String> {
        let field = match name {
            "threads" => &mut self.threads,
            "processes" => &mut self.rows,
            "histograms" => &mut self.histograms,
            "distributions" => &mut self.distributions,
            "wakers" => &mut self.edges,
            "futexes" => &mut self.futexes,
            "holders" => &mut self.holders,
            "mutexes" => &mut self.mutexes,
            "lean-cells" => &mut self.lean_cells,
            "lanes" if value.is_power_of_two() && value <= 64 => &mut self.lanes,
            "lanes" => return Err("lanes must be a power of two, at most 64".to_owned()),
            _ => {
                return Err(format!("there is no limit {name:?}; limits are {}", Self::NAMES.join(", ")));
            }
        };
        if value > Self::MAX {
            return Err(format!("{name} can be at most {}", Self::MAX));
        }
        *field = value;
        Ok(())
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

    /// Cells of both kinds.
    #[must_use]
    pub const fn cells(&self) -> u32 {
        self.histograms + self.lean_cells
    }
}
