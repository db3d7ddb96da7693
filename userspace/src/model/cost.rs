//! What the measurement cost, derived from the raw run statistics.

use super::frame::{Overhead, ProgramCost};

/// Programs whose names begin so run at every system call.
const CALL_PROGRAMS: &str = "syscalls_";

impl ProgramCost {
    /// Time per run, net of what the statistics add, ns; `None` without statistics or runs.
    #[must_use]
    pub fn net_ns_per_event(&self, empty_program_ns: Option<f64>) -> Option<f64> {
        let events = self.events.filter(|events| *events > 0)?;
        let gross = self.run_ns? as f64 / events as f64;
        Some((gross - empty_program_ns.unwrap_or(0.0)).max(0.0))
    }
}

impl Overhead {
    /// Share of one CPU that a program takes, net of what the statistics add; 1.0 is a whole CPU.
    #[must_use]
    pub fn cpu_share(&self, program: &ProgramCost) -> Option<f64> {
        if self.measured_ns == 0 {
            return None;
        }
        let per_event = match program.events? {
            0 => 0.0,
            _ => program.net_ns_per_event(self.empty_program_ns)?,
        };
        Some(per_event * program.events? as f64 / self.measured_ns as f64)
    }

    /// What the probes add to one system call, begin and end together, ns.
    #[must_use]
    pub fn ns_per_call(&self) -> Option<f64> {
        self.ns_per_pass(&[CALL_PROGRAMS])
    }

    /// What passing once through every program whose name begins with one of these adds, ns; `None` where none ran.
    #[must_use]
    pub fn ns_per_pass(&self, prefixes: &[&str]) -> Option<f64> {
        let passed = |program: &&ProgramCost| prefixes.iter().any(|prefix| program.name.starts_with(prefix));
        let programs = self.programs.iter().filter(passed);
        let costs: Vec<f64> = programs.filter_map(|it| it.net_ns_per_event(self.empty_program_ns)).collect();
        (!costs.is_empty()).then(|| costs.iter().sum())
    }

    /// Share of one CPU that all programs and the tool itself take; `None` without statistics.
    #[must_use]
    pub fn total_cpu_share(&self, duration_ns: u64) -> Option<f64> {
        let programs: Option<f64> = self.programs.iter().map(|program| self.cpu_share(program)).sum();
        programs.map(|programs| programs + self.tool_cpu_share(duration_ns))
    }

    /// Share of one CPU that the tool itself takes, outside of the kernel's programs.
    #[must_use]
    pub fn tool_cpu_share(&self, duration_ns: u64) -> f64 {
        if duration_ns == 0 { 0.0 } else { self.tool_cpu_ns as f64 / duration_ns as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, events: u64, run_ns: u64) -> ProgramCost {
        ProgramCost { name: name.to_owned(), events: Some(events), run_ns: Some(run_ns), missed: 0 }
    }

    #[test]
    fn costs_are_net_of_the_statistics_and_relative_to_the_time_they_were_on() {
        let overhead = Overhead {
            programs: vec![program("syscalls_enter", 100, 10_000), program("syscalls_exit", 100, 11_000)],
            measured_ns: 1_000_000,
            empty_program_ns: Some(40.0),
            tool_cpu_ns: 5_000,
            ..Overhead::default()
        };
        assert_eq!(overhead.ns_per_call(), Some(130.0));
        assert_eq!(overhead.ns_per_pass(&["sched_"]), None);
        assert_eq!(overhead.ns_per_pass(&["syscalls_exit", "futex_"]), Some(70.0));
        assert_eq!(overhead.cpu_share(&overhead.programs[0]), Some(0.006));
        let total = overhead.total_cpu_share(1_000_000).unwrap();
        assert!((total - 0.018).abs() < 1e-12, "{total}");
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let silent = ProgramCost { events: None, run_ns: None, ..program("syscalls_enter", 0, 0) };
        let overhead = Overhead { programs: vec![silent], measured_ns: 1, ..Overhead::default() };
        assert_eq!((overhead.ns_per_call(), overhead.total_cpu_share(1)), (None, None));
        let idle = Overhead {
            programs: vec![program("lifecycle_fork", 0, 0)],
            measured_ns: 1,
            ..Overhead::default()
        };
        assert_eq!((idle.ns_per_call(), idle.total_cpu_share(1)), (None, Some(0.0)));
    }
}
