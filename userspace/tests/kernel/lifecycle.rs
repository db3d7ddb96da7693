//! Births, deaths and changes of program are followed without a gap.

use std::{fs, time::Duration};

use pulse_trace::session::Scope;
use pulse_trace_common::loss::Slot;

use crate::support::{Calls, How, Trace, assert_true, blocked_in, counts, in_call, whole, within};

#[test]
fn thousands_of_short_threads_are_all_seen() {
    // Two thousand accounts of the dead find room even where nobody fetches them for a while. Without accounts, nobody ever
    // does, and more than fit must do no harm.
    for (probes, rounds) in [("sched", 100), ("syscalls", 150)] {
        let mut calls = Calls::start(&["--threads", "20", "--rounds", &rounds.to_string(), "--count", "2"]);
        let mut trace = Trace::of(calls.pid(), &How { probes: &[probes], ..How::default() });
        calls.go();
        trace.until(|| calls.has_ended());
        let session = trace.finish();
        let truth = calls.truth();
        assert_eq!(truth.calls["dup"], 40 * rounds);
        assert_true(&session, &truth);
        assert!(whole(&session.ledger), "{:?}", session.ledger);
        assert_eq!(session.processes.values().next().unwrap().threads as u64, 20 * rounds + 1);
        // Each thread's last call is one that never returns.
        assert_eq!(counts(&session)["exit"].unreturned, 20 * rounds);
    }
}

#[test]
fn a_storm_of_forks_is_all_seen() {
    let mut calls = Calls::start(&["--children", "4", "--rounds", "75", "--count", "5"]);
    // Room for all, on a machine where nobody can say when the tool gets to read those who died.
    let limits =
        [("processes", 512), ("histograms", 8192), ("distributions", 4096), ("wakers", 4096), ("lanes", 1)];
    let mut trace =
        Trace::of(calls.pid(), &How { scope: Scope::Children, limits: &limits, ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    assert_true(&session, &truth);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(session.processes.len(), 301);
    let ended = session.processes.values().filter_map(|process| process.exit);
    assert_eq!(ended.filter(|exit| exit.status == Some(0)).count(), 301);
}

#[test]
fn children_are_none_of_our_business_unless_asked_for() {
    let mut calls = Calls::start(&["--children", "2", "--count", "100"]);
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    assert_eq!(session.processes.len(), 1);
    assert!(truth.calls.keys().all(|name| !counts(&session).contains_key(name)));
    assert!(whole(&session.ledger), "{:?}", session.ledger);
}

#[test]
fn a_program_that_replaces_itself_keeps_its_row() {
    for by in ["leader", "thread"] {
        let mut calls = Calls::start(&["--exec", by, "--count", "80", "--threads", "3"]);
        let mut trace = Trace::of(calls.pid(), &How::default());
        calls.go();
        trace.until(|| calls.has_ended());
        let session = trace.finish();
        let truth = calls.truth();
        assert_eq!(truth.calls["dup"], 2 * 3 * 80);
        assert_true(&session, &truth);
        assert!(whole(&session.ledger), "{by}: {:?}", session.ledger);
        assert_eq!(session.processes.len(), 1);
        let process = session.processes.values().next().unwrap();
        // The kernel names a program after the file that it was started by.
        assert_eq!(process.comm, "exe");
        assert_eq!(process.exit.unwrap().status, Some(0));
        let execve = &counts(&session)["execve"];
        assert_eq!((execve.count(), execve.latency.count()), (1, 1), "{by}");
    }
}

#[test]
fn calls_that_were_running_already_are_censored_not_counted() {
    let mut calls = Calls::start(&["--block", "2500ms", "--count", "1"]);
    calls.go();
    let pid = calls.pid();
    within(Duration::from_secs(5), "one thread to read and the other to sleep", || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let tids = tasks.map(|task| task.file_name().to_str().unwrap().parse().unwrap());
        let mut blocked: Vec<_> = tids.map(|tid| in_call(pid, tid)).collect();
        blocked.sort_unstable();
        blocked == [libc::SYS_readv, libc::SYS_clock_nanosleep].map(|nr| Some(nr as u32))
    });
    let mut trace = Trace::of(pid, &How::default());
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    assert_eq!(session.ledger.censored[Slot::BeganBefore.name()], 2, "{:?}", session.ledger);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let counts = counts(&session);
    assert!(!counts.contains_key("readv") && !counts.contains_key("clock_nanosleep"));
    assert_eq!(counts["exit_group"].unreturned, 1);
    assert_eq!(calls.truth().reads_ns.len(), 1);
}

#[test]
fn a_session_is_over_when_its_targets_are_gone() {
    let mut calls = Calls::start(&["--sealed", "--threads", "2", "--count", "1"]);
    blocked_in(calls.pid(), libc::SYS_readv, 3);
    let mut trace = Trace::of(calls.pid(), &How::default());
    trace.step();
    assert!(!trace.is_over());
    calls.kill();
    within(Duration::from_secs(5), "the session to be over", || {
        trace.step();
        trace.is_over()
    });
    let session = trace.finish();
    assert_eq!(session.processes.values().next().unwrap().exit.unwrap().status, Some(9));
}
