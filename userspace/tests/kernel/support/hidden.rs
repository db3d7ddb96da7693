//! Threads that a hypervisor hides from every BPF program: some keep the programs out of the context of a task of theirs,
//! and with it out of interrupts on top of it. Proven by bpftrace once a run, when first it matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::OnceLock,
    thread,
    time::Duration,
};

use super::{Oracle, installed};

/// What a thread has had of CPUs.
#[derive(Clone, Copy, Debug, Default)]
struct Had {
    /// Its process.
    pid: u32,
    run_ns: u64,
    /// Times that it got one.
    slices: u64,
}

type Threads = BTreeMap<u32, Had>;

thread_local! {
    /// As the test began, which has a thread to itself.
    static BEFORE: Threads = threads();
}

/// How many events of a test may be missing for their sake.
pub struct Allowed {
    /// Each time that a hidden thread leaves a CPU, the one that follows it is not seen to get it, and maybe not to leave
    /// it.
    pub switches: u64,
    /// Wakeups by it, and by interrupts meanwhile: one in ten microseconds at most.
    pub wakeups: u64,
}

/// Notes how things stand, unless this test has done so before.
pub fn begin() {
    BEFORE.with(|_| ());
}

/// What hidden threads may have hidden from this test since it began.
pub fn allowed() -> Allowed {
    let now = threads();
    let had = BEFORE.with(|before| {
        // Any thread of such a process may be at rest while it is looked for.
        let theirs = now.iter().filter(|(_, had)| hidden().contains(&had.pid));
        theirs.fold(Had::default(), |sum, (tid, now)| {
            let before = before.get(tid).copied().unwrap_or_default();
            Had {
                pid: 0,
                run_ns: sum.run_ns + now.run_ns.saturating_sub(before.run_ns),
                slices: sum.slices + now.slices.saturating_sub(before.slices),
            }
        })
    });
    let wakeups = if had.slices == 0 { 0 } else { 2 * had.slices + had.run_ns / 10_000 };
    Allowed { switches: 2 * had.slices, wakeups }
}

/// Processes with threads that run and that no program on `sched_switch` ever sees leave a CPU. They may be at rest for a
/// while.
fn hidden() -> &'static BTreeSet<u32> {
    static HIDDEN: OnceLock<BTreeSet<u32>> = OnceLock::new();
    HIDDEN.get_or_init(|| {
        let looks = [4, 8, 16].into_iter().filter(|_| installed("bpftrace")).map(Duration::from_secs);
        looks.map(unseen_for).find(|found| !found.is_empty()).unwrap_or_default()
    })
}

fn unseen_for(time: Duration) -> BTreeSet<u32> {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("seen.bt");
    fs::write(&script, "tracepoint:sched:sched_switch { @seen[args->prev_pid] = count(); }").unwrap();
    let oracle = Oracle::run(&script, &[]);
    let before = threads();
    thread::sleep(time);
    let now = threads();
    let said = oracle.finish();
    let seen = said["@seen"].as_object().unwrap();
    let ran = |(tid, had): (&u32, &Had)| {
        // Two slices: between them it has left a CPU.
        let slices = before.get(tid).map_or(0, |before| had.slices - before.slices);
        (slices >= 2 && !seen.contains_key(&tid.to_string())).then_some(had.pid)
    };
    now.iter().filter_map(ran).collect()
}

/// All threads of the machine.
fn threads() -> Threads {
    let numbers = |path: &str| -> Vec<u32> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    };
    let mut threads = Threads::new();
    for pid in numbers("/proc") {
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
            let words: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            if let [run_ns, _, slices] = words[..] {
                threads.insert(tid, Had { pid, run_ns, slices });
            }
        }
    }
    threads
}
