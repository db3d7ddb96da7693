//! The machine while a benchmark runs: what it is, and what else it did.

use std::fs;

use crate::{compare::json::Environment, source::host};

/// What is read at the start and compared at the end.
pub struct Machine {
    load: Option<f64>,
    ticks: Option<(u64, u64)>,
}

impl Machine {
    /// Looks now.
    pub fn look() -> Self {
        Self { load: load(), ticks: ticks() }
    }

    /// The environment, from then to now.
    pub fn environment(&self) -> Environment {
        let stolen = |((all, stolen), (all_then, stolen_then)): ((u64, u64), (u64, u64))| {
            let all = all.saturating_sub(all_then);
            (all > 0).then(|| 100.0 * stolen.saturating_sub(stolen_then) as f64 / all as f64)
        };
        Environment {
            kernel: host::kernel(),
            arch: host::arch(),
            cpus: host::cpus(),
            clock: host::clock(),
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            load_before: self.load,
            load_after: load(),
            stolen_percent: ticks().zip(self.ticks).and_then(stolen),
        }
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

fn ticks() -> Option<(u64, u64)> {
    parse_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

/// All ticks of all CPUs, and those that the hypervisor gave to others. Guests' ticks are in the users' already.
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|it| it.parse().ok()).collect();
    Some((ticks.iter().sum(), *ticks.get(7)?))
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_ticks_are_the_eighth() {
        let stat = "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(parse_ticks(stat), Some((360, 80)));
        assert_eq!(parse_ticks("cpu 1 2 3\n"), None);
    }

    #[test]
    fn the_processor_is_named_where_the_kernel_names_it() {
        assert_eq!(processor("processor : 0\nmodel name\t: Some CPU\n").as_deref(), Some("Some CPU"));
        assert_eq!(processor("CPU implementer : 0x41\n"), None);
    }
}
