//! Page faults: as many as the kernel itself has counted, each of the kind that the program made.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use model::{
    events::EventStats,
    session::{Process, Session},
};
use pulse_trace::session::Scope;

use crate::support::{How, Staged, Trace, installed, need, whole};

const PAGES: u64 = 700;
const PROBES: &[&str] = &["auto", "faults"];

/// The program, waiting.
struct Faults {
    program: Staged,
    _directory: tempfile::TempDir,
}

impl Faults {
    fn start(threads: u32) -> Self {
        // Not in memory: a file there never comes from storage.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = stored(directory.path());
        let (pages, threads) = (PAGES.to_string(), threads.to_string());
        let arguments = [&pages, &threads, file.to_str().unwrap()];
        let program = Staged::start(directory.path(), "faults.c", &arguments);
        Self { program, _directory: directory }
    }

    fn pid(&self) -> u32 {
        self.program.pid()
    }

    fn go(&self) {
        self.program.go();
    }

    /// Minor and major faults of the process, as the kernel has counted them.
    fn counted(&self) -> [u64; 2] {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        [7, 9].map(|at: usize| fields[at].parse().unwrap())
    }

    /// What is counted while it makes its faults: by the tool, and by the kernel.
    fn traced(&self, how: &How<'_>) -> (Session, [u64; 2]) {
        let mut trace = Trace::of(self.pid(), how);
        let before = self.counted();
        self.go();
        trace.step();
        let after = self.counted();
        (trace.finish(), [0, 1].map(|at: usize| after[at] - before[at]))
    }
}

/// A file that is written to storage.
fn stored(directory: &Path) -> PathBuf {
    let path = directory.join("pages");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&vec![7; PAGES as usize * 4096]).unwrap();
    file.sync_all().unwrap();
    path
}

fn kinds(process: &Process) -> BTreeMap<String, EventStats> {
    process.events_of("faults").into_iter().map(|(name, stats)| (name.kind, stats)).collect()
}

/// Minor and major faults of a process in a session, and the kinds of the minor ones.
fn totals(kinds: &BTreeMap<String, EventStats>) -> [u64; 2] {
    let mut totals = [0; 2];
    for (kind, stats) in kinds {
        totals[usize::from(kind.starts_with("major"))] += stats.times.count();
    }
    totals
}

fn process(session: &Session, pid: u32) -> &Process {
    session.processes.iter().find(|(key, _)| key.pid == pid).unwrap().1
}

/// As many as the kernel has counted, and a whole ledger, but for events at which the kernel ran no program because
/// another one ran on that CPU: the ledger tells how many of any process there were, and no more may be missing.
fn assert_all(session: &Session, pid: u32, truth: [u64; 2]) {
    let mut ledger = session.ledger.clone();
    ledger.degraded.remove("events_missed");
    assert!(whole(&ledger), "{ledger:?}");
    assert_as_many(session, pid, truth);
}

fn assert_as_many(session: &Session, pid: u32, truth: [u64; 2]) {
    let missed = session.ledger.degraded.get("events_missed").copied().unwrap_or(0);
    let kinds = kinds(process(session, pid));
    let seen = totals(&kinds);
    let missing: Option<u64> = [0, 1].map(|at: usize| truth[at].checked_sub(seen[at])).into_iter().sum();
    assert!(
        missing.is_some_and(|missing| missing <= missed),
        "{seen:?} of {truth:?}, {missed} missed: {kinds:?}"
    );
}

/// A program has few faults besides those that it is made for.
const FEW: u64 = 200;

fn assert_about(kinds: &BTreeMap<String, EventStats>, kind: &str, made: u64) {
    let count = kinds[kind].times.count();
    assert!((made..made + FEW).contains(&count), "{kind}: {count} for {made}");
}

#[test]
fn they_are_as_many_as_the_kernel_counts_and_of_the_kind_that_was_made() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    for threads in [1, 4] {
        let program = Faults::start(threads);
        let (session, truth) = program.traced(&How { probes: PROBES, ..How::default() });
        assert_all(&session, program.pid(), truth);
        let kinds = kinds(process(&session, program.pid()));
        for kind in ["read", "write", "copy", "write in calls"] {
            assert_about(&kinds, kind, PAGES * u64::from(threads));
        }
        for (kind, stats) in &kinds {
            assert_eq!(stats.times.latency.count() + stats.times.lean.count, stats.times.count(), "{kind}");
        }
        let made = |kind: &str, function: &str| {
            let stacks = kinds[kind].stacks.iter();
            let by = stacks.filter(|stack| stack.frames.iter().any(|frame| frame.starts_with(function)));
            by.map(|stack| stack.count).sum::<u64>()
        };
        assert!(made("copy", "write_pages") > PAGES / 2, "{:?}", kinds["copy"].stacks);
        assert!(made("read", "read_pages") > PAGES / 2, "{:?}", kinds["read"].stacks);
    }
}

#[test]
fn those_that_come_from_storage_are_major_and_wait() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    let program = Faults::start(1);
    let (session, truth) = program.traced(&How { probes: PROBES, ..How::default() });
    need!(truth[1] > 0, "files of the target directory are never read from storage");
    assert_all(&session, program.pid(), truth);
    let kinds = kinds(process(&session, program.pid()));
    let major = &kinds["major"].times;
    // Storage is waited for.
    assert!(major.blocked_ns > major.total_ns() / 4, "{major:?}");
    assert!(major.latency.mean() > kinds["write"].times.latency.mean(), "{kinds:?}");
}

#[test]
fn their_time_is_a_part_of_the_budget() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    let program = Faults::start(2);
    let (session, truth) = program.traced(&How { probes: PROBES, ..How::default() });
    assert_all(&session, program.pid(), truth);
    let process = process(&session, program.pid());
    let budget = &process.sched.as_ref().unwrap().budget;
    // To the nanosecond, but for time of which it is not known whether the thread had a CPU.
    let unsaid = process.events_in_user_time_ns().checked_sub(budget.faults_ns);
    assert!(unsaid.is_some_and(|ns| ns <= budget.unknown_ns), "{unsaid:?}: {budget:?}, {:?}", session.ledger);
    assert!(budget.faults_ns > 0 && budget.parts_ns() == budget.wall_ns, "{budget:?}");
    // Without the probe, the same time is in user code.
    let program = Faults::start(2);
    let (session, _) = program.traced(&How::default());
    let process = self::process(&session, program.pid());
    assert_eq!(process.sched.as_ref().unwrap().budget.faults_ns, 0);
    assert!(process.events.is_empty());
}

#[test]
fn copies_of_a_forked_child_are_its_own() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    let program = Faults::start(0);
    let how = How { probes: PROBES, scope: Scope::Children, ..How::default() };
    let (session, truth) = program.traced(&how);
    assert_all(&session, program.pid(), truth);
    assert_eq!(session.processes.len(), 2);
    let child = session.processes.iter().find(|(key, _)| key.pid != program.pid()).unwrap().1;
    assert_about(&kinds(child), "copy", PAGES);
}

#[test]
fn of_every_process_each_has_its_own() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    let program = Faults::start(2);
    let how = How { probes: &["faults"], scope: Scope::Everybody, ..How::default() };
    let mut trace = Trace::of_all(&[], &how);
    let before = program.counted();
    program.go();
    let after = program.counted();
    trace.step();
    let session = trace.finish();
    let truth = [0, 1].map(|at: usize| after[at] - before[at]);
    assert_as_many(&session, program.pid(), truth);
}

#[test]
fn while_the_probe_is_off_none_is_counted() {
    need!(cfg!(target_arch = "x86_64"), "the tracepoints of faults are those of x86");
    need!(installed("cc"), "there is no C compiler");
    let program = Faults::start(1);
    let mut trace = Trace::of(program.pid(), &How { probes: PROBES, ..How::default() });
    trace.switch("faults", false).unwrap();
    program.go();
    trace.switch("faults", true).unwrap();
    thread::sleep(Duration::from_millis(50));
    let session = trace.finish();
    assert!(kinds(process(&session, program.pid())).is_empty());
    assert!(session.notes.iter().any(|note| note.starts_with("faults: was switched off from")));
    // What the kernel counted meanwhile is not taken for missing.
    assert!(session.ledger.degraded.get("events_missed").is_none_or(|missed| *missed < PAGES));
}
