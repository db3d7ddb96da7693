//! Counts, errors and latencies are those of a program that knows its own.

use model::session::Session;
use pulse_trace::session::Scope;
use pulse_trace_common::hist;
use serde_json::Value;
use views::export;

use crate::support::{
    Calls, How, Oracle, Trace, Truth, assert_true, compiled, counts, installed, need, operations, quantile,
    whole,
};

/// Traces a whole run of the workload.
fn traced(arguments: &[&str], how: &How<'_>) -> (Session, Truth) {
    let mut calls = Calls::start(arguments);
    let mut trace = Trace::of(calls.pid(), how);
    calls.go();
    trace.until(|| calls.has_ended());
    (trace.finish(), calls.truth())
}

#[test]
fn twelve_calls_are_counted_truly_in_1_4_and_32_threads() {
    for threads in ["1", "4", "32"] {
        let (session, truth) = traced(&["--count", "500", "--threads", threads], &How::default());
        assert_eq!(truth.calls.len(), 12);
        assert_true(&session, &truth);
        assert!(whole(&session.ledger), "{:?}", session.ledger);
        let process = session.processes.values().next().unwrap();
        assert_eq!(process.exit.and_then(|exit| exit.status), Some(0));
        let born = if threads == "1" { 0 } else { threads.parse().unwrap() };
        assert_eq!(process.threads, 1 + born);
    }
}

#[test]
fn twelve_calls_are_counted_truly_in_3_forked_children() {
    let how = How { scope: Scope::Children, ..How::default() };
    let (session, truth) = traced(&["--count", "400", "--children", "3", "--threads", "2"], &how);
    assert_true(&session, &truth);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(session.processes.len(), 4);
    let children = session.processes.values().filter(|process| process.parent == Some(truth.pid));
    assert_eq!(children.clone().count(), 3);
    assert!(children.map(|child| child.exit.unwrap().status).all(|status| status == Some(0)));
}

#[test]
fn threads_told_apart_add_up_to_their_process() {
    let how = How { per_thread: true, ..How::default() };
    let (session, truth) = traced(&["--count", "300", "--threads", "6"], &how);
    assert_true(&session, &truth);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let process = session.processes.values().next().unwrap();
    let dup = process.syscalls.iter().filter(|((_, call), _)| call.nr == libc::SYS_dup as u32);
    let by_thread: Vec<u64> = dup.map(|(_, stats)| stats.count()).collect();
    assert_eq!(by_thread, [300; 6]);
    assert!(process.syscalls.keys().all(|(tid, _)| tid.is_some()));
    assert!(process.thread_names.values().all(|name| !name.is_empty()), "{:?}", process.thread_names);
}

#[test]
fn calls_that_seccomp_refuses_are_counted_without_latency() {
    let arguments = ["--calls", "getppid,dup", "--count", "250", "--threads", "2", "--refuse-getppid"];
    let (session, truth) = traced(&arguments, &How::default());
    assert_eq!(truth.calls["getppid"], 500);
    assert_eq!(counts(&session)["dup"].latency.count(), 500);
    let calls = session.processes.values().next().unwrap().calls();
    let refused = calls.iter().find(|(call, _)| call.nr == libc::SYS_getppid as u32).unwrap().1;
    assert_eq!((refused.untimed, refused.latency.count()), (500, 0));
    assert_eq!(refused.errors.get(&(libc::EPERM as u32)), Some(&500));
    assert_eq!(session.ledger.degraded.get("unmatched_exit"), Some(&500));
    assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
}

/// The 32-bit entry of a 64-bit program, and numbers of an ABI that this kernel may not have.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_other_abis_are_booked_under_their_own_names() {
    let (session, truth) =
        traced(&["--count", "250", "--calls", "i386:getppid,getppid,x32_call,capget"], &How::default());
    assert_true(&session, &truth);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let counts = counts(&session);
    // 64 is `getppid` there and `semget` here.
    assert!(!counts.contains_key("semget"));
    assert_eq!(counts["i386:getppid"].count(), 250);
}

#[test]
fn sleeps_have_the_quantiles_of_the_programs_own_list() {
    let naps = "400us,700us,1ms,2ms,3ms,5ms,8ms";
    agrees(&["--nap", naps, "--count", "30"], "nanosleep", |truth| truth.naps_ns.clone());
}

#[test]
fn blocked_reads_have_the_quantiles_of_the_programs_own_list() {
    let pauses = "1ms,2ms,4ms,9ms";
    agrees(&["--block", pauses, "--count", "30"], "readv", |truth| truth.reads_ns.clone());
}

/// Between the program's clock and the kernel's it may be preempted, which is no fault of either: it has three tries.
fn agrees(arguments: &[&str], call: &str, times: impl Fn(&Truth) -> Vec<u64>) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (session, truth) = traced(arguments, &How::default());
        let latency = &counts(&session)[call].latency;
        let times = times(&truth);
        assert_eq!(latency.count(), times.len() as u64);
        assert!(latency.sum <= times.iter().sum::<u64>(), "the program's clock runs around the kernel's");
        let pairs = [0.5, 0.99].map(|share| (latency.quantile(share).unwrap(), quantile(&times, share)));
        let close = |(shown, exact): &(u64, u64)| shown.abs_diff(*exact) <= exact / 32;
        if pairs.iter().all(close) {
            return;
        }
        seen.push(pairs);
    }
    panic!("shown and true p50 and p99 differ by more than 1/32: {seen:?}");
}

#[test]
fn known_sleeps_fall_into_their_buckets() {
    let (session, truth) = traced(&["--nap", "20ms", "--count", "20"], &How::default());
    let latency = &counts(&session)["nanosleep"].latency;
    let shortest = *truth.naps_ns.iter().min().unwrap();
    let longest = *truth.naps_ns.iter().max().unwrap();
    assert_eq!(latency.count(), 20);
    for (bucket, _) in latency.buckets() {
        let bucket = usize::from(*bucket);
        assert!(hist::upper(bucket) > 20_000_000, "a sleep never ends early");
        assert!(hist::lower(bucket) <= longest, "no sleep took longer than the program saw");
    }
    assert!(latency.min.is_some_and(|min| min >= 20_000_000 && min <= shortest));
    assert!(latency.max.is_some_and(|max| max <= longest));
}

#[test]
fn a_hundred_thousand_calls_a_second_are_all_seen() {
    let arguments = ["--threads", "2", "--rate", "50000", "--count", "200000", "--calls", "getppid,dup"];
    let (session, truth) = traced(&arguments, &How::default());
    assert_eq!(truth.calls.values().sum::<u64>(), 800_000);
    assert_true(&session, &truth);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
}

/// Operations of `operations.c`: how often, and how many of that fail where that is its own doing.
const OPERATIONS: [(&str, u64, Option<u64>); 13] = [
    ("futex:WAKE", 12, Some(0)),
    ("futex:WAIT", 14, Some(14)),
    ("futex:WAIT_BITSET", 13, Some(13)),
    ("futex:other", 2, Some(2)),
    ("fcntl:GETFL", 17, Some(0)),
    ("fcntl:SETLKW", 19, None),
    ("fcntl:OFD_GETLK", 23, None),
    ("fcntl:GETPIPE_SZ", 4, None),
    ("fcntl:other", 6, Some(6)),
    ("epoll_ctl:ADD", 8, Some(0)),
    ("epoll_ctl:MOD", 16, Some(0)),
    ("epoll_ctl:DEL", 8, Some(0)),
    ("epoll_ctl:other", 1, Some(1)),
];

/// The program's own numbers, and bpftrace's of the same run, operation by operation.
#[test]
fn operations_are_counted_apart_as_the_program_and_bpftrace_count_them() {
    need!(installed("cc"), "cc is not installed");
    need!(installed("bpftrace"), "bpftrace is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "operations.c", &[]).unwrap();
    let script = directory.path().join("operations.bt");
    let numbers = [libc::SYS_futex, libc::SYS_fcntl, libc::SYS_epoll_ctl].map(|nr| nr.to_string());
    let filter = numbers.map(|nr| format!("args->id == {nr}")).join(" || ");
    let text = format!(
        "tracepoint:raw_syscalls:sys_enter /pid == $1 && ({filter})/ {{ @[args->id, args->args[1]] = count(); }}"
    );
    std::fs::write(&script, text).unwrap();
    let mut calls = Calls::start_program(&[], &program, &[]);
    let oracle = Oracle::run(&script, &[calls.pid()]);
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let said = oracle.finish();
    let (counts, ours) = (counts(&session), operations(&session));
    for (name, made, failed) in OPERATIONS {
        let seen = (ours[name].count(), ours[name].latency.count());
        assert_eq!(seen, (made, made), "{name}: {:?}", session.ledger);
        if let Some(failed) = failed {
            assert_eq!(ours[name].failed(), failed, "{name}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(ours["i386:futex:WAKE"].count(), 4);
    }
    // Three waits slept for 2 ms each; no wake did.
    assert!(ours["futex:WAIT"].total_ns() >= 6_000_000);
    assert!(ours["futex:WAKE"].max_ns() < ours["futex:WAIT"].max_ns());
    let theirs: u64 = said["@"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let whole: u64 = ["futex", "fcntl", "epoll_ctl"].map(|name| counts[name].count()).iter().sum();
    assert_eq!(whole, theirs, "{said:?}");
    let by_bpftrace = |nr: i64, operations: &[i64]| -> u64 {
        operations.iter().filter_map(|op| said["@"][format!("{nr},{op}")].as_u64()).sum()
    };
    let (private, realtime) = (128, 256);
    assert_eq!(ours["futex:WAIT"].count(), by_bpftrace(libc::SYS_futex, &[0, private]));
    assert_eq!(ours["futex:WAKE"].count(), by_bpftrace(libc::SYS_futex, &[1, 1 + private]));
    assert_eq!(ours["futex:WAIT_BITSET"].count(), by_bpftrace(libc::SYS_futex, &[9 + private + realtime]));
    assert_eq!(ours["fcntl:SETLKW"].count(), by_bpftrace(libc::SYS_fcntl, &[libc::F_SETLKW.into()]));
    assert_eq!(
        ours["epoll_ctl:MOD"].count(),
        by_bpftrace(libc::SYS_epoll_ctl, &[libc::EPOLL_CTL_MOD.into()])
    );
    // The export has the same rows, and the call that each belongs to.
    let export = export::json::Export::from(&session);
    let rows = export.processes.iter().flat_map(|process| &process.syscalls);
    let futex: u64 = rows.filter(|row| row.call == "futex").map(|row| row.count).sum();
    assert_eq!(futex, counts["futex"].count());
}
