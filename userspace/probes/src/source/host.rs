//! Facts about this machine.

use std::fs;

use kernel::{sandbox, target};
use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};

fn now(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The clock that the kernel side uses, ns.
#[must_use]
pub fn monotonic_ns() -> u64 {
    now(ClockId::Monotonic)
}

/// Wall clock, ns since 1970.
#[must_use]
pub fn unix_ns() -> u64 {
    now(ClockId::Realtime)
}

/// CPU time of this process so far, and of the one that reads files for it, ns.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    now(ClockId::ProcessCPUTime) + sandbox::cpu_ns()
}

/// Resident memory of this process, bytes, and of the one that reads files for it.
#[must_use]
pub fn own_bytes() -> u64 {
    target::resident_bytes(std::process::id()) + sandbox::bytes()
}

/// The kernel's release.
#[must_use]
pub fn kernel() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// The machine's architecture.
#[must_use]
pub fn arch() -> String {
    uname().machine().to_string_lossy().into_owned()
}

/// CPUs that this machine has online, whichever of them this process may use.
#[must_use]
pub fn cpus() -> u32 {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    match cpu_list(&online).len() {
        0 => std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32),
        cpus => cpus as u32,
    }
}

/// A list of CPUs such as `0-3,7`.
fn cpu_list(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<u32>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// The clock source behind the timestamps.
#[must_use]
pub fn clock() -> String {
    let name = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CpuSet, sched_setaffinity};

    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpu_list("\t0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(cpu_list("5"), [5]);
        assert!(cpu_list("").is_empty());
    }

    #[test]
    fn a_process_that_may_use_one_cpu_counts_all() {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap();
        let all = info.lines().filter(|line| line.starts_with("processor")).count();
        let allowed = cpu_list(
            fs::read_to_string("/proc/thread-self/status")
                .unwrap()
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
                .unwrap(),
        );
        std::thread::spawn(move || {
            let mut one = CpuSet::new();
            one.set(allowed[0] as usize);
            sched_setaffinity(None, &one).unwrap();
            assert_eq!(cpus() as usize, all);
        })
        .join()
        .unwrap();
    }
}
