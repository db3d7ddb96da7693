//! Ways to watch locks: ours and others.

use std::time::Duration;

use super::workload::{WORKLOADS, Workload};
use crate::bench::running::{OURS, Ready};

/// A way to watch locks.
pub struct Method {
    /// Its name in tables.
    pub name: &'static str,
    /// The command.
    pub words: fn(&Scene<'_>) -> Vec<String>,
    /// How one can tell that it counts.
    pub ready: Ready,
    /// From its first sign of life until all of its probes are in.
    pub settling: Duration,
    /// Whether it is this tool.
    pub is_ours: bool,
    /// Whether it ends with what it watches.
    pub ends_by_itself: bool,
    /// The largest slow-down that is promised, by workload in the order of `WORKLOADS`.
    pub goals: [Option<f64>; 3],
    /// The loop runs so many times less often where it slows that much.
    pub fewer: [u64; 3],
}

/// What a method is to be started on.
pub struct Scene<'a> {
    /// The processes that use locks.
    pub pids: &'a [u32],
    /// Their C library.
    pub library: &'a str,
    /// Where our JSON goes.
    pub json: &'a str,
}

/// Ours, with the largest slow-down that is promised.
const fn ours(
    name: &'static str,
    words: fn(&Scene<'_>) -> Vec<String>,
    goals: [Option<f64>; 3],
    fewer: [u64; 3],
) -> Method {
    Method {
        name,
        words,
        ready: Ready::ProgramsRun,
        settling: Duration::from_millis(500),
        is_ours: true,
        ends_by_itself: true,
        goals,
        fewer,
    }
}

/// Those of others.
const fn peer(
    name: &'static str,
    words: fn(&Scene<'_>) -> Vec<String>,
    ready: Ready,
    ends_by_itself: bool,
    fewer: [u64; 3],
) -> Method {
    Method {
        name,
        words,
        ready,
        settling: Duration::from_secs(1),
        is_ours: false,
        ends_by_itself,
        goals: [None; 3],
        fewer,
    }
}

/// The default budget.
pub const TIER_1: usize = 1;

/// All of them.
pub const METHODS: [Method; 7] = [
    ours(
        "tier 0: pulse-trace --probes futex",
        |scene| started(scene, &["--probes", "futex"]),
        [Some(1.08), Some(1.25), Some(1.01)],
        [1; 3],
    ),
    ours(
        "tier 1: pulse-trace --probes mutex",
        |scene| started(scene, &["--probes", "mutex"]),
        [Some(1.3), Some(1.3), Some(1.3)],
        [1; 3],
    ),
    ours(
        "tier 1, --budget unlimited",
        |scene| started(scene, &["--probes", "mutex", "--budget", "unlimited"]),
        [None; 3],
        [10, 5, 1],
    ),
    peer(
        "bpftrace, entry of pthread_mutex_lock",
        |scene| bpftrace(scene, "uprobe"),
        Ready::Says("Attaching"),
        false,
        [300, 50, 200],
    ),
    peer(
        "bpftrace, its return",
        |scene| bpftrace(scene, "uretprobe"),
        Ready::Says("Attaching"),
        false,
        [300, 50, 200],
    ),
    peer("strace -c -f", strace, Ready::Says("attached"), true, [10, 250, 4]),
    peer("perf trace -s", perf_trace, Ready::BuffersMapped, true, [10, 50, 4]),
];

fn started(scene: &Scene<'_>, probes: &[&str]) -> Vec<String> {
    let mut words = with_pids([OURS, "attach", "--plain"], scene);
    words.extend(["--quiet", "--json", scene.json].iter().chain(probes).map(|word| (*word).to_owned()));
    words
}

fn with_pids(words: [&str; 3], scene: &Scene<'_>) -> Vec<String> {
    let pids = scene.pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
    words.iter().map(|word| (*word).to_owned()).chain(pids).collect()
}

fn bpftrace(scene: &Scene<'_>, kind: &str) -> Vec<String> {
    let script = format!("{kind}:{}:pthread_mutex_lock {{ @ = count(); }}", scene.library);
    ["bpftrace", "-e", &script].map(str::to_owned).to_vec()
}

fn strace(scene: &Scene<'_>) -> Vec<String> {
    with_pids(["strace", "-c", "-f"], scene)
}

fn perf_trace(scene: &Scene<'_>) -> Vec<String> {
    let pids: Vec<String> = scene.pids.iter().map(u32::to_string).collect();
    ["perf", "trace", "-s", "-p", &pids.join(",")].map(str::to_owned).to_vec()
}

impl Method {
    /// How many times less often a workload's loop runs.
    pub fn fewer_of(&self, workload: &Workload) -> u64 {
        let at = WORKLOADS.iter().position(|known| known.name == workload.name);
        at.map_or(1, |at| self.fewer[at])
    }
}
