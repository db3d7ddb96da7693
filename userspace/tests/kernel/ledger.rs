//! Every way to lose is provoked, and `counted + lost + censored` is the truth each time.
//!
//! The workload's sealed stretch makes no call but those that are known: while it is blocked the session begins, and
//! when it is blocked again the session ends.

use std::{thread, time::Duration};

use model::{grade::Grade, session::Session};
use pulse_trace::session::Scope;
use pulse_trace_common::loss::Slot;

use crate::support::{Calls, How, Trace, blocked_in, counts, entries, whole};

const THREADS: u64 = 16;
const EACH: u64 = 50;
const KINDS: u64 = 12;

/// A sealed run, from blocked to blocked.
fn sealed(how: &How<'_>) -> Session {
    let (threads, count) = (THREADS.to_string(), EACH.to_string());
    let mut calls = Calls::start(&["--sealed", "--threads", &threads, "--count", &count]);
    let everybody = 1 + THREADS as usize;
    blocked_in(calls.pid(), libc::SYS_readv, everybody);
    let mut trace = Trace::of(calls.pid(), how);
    calls.go();
    calls.done(THREADS as usize);
    blocked_in(calls.pid(), libc::SYS_readv, everybody);
    trace.step();
    trace.finish()
}

/// Of a worker: its calls, the write that says so, and the readv that it ends up in; of the first thread: a write and
/// a readv. All of them were in another readv when the session began.
const BEGUN: u64 = THREADS * (KINDS * EACH + 2) + 2;
const BEGAN_BEFORE: u64 = THREADS + 1;

fn lost(session: &Session, slot: Slot) -> u64 {
    session.ledger.lost.get(slot.name()).copied().unwrap_or(0)
}

fn degraded(session: &Session, slot: Slot) -> u64 {
    session.ledger.degraded.get(slot.name()).copied().unwrap_or(0)
}

fn censored(session: &Session, name: &str) -> u64 {
    session.ledger.censored.get(name).copied().unwrap_or(0)
}

#[test]
fn with_room_for_all_only_the_edges_are_censored() {
    let session = sealed(&How::default());
    assert_eq!(entries(&session.ledger), BEGUN + BEGAN_BEFORE, "{:?}", session.ledger);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(censored(&session, Slot::BeganBefore.name()), BEGAN_BEFORE);
    assert_eq!(censored(&session, "in_flight_at_detach"), THREADS + 1);
    let counts = counts(&session);
    assert_eq!(counts["readv"].count(), 0);
    assert_eq!(counts["readv"].in_flight, THREADS + 1);
    assert_eq!(counts["write"].count(), THREADS + 1);
    assert_eq!(counts["dup"].errors[&(libc::EBADF as u32)], THREADS * EACH);
}

#[test]
fn threads_without_a_seat_are_lost_by_number() {
    for seats in [4, 0] {
        let session = sealed(&How { limits: &[("threads", seats)], ..How::default() });
        let ledger = &session.ledger;
        assert_eq!(entries(ledger) - censored(&session, Slot::BeganBefore.name()), BEGUN, "{ledger:?}");
        assert!(matches!(ledger.grade(), Grade::Lost(Some(share)) if share > 0.5), "{ledger:?}");
        let enough = (THREADS + 1).next_power_of_two();
        let remedy = format!("; --limit threads={enough} makes room");
        assert!(ledger.grave_loss().is_some_and(|words| words.ends_with(&remedy)), "{ledger:?}");
        assert_eq!(degraded(&session, Slot::TargetsFull), THREADS + 1 - u64::from(seats), "{ledger:?}");
        assert_eq!(censored(&session, Slot::BeganBefore.name()), u64::from(seats), "{ledger:?}");
        assert!(lost(&session, Slot::UntrackedThread) >= (THREADS - u64::from(seats)) * (KINDS * EACH + 2));
    }
}

#[test]
fn processes_without_a_row_are_lost_by_number() {
    let session = sealed(&How { limits: &[("processes", 0)], probes: &["syscalls"], ..How::default() });
    assert_eq!(lost(&session, Slot::UntrackedThread), BEGUN, "{:?}", session.ledger);
    assert_eq!((session.ledger.counted, session.processes.len()), (0, 0));
    let remedy = session.ledger.remedy(Slot::UntrackedThread.name());
    assert!(remedy.is_some_and(|words| words.starts_with("--limit processes=")), "{:?}", session.ledger);
}

#[test]
fn threads_told_apart_without_a_row_are_lost_by_number() {
    // One row is the process's own.
    let session = sealed(&How { limits: &[("processes", 4)], per_thread: true, ..How::default() });
    let ledger = &session.ledger;
    assert_eq!(entries(ledger) - censored(&session, Slot::BeganBefore.name()), BEGUN, "{ledger:?}");
    assert_eq!(censored(&session, Slot::BeganBefore.name()), 3);
    assert_eq!(degraded(&session, Slot::TargetsFull), THREADS + 1 - 3);
}

#[test]
fn an_empty_histogram_pool_costs_quantiles_but_no_count() {
    for histograms in [4, 0] {
        let session = sealed(&How { limits: &[("histograms", histograms)], ..How::default() });
        assert_eq!(entries(&session.ledger), BEGUN + BEGAN_BEFORE, "{:?}", session.ledger);
        assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
        let counts = counts(&session);
        let lean: u64 = counts.values().map(|stats| stats.lean.count).sum();
        assert_eq!(degraded(&session, Slot::HistogramsFull), lean);
        // Threads that make a call for the first time at the same moment may take a histogram each.
        let drawn = counts.values().filter(|stats| stats.latency.count() > 0).count();
        assert!(drawn <= histograms as usize && (drawn > 0) == (histograms > 0), "{drawn}");
        let dup = &counts["dup"];
        assert_eq!(dup.count(), THREADS * EACH);
        assert!(dup.lean.count == 0 || (dup.lean.max_ns > 0 && dup.lean.sum_ns >= dup.lean.max_ns));
    }
}

#[test]
fn calls_without_a_cell_are_lost_by_number() {
    for (histograms, lean) in [(4, 4), (4, 0), (0, 4), (0, 0)] {
        let session =
            sealed(&How { limits: &[("histograms", histograms), ("lean-cells", lean)], ..How::default() });
        assert_eq!(entries(&session.ledger), BEGUN + BEGAN_BEFORE, "{:?}", session.ledger);
        let kept = counts(&session).values().filter(|stats| stats.count() > 0).count();
        assert!(kept <= (histograms + lean) as usize, "{kept}");
        assert_eq!(kept == 0, histograms + lean == 0);
        assert!(lost(&session, Slot::CellsFull) >= (KINDS - u64::from(histograms + lean)) * THREADS * EACH);
    }
}

#[test]
fn threads_born_without_a_seat_are_lost_by_number() {
    let mut calls = Calls::start(&["--threads", "8", "--count", "200"]);
    // The first thread has the one seat.
    let mut trace = Trace::of(calls.pid(), &How { limits: &[("threads", 1)], ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    let made: u64 = truth.calls.values().sum();
    assert_eq!(degraded(&session, Slot::TargetsFull), 8);
    assert!(truth.calls.keys().all(|name| !counts(&session).contains_key(name)));
    // Besides, the runtime of each thread makes a few calls of its own, beginning and end included.
    let extra = lost(&session, Slot::UntrackedThread) - made;
    assert!((8..8 * 60).contains(&extra), "{extra}: {:?}", session.ledger);
}

#[test]
fn children_born_without_a_row_are_counted_together() {
    let mut calls = Calls::start(&["--children", "12", "--count", "200"]);
    let how = How { scope: Scope::Children, limits: &[("processes", 5)], ..How::default() };
    let mut trace = Trace::of(calls.pid(), &how);
    calls.go();
    while !calls.has_ended() {
        // No ended thread is read meanwhile, so that no row becomes free.
        thread::sleep(Duration::from_millis(5));
    }
    trace.step();
    let session = trace.finish();
    let pid = calls.truth().pid;
    let children = session.processes.values().filter(|process| process.parent == Some(pid));
    let each: Vec<u64> =
        children.map(|child| child.calls().values().map(|stats| stats.count()).sum()).collect();
    // All do the same, so those that have rows tell what those did that share one.
    assert!(each.len() == 4 && each.iter().all(|calls| *calls == each[0] && *calls > 2400), "{each:?}");
    let others = session.processes.iter().find(|(key, _)| key.pid == 0).unwrap().1;
    let shared: u64 = others.calls().values().map(|stats| stats.count()).sum();
    assert_eq!(shared, 8 * each[0], "{:?}", session.ledger);
    assert_eq!(degraded(&session, Slot::ProcessesShared), 8);
    assert_eq!(degraded(&session, Slot::TargetsFull), 0);
    assert_eq!(lost(&session, Slot::UntrackedThread), 0);
}
