//! Ways to watch locks: ours and others.

use std::{path::Path, time::Duration};

use super::{
    spin::Spin,
    workload::{WORKLOADS, Workload},
};
use crate::bench::running::{OURS, Ready};

/// A way to watch locks.
pub struct Method {
    /// Its name in tables.
    pub name: &'static str,
    /// Words of the command.
    pub words: fn(&Scene<'_>) -> Vec<String>,
    /// Sign that it counts.
    pub ready: Ready,
    /// From its first sign of life until all of its probes are in.
    pub settling: Duration,
    /// True when it may matter by a percent, and so runs in each round, right after a run alone.
    pub is_close: bool,
    /// True when places in the C library need names for it.
    pub needs_names: bool,
    /// True when it ends with the processes that it watches.
    pub ends_by_itself: bool,
    /// The largest slow-down that is promised, by workload in the order of `WORKLOADS`.
    pub goals: [Option<f64>; 3],
    /// The loop runs so many times less often where it slows that much; not at all with 0.
    pub fewer: [u64; 3],
}

/// The processes and files that a method is started on.
pub struct Scene<'a> {
    /// The processes that use locks.
    pub pids: &'a [u32],
    /// Their C library.
    pub library: &'a str,
    /// Path of our JSON output.
    pub json: &'a str,
    /// Directory of our programs.
    pub programs: &'a Path,
    /// Probe sites of the spin counts in that library.
    pub spin: &'a Spin,
}

/// Ours, with the largest slow-down that is promised.
const fn ours(
    name: &'static str,
    words: fn(&Scene<'_>) -> Vec<String>,
    ready: Ready,
    goals: [Option<f64>; 3],
    fewer: [u64; 3],
) -> Method {
    let settling = Duration::from_millis(500);
    Method {
        name,
        words,
        ready,
        settling,
        is_close: true,
        needs_names: false,
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
    let settling = Duration::from_secs(1);
    Method {
        name,
        words,
        ready,
        settling,
        is_close: false,
        needs_names: false,
        ends_by_itself,
        goals: [None; 3],
        fewer,
    }
}

/// Those that look at places in the midst of a function, where an adaptive mutex passes them.
const fn placed(name: &'static str, words: fn(&Scene<'_>) -> Vec<String>) -> Method {
    Method { needs_names: true, ..peer(name, words, ATTACHING, false, [30, 0, 0]) }
}

/// Two programs that do nothing where each system call begins and ends.
pub const FLOOR: usize = 0;
/// The default budget.
pub const TIER_1: usize = 2;
/// The method that sees every spin count, without a limit on its cost.
pub const UNLIMITED: usize = 3;
/// Counters in the process itself.
pub const INLINE: usize = 4;
/// Others that see the spin count.
pub const OTHERS_WITH_SPINS: std::ops::Range<usize> = 5..7;

const ATTACHING: Ready = Ready::Says("Attaching");

/// All of them.
pub const METHODS: [Method; 11] = [
    Method {
        is_close: true,
        ..peer("the floor: two empty programs on system calls", floor, Ready::Says("attached"), false, [1; 3])
    },
    ours(
        "tier 0: pulse-trace --probes futex",
        |scene| started(scene, &["--probes", "futex"]),
        Ready::ProgramsRun,
        [Some(1.08), Some(1.25), Some(1.01)],
        [1; 3],
    ),
    ours(
        "tier 1: pulse-trace --probes mutex",
        |scene| started(scene, &["--probes", "mutex"]),
        Ready::ProbesIn,
        [Some(1.3), Some(1.3), Some(1.3)],
        [1; 3],
    ),
    ours(
        "tier 1, --budget unlimited",
        |scene| started(scene, &["--probes", "mutex", "--budget", "unlimited"]),
        Ready::ProbesIn,
        [None; 3],
        [10, 5, 1],
    ),
    ours(
        "counters inside: pulse-trace --inline",
        |scene| started(scene, &["--inline", "--probes", "syscalls"]),
        Ready::ProgramsRun,
        [Some(1.05), None, None],
        [1; 3],
    ),
    placed("bpftrace, end of the spin", spin_end),
    placed("bpftrace, five places of the spin's function", five),
    peer("bpftrace, entry of pthread_mutex_lock", entry, ATTACHING, false, [300, 50, 200]),
    peer("bpftrace, its return", its_return, ATTACHING, false, [300, 50, 200]),
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

fn bpftrace(script: &str) -> Vec<String> {
    ["bpftrace", "-e", script].map(str::to_owned).to_vec()
}

fn floor(scene: &Scene<'_>) -> Vec<String> {
    vec![scene.programs.join("floor").to_string_lossy().into_owned()]
}

fn spin_end(scene: &Scene<'_>) -> Vec<String> {
    bpftrace(&scene.spin.script(scene.library))
}

fn five(scene: &Scene<'_>) -> Vec<String> {
    bpftrace(&scene.spin.script_of_all(scene.library))
}

fn entry(scene: &Scene<'_>) -> Vec<String> {
    bpftrace(&format!("uprobe:{}:pthread_mutex_lock {{ @ = count(); }}", scene.library))
}

fn its_return(scene: &Scene<'_>) -> Vec<String> {
    bpftrace(&format!("uretprobe:{}:pthread_mutex_lock {{ @ = count(); }}", scene.library))
}

fn strace(scene: &Scene<'_>) -> Vec<String> {
    with_pids(["strace", "-c", "-f"], scene)
}

fn perf_trace(scene: &Scene<'_>) -> Vec<String> {
    let pids: Vec<String> = scene.pids.iter().map(u32::to_string).collect();
    ["perf", "trace", "-s", "-p", &pids.join(",")].map(str::to_owned).to_vec()
}

impl Method {
    /// Factor by which a workload's loop runs less often.
    pub fn fewer_of(&self, workload: &Workload) -> u64 {
        let at = WORKLOADS.iter().position(|known| known.name == workload.name);
        at.map_or(1, |at| self.fewer[at])
    }
}
