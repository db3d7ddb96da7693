//! Readings of the kernel about a process: its BPF programs and maps, its memory, its time on a CPU.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result};

use crate::process::command;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel's BPF run statistics, which this measurement switches on and off. A shell that outlives us, however we
/// end, puts back what was there before.
pub struct Statistics {
    restorer: Child,
}

impl Statistics {
    /// Takes the switch; the statistics are off now.
    pub fn take() -> Result<Self> {
        let before = fs::read_to_string(SWITCH)
            .with_context(|| format!("cannot read {SWITCH}: this kernel keeps no BPF statistics"))?;
        let script = "trap '' INT TERM HUP; cat > /dev/null; echo \"$1\" > \"$2\"";
        let restorer = command("sh")
            .args(["-c", script, "sh", before.trim(), SWITCH])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start the shell that restores the kernel's BPF statistics")?;
        let statistics = Self { restorer };
        statistics.switch(false)?;
        Ok(statistics)
    }

    /// Switches them on or off.
    pub fn switch(&self, on: bool) -> Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(SWITCH).with_context(|| {
            format!("cannot switch the kernel's BPF statistics: {SWITCH} is not writable; run this as root")
        })?;
        Ok(file.write_all(if on { b"1" } else { b"0" })?)
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        drop(self.restorer.stdin.take());
        let _ = self.restorer.wait();
    }
}

/// Number of runs of a program while the statistics were on, and their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Number of runs.
    pub count: u64,
    /// Time of these runs.
    pub time_ns: u64,
}

/// The BPF programs that a process holds, by id.
pub struct Programs(BTreeMap<u64, PathBuf>);

impl Programs {
    /// Those that it holds now.
    pub fn of(pid: u32) -> Self {
        // Links name their program too, but do not tell how often it ran.
        let programs = descriptors(pid).filter(|(_, info)| field(info, "run_cnt").is_some());
        Self(programs.filter_map(|(path, info)| Some((field(&info, "prog_id")?, path))).collect())
    }

    /// Runs of each program so far. A program that was released meanwhile is left out.
    pub fn runs(&self) -> BTreeMap<u64, Runs> {
        let read = |(id, path): (&u64, &PathBuf)| {
            let info = fs::read_to_string(path).ok()?;
            let runs = Runs { count: field(&info, "run_cnt")?, time_ns: field(&info, "run_time_ns")? };
            (field(&info, "prog_id") == Some(*id)).then_some((*id, runs))
        };
        self.0.iter().filter_map(read).collect()
    }
}

/// The difference between two readings, without programs that did not run in between.
pub fn ran(before: &BTreeMap<u64, Runs>, after: &BTreeMap<u64, Runs>) -> Vec<Runs> {
    let difference = |(id, now): (&u64, &Runs)| {
        let then = before.get(id).copied().unwrap_or_default();
        Runs { count: now.count - then.count, time_ns: now.time_ns - then.time_ns }
    };
    after.iter().map(difference).filter(|runs| runs.count > 0).collect()
}

/// A BPF map.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// Bytes that the kernel charges for it.
    pub bytes: u64,
    /// Of these, what each CPU has of its own.
    pub per_cpu_bytes: u64,
}

/// The maps that a process holds, each once.
pub fn maps(pid: u32) -> Vec<Map> {
    // BPF_MAP_TYPE_PERCPU_HASH, _PERCPU_ARRAY and _LRU_PERCPU_HASH.
    const PER_CPU: [u64; 3] = [5, 6, 10];
    let mut maps = BTreeMap::new();
    for (_, info) in descriptors(pid) {
        let Some(id) = field(&info, "map_id") else { continue };
        let number = |name| field(&info, name).unwrap_or(0);
        let per_cpu = PER_CPU.contains(&number("map_type"));
        let values = number("value_size").next_multiple_of(8) * number("max_entries");
        maps.insert(id, Map { bytes: number("memlock"), per_cpu_bytes: if per_cpu { values } else { 0 } });
    }
    maps.into_values().collect()
}

/// Number of links that a process holds from BPF programs to places in the code of programs.
pub fn probes(pid: u32) -> usize {
    let kinds = ["uprobe_multi", "perf_event", "perf"];
    let kind =
        |info: &str| info.lines().find_map(|line| Some(line.strip_prefix("link_type:")?.trim().to_owned()));
    descriptors(pid).filter_map(|(_, info)| kind(&info)).filter(|kind| kinds.contains(&kind.as_str())).count()
}

fn descriptors(pid: u32) -> impl Iterator<Item = (PathBuf, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), fs::read_to_string(entry.path()).ok()?)))
}

/// The number behind `NAME:` in a file of the kernel's; units are left to the caller.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Resident memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All of it.
    pub resident: u64,
    /// Its own: neither files nor mapped BPF maps.
    pub anonymous: u64,
}

/// Resident memory of a process.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let bytes = |name| field(&status, name).unwrap_or(0) * 1024;
    Memory { resident: bytes("VmRSS"), anonymous: bytes("RssAnon") }
}

/// Time on a CPU of all threads that live.
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_task = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.filter_map(of_task).sum()
}

/// CPUs that are online.
pub fn cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_whole() {
        let info = "prog_id:\t613\nrun_time_ns:\t180347\nrun_cnt:\t2283\n";
        assert_eq!(field(info, "run_cnt"), Some(2283));
        assert_eq!(field(info, "run"), None);
        assert_eq!(field("VmRSS:\t  12 kB\n", "VmRSS"), Some(12));
    }

    #[test]
    fn programs_that_rest_are_left_out() {
        let before =
            BTreeMap::from([(1, Runs { count: 5, time_ns: 50 }), (2, Runs { count: 7, time_ns: 9 })]);
        let after = BTreeMap::from([(1, Runs { count: 8, time_ns: 90 }), (2, Runs { count: 7, time_ns: 9 })]);
        assert_eq!(ran(&before, &after), [Runs { count: 3, time_ns: 40 }]);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let own = memory(std::process::id());
        assert!(own.resident > own.anonymous && own.anonymous > 0);
        assert!(cpu_ns(std::process::id()) > 0);
    }
}
