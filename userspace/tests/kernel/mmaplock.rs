//! The lock of the memory map, held against bpftrace on the same run and a program that keeps it for long.

use std::{collections::BTreeMap, process::Command};

use model::{frame::CallStats, session::Session};
use pulse_trace::session::Scope;
use serde_json::Value;

use crate::support::{How, Oracle, Staged, Trace, installed, need, whole};

const CHANGES: u64 = 400;
const MS: u64 = 1_000_000;

fn kinds(session: &Session) -> BTreeMap<String, CallStats> {
    let events = session.processes.values().flat_map(|process| process.events_of("mmaplock"));
    events.map(|(name, stats)| (name.kind, stats.times)).collect()
}

/// A session in which the program changes its map, and what bpftrace says of it.
fn traced(oracle: bool) -> (Session, Option<BTreeMap<String, Value>>) {
    let directory = tempfile::tempdir().unwrap();
    let program = Staged::start(directory.path(), "maps.c", &[&CHANGES.to_string()]);
    let oracle = oracle.then(|| Oracle::on("mmaplock.bt", program.pid()));
    let mut trace = Trace::of(program.pid(), &How { probes: &["auto", "mmaplock"], ..How::default() });
    program.go();
    trace.step();
    (trace.finish(), oracle.map(Oracle::finish))
}

#[test]
fn who_wants_it_waits_as_long_as_another_thread_has_it() {
    need!(installed("cc"), "there is no C compiler");
    let (session, _) = traced(false);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let kinds = kinds(&session);
    let writes = &kinds["wait to write"];
    assert!((CHANGES..CHANGES + 60).contains(&writes.count()), "{writes:?}");
    // Filling 32 MiB takes the kernel milliseconds, all of them with the lock.
    assert!(kinds["held to read"].max_ns() > Some(MS), "{:?}", kinds["held to read"]);
    assert!(writes.max_ns() > Some(MS) && writes.blocked_ns > MS, "{writes:?}");
    // A change of one page does not.
    assert!(kinds["held to write"].latency.quantile(0.5) < Some(MS), "{:?}", kinds["held to write"]);
    // What is taken is let go of.
    let count = |kind: &str| kinds[kind].count();
    assert_eq!(
        count("wait to read") + count("wait to write"),
        count("held to read") + count("held to write")
    );
}

#[test]
fn bpftrace_counts_the_same_on_the_same_run() {
    need!(installed("cc"), "there is no C compiler");
    need!(installed("bpftrace"), "bpftrace is not installed");
    let (session, said) = traced(true);
    let said = said.unwrap();
    let taken = |write: &str| said["@taken"][write].as_u64().unwrap_or(0);
    let kinds = kinds(&session);
    let ours = ["wait to read", "wait to write"].map(|kind| kinds[kind].count());
    assert_eq!(ours, [taken("0"), taken("1")], "{said:?}");
}

/// From Linux 6.16 on the kernel takes the lock for a process after its end was seen.
#[test]
fn in_a_system_wide_session_what_has_ended_does_not_come_back() {
    const PROCESSES: usize = 150;
    let how = How { probes: &["auto", "faults", "mmaplock"], scope: Scope::Everybody, ..How::default() };
    let mut trace = Trace::of_all(&[], &how);
    for _ in 0..PROCESSES {
        assert!(Command::new("true").status().unwrap().success());
        trace.step();
    }
    let session = trace.finish();
    let ours = || session.processes.values().filter(|process| process.comm == "true");
    assert_eq!(ours().count(), PROCESSES);
    assert_eq!(ours().filter(|process| process.exit.is_none()).count(), 0);
    assert_eq!(session.ledger.degraded.get("processes_shared"), None);
}
