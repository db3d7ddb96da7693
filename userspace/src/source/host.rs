//! What this machine is.

use std::fs;

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

/// CPU time of this process so far, ns.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    now(ClockId::ProcessCPUTime)
}

/// Resident memory of this process, bytes. Pages of the kernel's maps that are mapped here are the kernel's, and
/// counted with its memory.
#[must_use]
pub fn own_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    (field("RssAnon:") + field("RssFile:")) * 1024
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

/// CPUs that this machine has online.
#[must_use]
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32)
}

/// The clock source behind the timestamps.
#[must_use]
pub fn clock() -> String {
    let name = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
