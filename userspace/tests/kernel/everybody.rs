//! With `--all`, every thread of the machine is counted: those that were there, those that come, and those that do
//! nothing.

use std::collections::BTreeMap;

use model::{
    frame::CallStats,
    session::{Process, Session},
    syscalls,
};
use pulse_trace::session::Scope;
use pulse_trace_common::loss::Slot;

use crate::{
    inline::program::Program,
    support::{Calls, How, Trace, blocked_in, counts, installed, need, within},
};

const ALL: How<'_> = How { scope: Scope::Everybody, ..crate::tree::HOW };

/// A process and those that it has forked.
fn family(session: &Session, pid: u32) -> Vec<(u32, &Process)> {
    let all = session.processes.iter().map(|(key, process)| (key.pid, process));
    all.filter(|(id, process)| *id == pid || process.parent == Some(pid)).collect()
}

fn made(session: &Session, family: &[(u32, &Process)]) -> BTreeMap<String, u64> {
    let mut sum: BTreeMap<String, u64> = BTreeMap::new();
    let calls = family.iter().flat_map(|(_, process)| process.calls());
    for (call, stats) in calls {
        *sum.entry(syscalls::name(&session.header.arch, call).into_owned()).or_default() += stats.count();
    }
    sum
}

#[test]
fn what_a_program_does_among_all_others_is_counted_exactly() {
    let mut calls = Calls::start(&["--children", "3", "--threads", "4", "--count", "101"]);
    let pid = calls.pid();
    let mut trace = Trace::of_all(&[], &ALL);
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    let family = family(&session, pid);
    assert_eq!(family.len(), 4, "each process has one row");
    let made = made(&session, &family);
    for (name, count) in &truth.calls {
        assert_eq!(made.get(name), Some(count), "{name}: {:?}", session.ledger);
    }
    assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
}

#[test]
fn threads_that_were_there_in_thousands_are_all_counted() {
    need!(installed("gcc"), "gcc is not installed");
    let (processes, threads) = (1500, 3);
    let mut crowd = Program::start("crowd.c", &[&processes.to_string(), &threads.to_string()]);
    assert_eq!(crowd.line(), "ready");
    let mut trace = Trace::of_all(&[], &ALL);
    crowd.tell("go");
    assert_eq!(crowd.line(), (processes * threads).to_string());
    trace.step();
    let session = trace.finish();
    let family = family(&session, crowd.pid());
    assert_eq!(family.len(), processes + 1);
    let mut of_children = family.iter().filter(|(pid, _)| *pid != crowd.pid());
    assert!(of_children.all(|(_, process)| process.threads as usize == threads));
    assert_eq!(made(&session, &family)["dup"] as usize, 3 * processes * threads, "{:?}", session.ledger);
    assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
    crowd.tell("end");
}

#[test]
fn threads_that_make_no_call_are_seen() {
    let calls = Calls::start(&["--sealed", "--threads", "4", "--count", "1"]);
    blocked_in(calls.pid(), libc::SYS_readv, 5);
    let mut trace = Trace::of_all(&[], &ALL);
    trace.step();
    let session = trace.finish();
    let family = family(&session, calls.pid());
    assert_eq!(family.len(), 1);
    let made: u64 = family[0].1.calls().values().map(CallStats::count).sum();
    assert_eq!((family[0].1.threads, made), (5, 0));
}

#[test]
fn a_thread_that_found_no_room_is_counted_once_there_is_some() {
    need!(installed("gcc"), "gcc is not installed");
    let mut turns = Program::start("turns.c", &[]);
    // The first thread and one of the others.
    let limits = [("threads", 2)];
    let how = How { scope: Scope::Targets, limits: &limits, ..ALL };
    let mut trace = Trace::of(turns.pid(), &how);
    turns.tell("begin");
    assert_eq!(turns.line(), "ready");
    turns.tell("one");
    assert_eq!(turns.line(), "done");
    turns.tell("other");
    assert_eq!(turns.line(), "done");
    trace.step();
    let session = trace.finish();
    assert_eq!(counts(&session)["dup"].count(), 10, "{:?}", session.ledger);
    assert_eq!(session.ledger.degraded[Slot::TargetsFull.name()], 1);
}

#[test]
fn a_process_none_of_whose_threads_found_room_ends_all_the_same() {
    let mut calls = Calls::start(&["--threads", "2", "--count", "3"]);
    let how = How { scope: Scope::Targets, limits: &[("threads", 0)], ..ALL };
    let mut trace = Trace::of(calls.pid(), &how);
    trace.step();
    assert!(!trace.is_over());
    calls.go();
    trace.until(|| calls.has_ended());
    within(std::time::Duration::from_secs(5), "the session to be over", || {
        trace.step();
        trace.is_over()
    });
    let session = trace.finish();
    assert_eq!(session.processes.values().next().unwrap().exit.unwrap().status, Some(0));
}
