//! Every futex call is booked once, under the right futex, and a mutex is one only where it is one.

mod later;
mod many;
mod spins;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use kernel::target::Pinned;
use model::{
    frame::{Abi, Call},
    locks::{FutexStats, LockPlace, ranked},
    sched::Place,
    session::Session,
};
use serde_json::Value;

use crate::support::{Calls, How, Oracle, Trace, built, children_of, counts, installed, need, whole, within};

/// Calls that ended, as the `syscalls` probe counts them: those that never do are in no futex's row.
fn ended_calls(session: &Session) -> u64 {
    counts(session).get("futex").map_or(0, |futex| futex.count() - futex.unreturned)
}

fn all_futexes(session: &Session) -> impl Iterator<Item = (&(LockPlace, u64, String), &FutexStats)> {
    session.processes.values().flat_map(|process| &process.futexes)
}

fn booked(session: &Session) -> u64 {
    all_futexes(session).map(|(_, stats)| stats.count).sum()
}

fn noted(session: &Session, name: &str) -> u64 {
    session.ledger.degraded.get(name).copied().unwrap_or(0)
}

/// Two processes that fight for the locks of two queues, both traced; with an oracle, if one is asked for. The messages
/// are so long that a thread that finds the lock taken has to sleep.
fn ping_pong(
    mutex: &str,
    size: &str,
    trips: &str,
    oracle: bool,
    how: &How<'_>,
) -> (Session, Value, Option<Oracle>, Vec<u32>) {
    let words = format!(
        "--mutex {mutex} --size {size} --capacity 16 --repetitions {trips} --pin 0,1 --count-futex --timeout 60"
    );
    let arguments: Vec<&str> = words.split(' ').collect();
    // It counts through tracefs, which it gets to itself.
    let mounted =
        "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"";
    let wrapper = ["unshare", "-m", "sh", "-c", mounted, "sh"];
    let mut program = Calls::start_program(&wrapper, &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 2);
    let number = libc::SYS_futex as u32;
    let oracle = oracle.then(|| Oracle::start("futex.bt", &[pids[0], pids[1], number]));
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), how);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let output = program.output();
    let truth = output.lines().rfind(|line| line.starts_with('{')).unwrap();
    (session, serde_json::from_str(truth).unwrap(), oracle, pids)
}

/// The lock that both sides share: one row, with both processes.
fn assert_one_lock(session: &Session, pids: &[u32], kind: &str) {
    let locks = ranked(&session.processes);
    let both: BTreeSet<u32> = pids.iter().copied().collect();
    let shared = locks.iter().filter(|lock| matches!(lock.place, LockPlace::Shared { .. }));
    let fought: Vec<_> = shared.filter(|lock| lock.kind().is_some()).collect();
    assert!(!fought.is_empty(), "{locks:#?}");
    for lock in fought {
        assert_eq!(lock.kind().unwrap().name(), kind, "{:?}", lock.place);
        let users: BTreeSet<u32> = lock.users.iter().map(|user| user.0).collect();
        assert_eq!(users, both, "{:?}", lock.place);
        let holders = &lock.sum.mutex.as_ref().unwrap().holders;
        assert!(holders.keys().all(|(tid, _)| both.contains(tid)), "{holders:?}");
        assert!(holders.keys().all(|(_, comm)| comm.starts_with("shmemq-")), "{holders:?}");
    }
    let unresolved = locks.iter().filter(|lock| matches!(lock.place, LockPlace::Unresolved { .. }));
    assert_eq!(unresolved.count(), 0, "{locks:#?}");
}

#[test]
fn the_lock_of_a_queue_is_one_in_both_processes_and_every_call_is_booked() {
    let (session, truth, _, pids) = ping_pong("plain", "8192", "20000", false, &How::default());
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(booked(&session), ended_calls(&session));
    let own = truth["cells"][0]["futex_syscalls"].as_u64().unwrap();
    assert_eq!(booked(&session), own, "the program counted its calls itself, from its go to its end");
    assert!(booked(&session) > 1000, "{}", booked(&session));
    assert_one_lock(&session, &pids, "normal shared");
    for ((_, _, op), stats) in all_futexes(&session) {
        if op == "WAIT" {
            assert_eq!(stats.wait.count(), stats.count);
            let (blocked, run_queue) = (&stats.blocked, &stats.run_queue);
            assert_eq!(blocked.count(), run_queue.count());
            assert!(blocked.count() <= stats.succeeded() + stats.errors.get(&4).copied().unwrap_or(0));
            assert!(blocked.sum + run_queue.sum <= stats.wait.sum);
        }
    }
}

#[test]
fn alone_it_books_the_same_calls_and_no_others_are_counted() {
    let how = How { probes: &["futex"], ..How::default() };
    let (session, truth, _, pids) = ping_pong("plain", "8192", "20000", false, &how);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(booked(&session), truth["cells"][0]["futex_syscalls"].as_u64().unwrap());
    assert_eq!((session.ledger.counted, counts(&session).len()), (0, 0));
    assert_one_lock(&session, &pids, "normal shared");
    for ((_, _, op), stats) in all_futexes(&session) {
        // Without scheduling it is not known which part of a wait was whose fault.
        assert_eq!(
            (stats.wait.count(), stats.blocked.count()),
            (if op == "WAIT" { stats.count } else { 0 }, 0)
        );
    }
}

/// Two processes that wait for each other's mutex: what the budget calls blocked in `futex` is what the futexes say.
#[test]
fn a_ping_pong_by_futex_is_blocked_in_futex() {
    let (session, ..) = ping_pong("plain", "8192", "20000", false, &How::default());
    let futex = Place::Call(Call::whole(Abi::Native, libc::SYS_futex as u32));
    assert_eq!(session.processes.len(), 2);
    for process in session.processes.values() {
        let budget = &process.sched.as_ref().unwrap().budget;
        assert_eq!(budget.parts_ns(), budget.wall_ns, "{budget:?}");
        let slept = budget.blocked.get(&futex).copied().unwrap_or_default();
        let waits = process.futexes.values().map(|futex| &futex.blocked);
        let (count, ns) = waits.fold((0, 0), |(count, ns), hist| (count + hist.count(), ns + hist.sum));
        let unseen = noted(&session, "wakeup_unseen") + noted(&session, "switch_unseen");
        assert!(count > 0 && slept.count.abs_diff(count) <= unseen, "{slept:?} and {count}: {budget:?}");
        // From the call's beginning until the thread has left its CPU, it is on that, or waits to get one again.
        assert!(slept.ns <= ns + budget.unknown_ns, "{slept:?} and {ns}: {budget:?}");
        let before = budget.kernel_ns + budget.preempted_ns + budget.unknown_ns;
        assert!(slept.ns + before >= ns, "{slept:?} and {ns}: {budget:?}");
    }
    // Nearly all of the program's sleep is for the other's sake; what is left is its start and its end.
    for process in session.processes.values() {
        let budget = &process.sched.as_ref().unwrap().budget;
        let others: u64 =
            budget.blocked.iter().filter(|(place, _)| **place != futex).map(|it| it.1.count).sum();
        assert!(others < 20, "{budget:?}");
    }
}

#[test]
fn an_adaptive_mutex_is_known_and_its_spins_are_those_of_the_library() {
    let (session, truth, _, pids) = ping_pong("adaptive", "65536", "10000", false, &How::default());
    assert_eq!(booked(&session), ended_calls(&session));
    // A lock is only given back by a call where its word says that one has gone to the kernel to wait for it.
    let own = truth["cells"][0]["futex_syscalls"].as_u64().unwrap();
    need!(own > 0, "no side gave up spinning: the program itself counts no call");
    let seen: u64 = all_futexes(&session)
        .map(|(_, stats)| stats.mutex.iter().map(|it| it.spins.count()).sum::<u64>())
        .sum();
    assert!(seen > 0, "of {own} futex calls");
    assert_one_lock(&session, &pids, "adaptive shared");
    for (_, stats) in all_futexes(&session) {
        let Some(mutex) = &stats.mutex else { continue };
        // The library's mean can never exceed a single spin; the last step of its back-off may pass the limit by 31.
        assert!(mutex.spins.max.is_some_and(|max| max <= 100 + 31), "{:?}", mutex.spins.max);
        assert_eq!(mutex.spins.count(), mutex.holders.values().sum::<u64>());
    }
}

#[test]
fn bpftrace_counts_the_same_operations_and_outcomes_on_the_same_run() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let (session, _, oracle, _) = ping_pong("plain", "8192", "5000", true, &How::default());
    let said: BTreeMap<String, BTreeMap<String, u64>> = oracle
        .unwrap()
        .finish()
        .into_iter()
        .filter_map(|(name, values)| Some((name, serde_json::from_value(values).ok()?)))
        .collect();
    let mut ours: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    for ((_, _, op), stats) in all_futexes(&session) {
        let sums = ours.entry(op).or_default();
        *sums = (sums.0 + stats.succeeded(), sums.1 + stats.woken, sums.2 + stats.vain);
        for (errno, count) in &stats.errors {
            *failed.entry(format!("{},{errno}", number(op))).or_default() += count;
        }
    }
    let theirs = |map: &str, op: &str| said.get(map).and_then(|map| map.get(op)).copied().unwrap_or(0);
    for (op, (succeeded, woken, vain)) in ours {
        let nr = number(op);
        assert_eq!(succeeded, theirs("@succeeded", nr), "{op}: {said:?}");
        if op.starts_with("WAKE") {
            assert_eq!((woken, vain), (theirs("@returned", nr), theirs("@zero", nr)), "{op}: {said:?}");
        }
    }
    assert_eq!(failed, said.get("@failed").cloned().unwrap_or_default());
    let total: u64 =
        ["@succeeded", "@failed"].iter().flat_map(|map| said.get(*map)).flat_map(BTreeMap::values).sum();
    assert_eq!(total, booked(&session), "{said:?}");
}

/// The kernel's number of an operation.
fn number(op: &str) -> &'static str {
    let numbers = [("WAIT", "0"), ("WAKE", "1"), ("WAIT_BITSET", "9"), ("WAKE_BITSET", "10")];
    numbers.iter().find(|(known, _)| *known == op).unwrap().1
}

/// `std::sync::Mutex`, which two threads fight for.
fn rust_mutex(how: &How<'_>) -> Session {
    let arguments = ["contention/std-2", "--warmup", "100ms", "--measure", "1s", "--samples", "10"];
    let mut program = Calls::start_program(&[], &built("syncbench"), &arguments);
    let mut trace = Trace::of(program.pid(), how);
    program.go();
    trace.until(|| program.has_ended());
    trace.finish()
}

#[test]
fn a_mutex_of_the_rust_library_is_seen_and_never_taken_for_a_posix_one() {
    let session = rust_mutex(&How::default());
    assert_eq!(booked(&session) + noted(&session, "futexes_full"), ended_calls(&session));
    let waits = all_futexes(&session).filter(|((_, _, op), _)| op == "WAIT_BITSET" || op == "WAIT");
    let waits: u64 = waits.map(|(_, stats)| stats.count).sum();
    assert!(waits > 0, "two threads for a second, and neither waited");
    for ((place, address, op), stats) in all_futexes(&session) {
        assert!(stats.mutex.is_none(), "{op} at {address:#x}: {stats:?}");
        // A thread that joins another waits on its stack, which may be gone when it is looked for.
        assert!(!matches!(place, LockPlace::Shared { .. }), "{op} at {address:#x}: {place:?}");
    }
}

#[test]
fn a_full_table_is_in_the_ledger_by_number() {
    let session = rust_mutex(&How { limits: &[("futexes", 1)], ..How::default() });
    let others = all_futexes(&session).filter(|((place, ..), _)| *place == LockPlace::OTHERS);
    let others: u64 = others.map(|(_, stats)| stats.count).sum();
    assert!(others > 0, "{:?}", session.ledger);
    assert_eq!(noted(&session, "futexes_shared"), others);
    assert_eq!(booked(&session), ended_calls(&session), "{:?}", session.ledger);
}

/// Calls and failures of `futex` in the table that strace writes at its end.
fn counted_by_strace(table: &str) -> (u64, u64) {
    let line =
        table.lines().find(|line| line.ends_with(" futex")).unwrap_or_else(|| panic!("no futex: {table}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    // Share, seconds, microseconds a call, calls, failures if there are any, name.
    (number(3), if words.len() == 6 { number(4) } else { 0 })
}

#[test]
fn strace_counts_the_same_calls_and_failures_on_the_same_run() {
    need!(installed("strace"), "strace is not installed");
    let mut program = Calls::start_program(&[], &built("holds"), &["--times", "7,5,3"]);
    let pid = program.pid();
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", "trace=futex", "-p", &pid.to_string(), "-o"]).arg(&table);
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    within(Duration::from_secs(20), "strace to attach", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    });
    let mut trace = Trace::of(pid, &How::default());
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    assert!(strace.wait().unwrap().success());
    let (calls, failures) = counted_by_strace(&fs::read_to_string(&table).unwrap());
    let failed = all_futexes(&session).flat_map(|(_, stats)| stats.errors.values()).sum::<u64>();
    assert_eq!((booked(&session), failed), (calls, failures), "{:?}", session.ledger);
}
