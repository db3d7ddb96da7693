//! Cost of the measurement, derived from the raw run statistics.

use super::frame::{Overhead, ProgramCost};

/// Programs whose names begin so run at every system call.
const CALL_PROGRAMS: &str = "syscalls_";
/// Calls of other processes that take these programs as long as one of a target (118 to 20 ns in
/// `docs/results/overhead.md`): the kernel's statistics have the sum of both.
const TARGETS_WEIGHT: f64 = 6.0;

/// System calls while the statistics were on, and the time that they spent in our programs.
struct Calls {
    /// Calls of targets.
    count: u64,
    /// Time in them.
    targets_ns: f64,
    /// Time in calls of all other processes.
    others_ns: f64,
}

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

    /// Time that the probes add to one system call of a target, begin and end together, ns; to one of any process,
    /// where the two are not told apart.
    #[must_use]
    pub fn ns_per_call(&self) -> Option<f64> {
        let of_targets = self.calls_ns().filter(|calls| calls.count > 0);
        let of_targets = of_targets.map(|calls| calls.targets_ns / calls.count as f64);
        of_targets.or_else(|| self.ns_per_pass(&[CALL_PROGRAMS]))
    }

    /// Notes the number of the targets' system calls while the statistics were on, by their rate in the interval.
    pub fn sample_calls(&mut self, counted: u64, span_ns: u64) {
        let calls = u128::from(counted) * u128::from(self.measured_ns) / u128::from(span_ns.max(1));
        self.sampled_calls = Some(calls as u64);
    }

    /// Time of the programs at system calls while the statistics were on.
    fn calls_ns(&self) -> Option<Calls> {
        let programs = || self.programs.iter().filter(|program| program.name.starts_with(CALL_PROGRAMS));
        let runs = programs().filter_map(|program| program.events).max()?;
        let of_cpu: Option<f64> = programs().map(|program| self.cpu_share(program)).sum();
        let all_ns = of_cpu? * self.measured_ns as f64;
        let count = self.sampled_calls?.min(runs);
        let (targets, others) = (count as f64 * TARGETS_WEIGHT, (runs - count) as f64);
        let targets_ns = all_ns * if runs == 0 { 0.0 } else { targets / (targets + others) };
        Some(Calls { count, targets_ns, others_ns: all_ns - targets_ns })
    }

    /// Shares of one CPU that the programs at system calls take: in calls of targets, and in those of
    /// all other processes.
    #[must_use]
    pub fn calls_cpu_shares(&self) -> Option<(f64, f64)> {
        let of_cpu = |ns: f64| ns / self.measured_ns as f64;
        self.calls_ns().map(|calls| (of_cpu(calls.targets_ns), of_cpu(calls.others_ns)))
    }

    /// Share of one CPU that all programs but those at system calls take; `None` without statistics.
    #[must_use]
    pub fn other_programs_cpu_share(&self) -> Option<f64> {
        let others = self.programs.iter().filter(|program| !program.name.starts_with(CALL_PROGRAMS));
        others.map(|program| self.cpu_share(program)).sum()
    }

    /// Time that one pass through every program whose name begins with one of these adds, ns; `None` where none ran.
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
    fn calls_of_targets_and_of_others_are_told_apart() {
        let mut overhead = Overhead {
            // 1000 calls of targets at 120 ns, 9000 of others at 20 ns; statistics add 40 ns to each run.
            programs: vec![
                program("syscalls_enter", 10_000, 10_000 * 40 + 60_000 + 90_000),
                program("syscalls_exit", 10_000, 10_000 * 40 + 60_000 + 90_000),
                program("sched_switch", 100, 100 * 240),
            ],
            measured_ns: 1_000_000,
            empty_program_ns: Some(40.0),
            sampled_calls: Some(1000),
            ..Overhead::default()
        };
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let (targets, others) = overhead.calls_cpu_shares().unwrap();
        assert!(near(targets, 0.12) && near(others, 0.18), "{targets} {others}");
        assert!(near(overhead.ns_per_call().unwrap(), 120.0));
        assert!(near(overhead.other_programs_cpu_share().unwrap(), 0.02));
        // All of one sort; more than were seen to run, where their rate was lower meanwhile.
        overhead.sampled_calls = Some(0);
        assert!(near(overhead.calls_cpu_shares().unwrap().0, 0.0));
        assert!(near(overhead.ns_per_call().unwrap(), 30.0));
        overhead.sampled_calls = Some(20_000);
        assert!(near(overhead.calls_cpu_shares().unwrap().1, 0.0));
        overhead.sampled_calls = None;
        assert_eq!(overhead.calls_cpu_shares(), None);
        assert!(near(overhead.ns_per_call().unwrap(), 30.0));
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
