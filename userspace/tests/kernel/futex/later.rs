//! The calls that came after `futex(2)`: each is booked once, on the futex that it was about.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use kernel::target::Pinned;
use model::{
    locks::{LockPlace, ranked, waits, wakes},
    session::Session,
};
use serde::Deserialize;

use super::{all_futexes, noted};
use crate::support::{
    Calls, How, Oracle, Trace, blocked_in, children_of, compiled, counts, installed, need, whole, within,
};

/// Numbers of the calls, and the operations that they are.
const CALLS: [(u32, &str, &str); 4] = [
    (449, "futex_waitv", "WAITV"),
    (454, "futex_wake", "WAKE2"),
    (455, "futex_wait", "WAIT2"),
    (456, "futex_requeue", "REQUEUE2"),
];

/// A call as the program saw it end, interruptions as the kernel has them.
#[derive(Deserialize)]
struct Ended {
    pid: u32,
    call: u32,
    shared: u32,
    address: u64,
    result: i64,
}

impl Ended {
    fn op(&self) -> &'static str {
        CALLS.iter().find(|(number, ..)| *number == self.call).unwrap().2
    }
}

/// Numbers of a row.
#[derive(Debug, Default, PartialEq)]
struct Row {
    count: u64,
    errors: BTreeMap<u32, u64>,
    woken: u64,
    vain: u64,
}

type Rows = BTreeMap<(u32, u64, String, bool), Row>;

fn truth(calls: &[Ended]) -> Rows {
    let mut rows = Rows::new();
    for call in calls {
        let key = (call.pid, call.address, call.op().to_owned(), call.shared != 0);
        let row = rows.entry(key).or_default();
        row.count += 1;
        if call.result < 0 {
            *row.errors.entry((-call.result) as u32).or_default() += 1;
        } else if wakes(call.op()) {
            row.woken += call.result as u64;
            row.vain += u64::from(call.result == 0);
        }
    }
    rows
}

fn seen(session: &Session) -> Rows {
    let mut rows = Rows::new();
    for (process, numbers) in &session.processes {
        for ((place, address, op), stats) in &numbers.futexes {
            if CALLS.iter().any(|(.., known)| known == op) {
                let shared = !matches!(place, LockPlace::Private { .. });
                let (count, woken, vain) = (stats.count, stats.woken, stats.vain);
                let row = Row { count, errors: stats.errors.clone(), woken, vain };
                assert_eq!(rows.insert((process.pid, *address, op.clone(), shared), row), None);
            }
        }
    }
    rows
}

/// The program, if this machine can make it and its kernel has what it is about.
fn program(directory: &Path) -> Option<PathBuf> {
    if !installed("cc") {
        return None;
    }
    let program = compiled(directory, "cc", "futex2.c", &["-pthread", "-g"]).unwrap();
    Command::new(&program).arg("known").status().unwrap().success().then_some(program)
}

/// Both processes of a run, from its go to its end.
fn traced(program: &mut Calls, how: &How<'_>, ready: impl FnOnce(&[u32])) -> Session {
    let pids = [program.pid(), children_of(program.pid())[0]];
    let pinned = pids.map(|pid| Pinned::process(pid).unwrap());
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), how);
    ready(&pids);
    program.go();
    program.done(1);
    trace.step();
    program.go();
    trace.until(|| program.has_ended());
    trace.finish()
}

fn said(program: Calls) -> Vec<Ended> {
    let output = program.output();
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

fn run(program: &Path, how: &How<'_>) -> (Session, Vec<Ended>) {
    let mut program = Calls::start_program(&[], program, &[]);
    let session = traced(&mut program, how, |_| ());
    (session, said(program))
}

fn booked(session: &Session) -> u64 {
    seen(session).values().map(|row| row.count).sum()
}

#[test]
fn each_call_is_booked_on_the_futex_that_it_was_about_with_what_came_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let (session, calls) = run(&program.unwrap(), &How::default());
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(seen(&session), truth(&calls));
    let counts = counts(&session);
    for (_, name, op) in CALLS {
        let ended = counts[name].count() - counts[name].unreturned;
        let rows = all_futexes(&session).filter(|((.., known), _)| known == op);
        assert_eq!(rows.map(|(_, stats)| stats.count).sum::<u64>(), ended, "{name}");
    }
    assert_waits(&session, true);
    assert_held(&session, &calls);
    assert_one_lock(&session, &calls);
}

#[test]
fn alone_it_books_them_too_and_counts_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let (session, calls) = run(&program.unwrap(), &How { probes: &["futex"], ..How::default() });
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(seen(&session), truth(&calls));
    assert_eq!((session.ledger.counted, counts(&session).len()), (0, 0));
    assert_waits(&session, false);
    assert_held(&session, &calls);
    assert_one_lock(&session, &calls);
}

/// Every wait has a time, those that slept have its two parts, and all have a stack, since there are few.
fn assert_waits(session: &Session, split: bool) {
    let mut slept = 0;
    for ((_, address, op), stats) in
        all_futexes(session).filter(|((.., op), _)| op.ends_with('2') || op == "WAITV")
    {
        let waits = if waits(op) { stats.count } else { 0 };
        assert_eq!(stats.wait.count(), waits, "{op} at {address:#x}");
        assert_eq!(stats.blocked.count(), stats.run_queue.count());
        assert!(stats.blocked.sum + stats.run_queue.sum <= stats.wait.sum, "{op} at {address:#x}");
        slept += stats.blocked.count();
        let stacks: u64 = stats.stacks.iter().map(|stack| stack.count).sum();
        assert_eq!(stacks, waits.min(32), "{op} at {address:#x}: {stats:?} {:?}", session.ledger);
        if op == "WAITV" && stats.succeeded() > 0 {
            let through = stats
                .stacks
                .iter()
                .filter(|stack| stack.frames.iter().any(|frame| frame.starts_with("waitv")));
            assert_eq!(through.count(), stats.stacks.len(), "{:?}", stats.stacks);
        }
        let (first, last) = stats.seen_ns.unwrap();
        assert!(first <= last && last <= session.duration_ns, "{first} to {last} of {}", session.duration_ns);
    }
    assert_eq!(slept > 0, split, "{:?}", session.ledger);
}

/// The first thread had a mutex four times while it waited on it.
fn assert_held(session: &Session, calls: &[Ended]) {
    let mutexes: Vec<_> = all_futexes(session).filter(|(_, stats)| stats.mutex.is_some()).collect();
    assert_eq!(mutexes.len(), 1, "{mutexes:?}");
    let ((_, _, op), stats) = mutexes[0];
    let mutex = stats.mutex.as_ref().unwrap();
    let holders: Vec<(u32, u64)> = mutex.holders.iter().map(|((tid, _), count)| (*tid, *count)).collect();
    assert_eq!((op.as_str(), mutex.kind.name().as_str()), ("WAIT2", "normal"));
    assert_eq!((holders, stats.count), (vec![(calls[0].pid, 4)], 4));
}

/// One process waited for a word, the other one woke it, each at an address of its own.
fn assert_one_lock(session: &Session, calls: &[Ended]) {
    let shared: Vec<&Ended> = calls.iter().filter(|call| call.shared != 0 && call.result >= 0).collect();
    let of = |call: u32| shared.iter().find(|it| it.call == call && it.result > 0).unwrap();
    let (waited, woke) = (of(449), of(454));
    assert!(waited.pid != woke.pid && waited.address != woke.address);
    let locks = ranked(&session.processes);
    let places = locks.iter().filter(|lock| matches!(lock.place, LockPlace::Shared { .. }));
    let users: Vec<Vec<u32>> = places.map(|lock| lock.users.iter().map(|user| user.0).collect()).collect();
    assert_eq!(users.len(), 1, "{locks:#?}");
    assert!(users[0].contains(&waited.pid) && users[0].contains(&woke.pid), "{users:?}");
}

#[test]
fn bpftrace_counts_the_same_later_calls_and_outcomes_on_the_same_run() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let mut program = Calls::start_program(&[], &program.unwrap(), &[]);
    let mut oracle = None;
    let session =
        traced(&mut program, &How::default(), |pids| oracle = Some(Oracle::start("futex2.bt", pids)));
    let maps = oracle.unwrap().finish();
    let map = |name: &str| -> BTreeMap<String, u64> {
        maps.get(name).and_then(|map| serde_json::from_value(map.clone()).ok()).unwrap_or_default()
    };
    let mut ours: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let mut add = |map, key: String, count| {
        if count > 0 {
            *ours.entry(map).or_default().entry(key).or_default() += count;
        }
    };
    for ((.., op), row) in
        seen(&session).into_iter().map(|((pid, address, op, _), row)| ((pid, address, op), row))
    {
        let number = CALLS.iter().find(|(.., known)| *known == op).unwrap().0.to_string();
        add("@succeeded", number.clone(), row.count - row.errors.values().sum::<u64>());
        row.errors.iter().for_each(|(errno, count)| add("@failed", format!("{number},{errno}"), *count));
        if wakes(&op) {
            add("@zero", number.clone(), row.vain);
            add("@returned", number, row.woken);
        }
    }
    for name in ["@succeeded", "@failed", "@zero", "@returned"] {
        let mut theirs = map(name);
        if name == "@zero" || name == "@returned" {
            // Of waits these are no numbers of threads.
            theirs.retain(|number, _| number == "454" || number == "456");
        }
        assert_eq!(ours.remove(name).unwrap_or_default(), theirs, "{name}: {maps:?}");
    }
}

/// Calls and failures of the four in the table that strace writes at its end; it may know them by number only.
fn counted_by_strace(table: &str) -> BTreeMap<u32, (u64, u64)> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter_map(|words| {
        let last = *words.last()?;
        let (number, ..) =
            CALLS.iter().find(|(number, name, _)| last == *name || last == format!("syscall_{number:#x}"))?;
        // Share, seconds, microseconds a call, calls, failures if there are any, name.
        let failures = if words.len() == 6 { words[4].parse().unwrap() } else { 0 };
        Some((*number, (words[3].parse().unwrap(), failures)))
    });
    rows.collect()
}

#[test]
fn strace_counts_the_same_later_calls_and_failures_on_the_same_run() {
    need!(installed("strace"), "strace is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let mut program = Calls::start_program(&[], &program.unwrap(), &[]);
    let table = directory.path().join("table");
    let mut strace = None;
    let session = traced(&mut program, &How::default(), |pids| {
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(&table).stdin(Stdio::null()).stderr(Stdio::null());
        command.args(pids.iter().map(|pid| format!("--attach={pid}")));
        strace = Some(command.spawn().unwrap());
        within(Duration::from_secs(20), "strace to attach", || {
            let traced = |pid: &u32| {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
                status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            };
            pids.iter().all(traced)
        });
    });
    assert!(strace.unwrap().wait().unwrap().success());
    let mut ours: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for ((_, _, op, _), row) in seen(&session) {
        let number = CALLS.iter().find(|(.., known)| *known == op).unwrap().0;
        let sums = ours.entry(number).or_default();
        *sums = (sums.0 + row.count, sums.1 + row.errors.values().sum::<u64>());
    }
    let theirs = counted_by_strace(&fs::read_to_string(&table).unwrap());
    // Those that it does not know it does not count.
    assert!(theirs.contains_key(&449), "{theirs:?}");
    ours.retain(|number, _| theirs.contains_key(number));
    assert_eq!(ours, theirs, "{:?}", session.ledger);
}

#[test]
fn those_without_a_row_are_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let how = How { limits: &[("futexes", 2)], ..How::default() };
    let (session, _) = run(&program.unwrap(), &how);
    assert!(noted(&session, "futexes_shared") > 0, "{:?}", session.ledger);
    let counts = counts(&session);
    let calls = CALLS.iter().map(|(_, name, _)| *name).chain(["futex"]).filter_map(|name| counts.get(name));
    let ended: u64 = calls.map(|call| call.count() - call.unreturned).sum();
    let all: u64 = all_futexes(&session).map(|(_, stats)| stats.count).sum();
    assert_eq!(all, ended, "{:?}", session.ledger);
}

#[test]
fn who_is_killed_while_he_waits_for_several_is_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    need!(program.is_some(), "there is no C compiler, or no futex2 in this kernel");
    let program = program.unwrap();
    for probes in [&["futex"][..], &["syscalls", "futex"]] {
        let mut program = Calls::start_program(&[], &program, &["sleep"]);
        let mut trace = Trace::of(program.pid(), &How { probes, ..How::default() });
        program.go();
        blocked_in(program.pid(), 449, 1);
        program.kill();
        trace.steps(3);
        let session = trace.finish();
        assert_eq!(booked(&session), 0, "{:?}", session.ledger);
        let unreturned = counts(&session).get("futex_waitv").map(|call| call.unreturned);
        let censored = session.ledger.censored.get("futex_unreturned").copied();
        assert_eq!(unreturned.or(censored), Some(1), "{:?}", session.ledger);
    }
}
