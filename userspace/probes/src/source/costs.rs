//! Costs of the measurement itself.
//!
//! The kernel's run statistics read a clock twice per run, about as much as the probes themselves: they are switched on
//! for a part of the time only, and what they add is measured with a program that does nothing.

use std::{collections::HashMap, os::fd::OwnedFd};

use kernel::{Kernel, RunStats, switch_on_statistics};
use model::frame::{Overhead, ProgramCost};

use super::host;

/// The books of the tool's own cost.
pub struct Costs {
    statistics: Option<OwnedFd>,
    refused: bool,
    on_since_ns: u64,
    measured_ns: u64,
    seen: HashMap<String, RunStats>,
    cpu_ns: u64,
    empty_program_ns: Option<f64>,
}

impl Costs {
    /// Opens the books, before anything is attached.
    pub fn open(kernel: &mut Kernel) -> Self {
        Self {
            statistics: None,
            refused: false,
            on_since_ns: 0,
            measured_ns: 0,
            seen: HashMap::new(),
            cpu_ns: 0,
            empty_program_ns: kernel.calibrate(),
        }
    }

    /// From here on the tool's CPU time counts, and what its programs miss: what came before was getting ready. The
    /// hooks are in, and count nothing yet: system calls of the tool itself show what those of strangers cost.
    pub fn begin(&mut self, kernel: &Kernel) {
        self.seen = kernel.run_stats().into_iter().collect();
        self.cpu_ns = host::own_cpu_ns();
    }

    /// Begins or ends a stretch of measuring.
    pub fn measure(&mut self, on: bool) {
        if on == self.statistics.is_some() {
            return;
        }
        if on {
            self.statistics = switch_on_statistics();
            self.refused = self.statistics.is_none();
            self.on_since_ns = host::monotonic_ns();
        } else {
            self.statistics = None;
            self.measured_ns += host::monotonic_ns() - self.on_since_ns;
        }
    }

    /// Costs since the last call.
    pub fn take(&mut self, kernel: &Kernel) -> Overhead {
        if self.statistics.is_some() {
            let now = host::monotonic_ns();
            self.measured_ns += now - self.on_since_ns;
            self.on_since_ns = now;
        }
        let cpu_ns = host::own_cpu_ns();
        let programs = kernel.run_stats().into_iter().map(|(name, stats)| self.cost(name, stats)).collect();
        Overhead {
            programs,
            measured_ns: std::mem::take(&mut self.measured_ns),
            kernel_bytes: kernel.kernel_bytes(),
            tool_cpu_ns: cpu_ns - std::mem::replace(&mut self.cpu_ns, cpu_ns),
            tool_bytes: host::own_bytes(),
            empty_program_ns: self.empty_program_ns,
            sampled_calls: None,
            traps: None,
            inline: None,
        }
    }

    fn cost(&mut self, name: String, stats: RunStats) -> ProgramCost {
        let seen = self.seen.insert(name.clone(), stats).unwrap_or_default();
        let known = !self.refused;
        ProgramCost {
            name,
            events: known.then(|| stats.count - seen.count),
            run_ns: known.then(|| stats.time_ns - seen.time_ns),
            missed: stats.missed - seen.missed,
        }
    }
}
