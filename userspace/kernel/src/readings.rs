//! Self-measurement of the kernel side: losses, finished rows, and the cost of its programs.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
};

use aya::{
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
    sys::{Stats, enable_stats},
};
use model::frame::Ledger;
use pulse_trace_common::{
    loss::{SLOTS, Slot},
    target::stage,
};

use super::{Kernel, LoadError};

/// Run statistics of a program since it was loaded, while the kernel's statistics were on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Number of runs.
    pub count: u64,
    /// Time of the runs, ns.
    pub time_ns: u64,
    /// Runs that the kernel left out, because the program was running on that CPU already.
    pub missed: u64,
}

/// Runs of the empty program that measure the cost of the statistics themselves. The best of several rounds counts: an
/// interrupted round includes the interruption.
const CALIBRATION_ROUNDS: u64 = 8;
const CALIBRATION_RUNS: u64 = 60;

impl Kernel {
    /// Makes the kernel side count from here on; also when entry hooks have been detached and are about to
    /// be attached again.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn open(&mut self) -> Result<(), LoadError> {
        self.stage.set(0, stage::OPEN, 0).map_err(|cause| LoadError::Map { name: "STAGE", cause })
    }

    /// Informs the kernel side that the entry hooks are about to be detached.
    pub fn close(&mut self) {
        // If this failed, calls of the last microseconds would be counted without latency, and reported so.
        let _ = self.stage.set(0, stage::CLOSING, 0);
    }

    /// Informs the kernel side that the session has ended.
    pub fn end(&mut self) {
        // If this failed, locks would be counted until their probes are removed.
        let _ = self.stage.set(0, stage::OVER, 0);
    }

    /// The loss slots, all CPUs together.
    #[must_use]
    pub fn losses(&self) -> Vec<(Slot, u64)> {
        let mut totals = [0_u64; SLOTS];
        if let Ok(per_cpu) = self.loss.get(&0, 0) {
            for slots in per_cpu.iter() {
                totals.iter_mut().zip(slots).for_each(|(total, count)| *total += count);
            }
        }
        Slot::ALL.iter().map(|slot| (*slot, totals[*slot as usize])).collect()
    }

    /// Notes the sizes of the tables that were full.
    pub fn note_full_tables(&self, ledger: &mut Ledger) {
        self.limits.note_full_tables(|| self.rows().count(), ledger);
    }

    /// The descriptor that becomes readable when a row is finished.
    #[must_use]
    pub fn finished_fd(&self) -> BorrowedFd<'_> {
        self.finished.as_fd()
    }

    /// Empties the ring behind [`Kernel::finished_fd`], so that it can become readable again.
    pub fn acknowledge_finished(&mut self) {
        while self.finished.next().is_some() {}
    }

    /// Writes the log of the kernel side, where a log was requested.
    pub fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Bytes that the maps take in the kernel.
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        self.kernel_bytes
    }

    /// Run statistics of every loaded program, by name.
    #[must_use]
    pub fn run_stats(&self) -> Vec<(String, RunStats)> {
        let programs = self.ebpf.programs().filter(|(name, _)| !name.starts_with("calibration"));
        let known = programs.filter_map(|(name, program)| {
            let descriptor = program.fd().ok()?.as_fd().as_raw_fd();
            Some((name.to_owned(), stats_of(descriptor)?))
        });
        let sites = self
            .site_descriptor()
            .and_then(|descriptor| Some((super::uprobe::PROGRAM.to_owned(), stats_of(descriptor)?)));
        known.chain(sites).collect()
    }

    /// Time that the statistics add to each run, ns: the time of an empty program. `None` where this kernel cannot run
    /// one on demand.
    pub fn calibrate(&mut self) -> Option<f64> {
        let program: &mut RawTracePoint = self.ebpf.program_mut("calibration_empty")?.try_into().ok()?;
        program.load().ok()?;
        let _statistics = switch_on_statistics()?;
        let mut best = f64::INFINITY;
        let mut seen = RunStats::default();
        for _ in 0..CALIBRATION_ROUNDS {
            for _ in 0..CALIBRATION_RUNS {
                program.test_run(RawTracePointRunOptions::new()).ok()?;
            }
            let info = program.info().ok()?;
            let now =
                RunStats { count: info.run_count(), time_ns: info.run_time().as_nanos() as u64, missed: 0 };
            let runs = (now.count - seen.count) as f64;
            best = best.min((now.time_ns - seen.time_ns) as f64 / runs);
            seen = now;
        }
        let _ = program.unload();
        best.is_finite().then_some(best)
    }
}

/// Statistics of a loaded program from its descriptor.
fn stats_of(descriptor: RawFd) -> Option<RunStats> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    Some(RunStats {
        count: field("run_cnt"),
        time_ns: field("run_time_ns"),
        missed: field("recursion_misses"),
    })
}

/// Switches the kernel's run statistics on until the descriptor is closed; `None` where this user may not.
#[must_use]
pub fn switch_on_statistics() -> Option<OwnedFd> {
    enable_stats(Stats::RunTime).ok()
}
