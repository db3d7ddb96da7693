//! The machine while a benchmark runs: what it is, and what else it did.

use std::{fs, path::Path};

use probes::source::host;
use views::compare::json::Environment;

const CPUS: &str = "/sys/devices/system/cpu";

/// State of the machine that is read at the start and compared at the end.
pub struct Machine {
    load: Option<f64>,
    ticks: Option<Ticks>,
    own: Option<u64>,
    waited_us: Option<u64>,
    throttled: Option<u64>,
    begun_ns: u64,
}

/// Time of all CPUs, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Machine {
    /// Reads the present state.
    pub fn look() -> Self {
        Self {
            load: load(),
            ticks: ticks(),
            own: own(),
            waited_us: waited_us(),
            throttled: throttled(Path::new(CPUS)),
            begun_ns: host::monotonic_ns(),
        }
    }

    /// The environment, from then to now.
    pub fn environment(&self) -> Environment {
        let spent = ticks().zip(self.ticks).map(|(now, then)| now.since(then)).filter(|spent| spent.all > 0);
        let percent = |part: u64, spent: Ticks| 100.0 * part as f64 / spent.all as f64;
        let own = own().zip(self.own).map(|(now, then)| now.saturating_sub(then));
        let others = |(spent, own): (Ticks, u64)| {
            percent((spent.all - spent.idle - spent.stolen).saturating_sub(own), spent)
        };
        let wall_us = (host::monotonic_ns() - self.begun_ns) as f64 / 1e3;
        let waited = waited_us().zip(self.waited_us).map(|(now, then)| now.saturating_sub(then) as f64);
        Environment {
            kernel: host::kernel(),
            arch: host::arch(),
            cpus: host::cpus(),
            clock: host::clock(),
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            load_before: self.load,
            load_after: load(),
            stolen_percent: spent.map(|spent| percent(spent.stolen, spent)),
            others_percent: spent.zip(own).map(others),
            pressure_percent: waited.filter(|_| wall_us > 0.0).map(|us| (100.0 * us / wall_us).min(100.0)),
            throttled: throttled(Path::new(CPUS))
                .zip(self.throttled)
                .map(|(now, then)| now.saturating_sub(then)),
            governor: governor(),
        }
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

impl Ticks {
    fn since(self, then: Self) -> Self {
        let idle = self.idle.saturating_sub(then.idle);
        let stolen = self.stolen.saturating_sub(then.stolen);
        Self { all: self.all.saturating_sub(then.all).max(idle + stolen), idle, stolen }
    }
}

/// Guests' ticks are in the users' already, and waiting for a disk is idling.
fn parse_ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|it| it.parse().ok()).collect();
    let stolen = *ticks.get(7)?;
    Some(Ticks { all: ticks.iter().sum(), idle: ticks[3] + ticks[4], stolen })
}

/// Ticks of this process and of all its children that it has waited for.
fn own() -> Option<u64> {
    parse_own(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The name may hold anything, brackets too; what follows the last one is numbers.
fn parse_own(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Time in which at least one task waited for a CPU, us.
fn waited_us() -> Option<u64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.lines().find(|line| line.starts_with("some"))?.rsplit_once("total=")?.1.trim().parse().ok()
}

/// Times that any CPU was slowed down because of its own temperature or its package's.
fn throttled(cpus: &Path) -> Option<u64> {
    let counters = fs::read_dir(cpus).ok()?.flatten().flat_map(|entry| {
        ["core_throttle_count", "package_throttle_count"]
            .map(|name| entry.path().join("thermal_throttle").join(name))
    });
    let counts: Vec<u64> =
        counters.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

fn governor() -> Option<String> {
    let text = fs::read_to_string(Path::new(CPUS).join("cpu0/cpufreq/scaling_governor")).ok()?;
    Some(text.trim().to_owned())
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
        assert_eq!(parse_ticks(stat), Some(Ticks { all: 360, idle: 90, stolen: 80 }));
        assert_eq!(parse_ticks("cpu 1 2 3\n"), None);
    }

    #[test]
    fn own_time_is_that_of_the_children_too_under_any_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4 100 200 0 0 11 22 33 44 20 0 1 0 5";
        assert_eq!(parse_own(stat), Some(110));
        assert_eq!(parse_own("7 (a) S 1"), None);
        assert!(own().is_some());
    }

    #[test]
    fn slowing_down_is_added_up_over_all_cpus_and_missing_without_counters() {
        let cpus = tempfile::tempdir().unwrap();
        assert_eq!(throttled(cpus.path()), None);
        for (cpu, times) in [("cpu0", "3"), ("cpu1", "4")] {
            let directory = cpus.path().join(cpu).join("thermal_throttle");
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("core_throttle_count"), format!("{times}\n")).unwrap();
        }
        assert_eq!(throttled(cpus.path()), Some(7));
    }

    #[test]
    fn the_processor_is_named_where_the_kernel_names_it() {
        assert_eq!(processor("processor : 0\nmodel name\t: Some CPU\n").as_deref(), Some("Some CPU"));
        assert_eq!(processor("CPU implementer : 0x41\n"), None);
    }
}
