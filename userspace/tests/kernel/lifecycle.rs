//! Births, deaths and changes of program are followed without a gap.

use std::{fs, time::Duration};

use pulse_trace::session::Scope;
use pulse_trace_common::loss::Slot;

use crate::support::{
    Calls, How, Trace, assert_true, blocked_in, compiled, counts, in_call, installed, need, whole, within,
};

#[test]
fn thousands_of_short_threads_are_all_seen() {
    // Two thousand accounts of the dead find room even where they are not fetched for a while. Without accounts they
    // are never fetched, and more than fit must do no harm.
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
    // Room for all, since it is not known when the tool gets to read those who died.
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

/// After `prctl`, a write into `/proc`, and an `exec`, by processes and threads.
#[test]
fn processes_and_threads_have_their_last_names() {
    need!(installed("cc"), "cc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "renames.c", &["-pthread"]).unwrap();
    for per_thread in [false, true] {
        let mut calls = Calls::start_program(&[], &program, &[]);
        let how = How { scope: Scope::Children, per_thread, ..How::default() };
        let (pid, mut trace) = (calls.pid(), Trace::of(calls.pid(), &how));
        trace.step();
        calls.go();
        trace.until(|| calls.has_ended());
        let session = trace.finish();
        let children: serde_json::Value = serde_json::from_str(&calls.output()).unwrap();
        let child = |name: &str| children[name].as_u64().unwrap() as u32;
        let expected =
            [(pid, "role-of-first"), (child("forked"), "role-of-child"), (child("replaced"), "role-of-exec")];
        let names = session.processes.iter().map(|(key, process)| (key.pid, process.comm.as_str()));
        assert_eq!(names.collect::<Vec<_>>(), expected, "per thread: {per_thread}");
        for (key, process) in session.processes {
            let first = &process.thread_names[&key.pid];
            assert_eq!(*first, process.comm, "per thread: {per_thread}");
            let mut others = process.thread_names.iter().filter(|(tid, _)| **tid != key.pid);
            let other = others.next().map(|(_, name)| name.as_str());
            assert_eq!(other, (key.pid == pid).then_some("role-of-thread"), "per thread: {per_thread}");
            assert_eq!(others.next(), None);
        }
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
