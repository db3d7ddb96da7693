//! Counters inside of a process count every acquisition, and leave nothing behind.

mod foreign;
mod harm;
mod killed;
mod kin;
mod oracle;
mod per_lock;
mod privileges;
pub mod program;
mod refusals;
mod run;
mod storm;
mod truth;

use binary::locate::{debug_file::Nowhere, glibc::MUTEX_LOCK, plan::plan, site::Role};
use kernel::{
    inline::{Detail, InlineError, Patch},
    target::Pinned,
};
use model::{
    inline::{InlineKind, InlineStats},
    session::{Process, Session},
};
use probes::source::probing::Wish;
use pulse_trace::session::Scope;
use serde_json::Value;

use crate::support::{Calls, How, Trace, built, children_of};

/// Probes that do not disturb: system calls only.
const HOW: How<'_> = How {
    scope: Scope::Targets,
    per_thread: false,
    probes: &["syscalls"],
    stacks: false,
    limits: &[],
    wish: Wish {
        choice: probes::Choice { spin_time: false, total: false, hold: None },
        budget_percent: None,
    },
    inline: true,
};

/// Two processes that play ping-pong, counted in from before their go to their end.
fn ping_pong(wrapper: &[&str], mutex: &str, size: &str, trips: &str) -> (Session, Value) {
    let words = format!("--mutex {mutex} --size {size} --capacity 16 --repetitions {trips} --timeout 120");
    let arguments: Vec<&str> = words.split(' ').collect();
    let mut program = Calls::start_program(wrapper, &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 2);
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &HOW);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let output = program.output();
    let truth = output.lines().rfind(|line| line.starts_with('{')).unwrap();
    (session, serde_json::from_str(truth).unwrap())
}

fn stats(process: &Process, kind: InlineKind) -> InlineStats {
    process.inline.get(&kind).map(|seen| seen.stats.clone()).unwrap_or_default()
}

/// Acquisitions that both sides count of themselves, in ascending order.
fn acquisitions(truth: &Value) -> Vec<u64> {
    let sides = truth["cells"][0]["sides"].as_array().unwrap();
    let mut all: Vec<u64> = sides.iter().map(|side| side["lock"]["acquisitions"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all
}

fn counted(session: &Session, kind: InlineKind) -> Vec<u64> {
    let mut all: Vec<u64> = session.processes.values().map(|it| stats(it, kind).acquisitions).collect();
    all.sort_unstable();
    all
}

#[test]
fn every_acquisition_of_both_kinds_is_counted_once() {
    for (mutex, kind, other) in [
        ("adaptive", InlineKind::Adaptive, InlineKind::Normal),
        ("plain", InlineKind::Normal, InlineKind::Adaptive),
    ] {
        for (size, trips) in [("16", "3000"), ("65536", "300")] {
            let (session, truth) = ping_pong(&[], mutex, size, trips);
            assert_eq!(counted(&session, kind), acquisitions(&truth), "{mutex} {size}");
            assert_eq!(counted(&session, other).iter().sum::<u64>(), 0, "{mutex} {size}");
            for process in session.processes.values() {
                let stats = stats(process, kind);
                assert!(stats.contended <= stats.acquisitions, "{stats:?}");
                assert!(stats.went_to_kernel <= stats.contended, "{stats:?}");
                if kind == InlineKind::Adaptive {
                    assert_eq!(stats.spins.count(), stats.contended);
                    assert!(stats.went_to_kernel <= stats.gave_up && stats.gave_up <= stats.contended);
                }
            }
            assert!(session.ledger.complete(), "{:?}", session.ledger);
            assert!(session.overhead.inline.as_ref().unwrap().put_in_ns > 0);
        }
    }
}

/// Mappings that a tool has made in a process.
fn mappings(pid: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let ours = |line: &&str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        line.contains("memfd:pulse-trace") || (words[1] == "r-xp" && words.len() == 5)
    };
    maps.lines().filter(ours).map(str::to_owned).collect()
}

/// True if a line is about the library that the mutexes are in.
fn is_library(line: &str) -> bool {
    ["libc.so.6", "libpthread-2."].iter().any(|name| line.contains(name))
}

/// The code of the C library as it lies in memory.
fn code(pid: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.contains("r-xp") && is_library(line)).unwrap();
    let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let mut bytes = vec![0; (number(end) - number(start)) as usize];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, number(start)).unwrap();
    bytes
}

/// Two sides of a ping-pong that never sleep for long, both ready to go.
fn sides(trips: &str) -> (Calls, Vec<u32>) {
    let arguments = ["--mutex", "adaptive", "--repetitions", trips, "--timeout", "120"];
    let program = Calls::start_program(&[], &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    assert_eq!(pids.len(), 2);
    (program, pids)
}

#[test]
fn nothing_stays_behind_however_often() {
    let cycles = std::env::var("PULSE_INLINE_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let (mut program, pids) = sides("20000");
    program.go();
    for _ in 0..cycles {
        let mut patch = match Patch::put_in(pids[0], Detail::Kinds) {
            Ok(patch) => patch,
            // It may have played to its end.
            Err(InlineError::Gone(_)) => break,
            Err(error) => panic!("{error}"),
        };
        patch.read().unwrap();
        match patch.remove() {
            Ok(done) => assert!(!done.memory_left),
            Err(InlineError::Gone(_)) => break,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(mappings(pids[0]), Vec::<String>::new());
    }
    // It checks every message itself, and fails if one is lost, torn or out of order.
    let truth: Value = serde_json::from_str(program.output().lines().last().unwrap()).unwrap();
    assert_eq!(truth["cells"][0]["faults"].as_array().unwrap().len(), 0);
}

#[test]
fn code_that_is_not_that_of_the_file_is_refused() {
    let (program, pids) = sides("10");
    let refused = |pid: u32| {
        Patch::put_in(pid, Detail::Kinds).err().map_or_else(String::new, |error| error.to_string())
    };
    // Under another one's breakpoint the code is not that of the file.
    let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/mem", pids[0])).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", pids[0])).unwrap();
    let line = maps.lines().find(|line| line.contains("r-xp") && line.contains("libc.so.6")).unwrap();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let start = u64::from_str_radix(words[0].split_once('-').unwrap().0, 16).unwrap();
    let offset = u64::from_str_radix(words[2], 16).unwrap();
    let bytes = std::fs::read(words[5]).unwrap();
    let plan = plan(&bytes, &Nowhere);
    let site = plan.of(Role::SpinEnd).find(|site| site.function == MUTEX_LOCK).unwrap();
    let address = start + site.file_offset - offset;
    std::os::unix::fs::FileExt::write_all_at(&memory, &[0xcc], address).unwrap();
    assert!(refused(pids[0]).contains("another program has changed it"), "{}", refused(pids[0]));
    assert!(mappings(pids[0]).is_empty());
    drop(program);
}
