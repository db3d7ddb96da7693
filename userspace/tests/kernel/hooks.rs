//! Probes that were not asked for have no hook.

use std::collections::BTreeSet;

use model::session::{Header, Session};
use views::report::{Options, render};

use crate::support::{Calls, How, Trace};

/// A session over a program that makes 3 x 7 calls, and the programs in the kernel that it took, by their stems.
fn traced(probes: &[&str]) -> (Session, BTreeSet<String>) {
    let mut calls = Calls::start(&["--calls", "dup", "--count", "21"]);
    let mut trace = Trace::of(calls.pid(), &How { probes, ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let stem = |name: &str| name.split('_').next().unwrap().to_owned();
    let stems = session.overhead.programs.iter().map(|program| stem(&program.name)).collect();
    (session, stems)
}

fn set(stems: &[&str]) -> BTreeSet<String> {
    stems.iter().map(|stem| (*stem).to_owned()).collect()
}

#[test]
fn each_probe_brings_its_own_hooks_and_no_others() {
    assert_eq!(traced(&["counters"]).1, set(&["lifecycle"]));
    let mutex = traced(&["mutex"]).1;
    assert!(!mutex.contains("syscalls") && !mutex.contains("sched"), "{mutex:?}");
    assert_eq!(traced(&["futex"]).1, set(&["lifecycle", "syscalls"]));
    assert_eq!(traced(&["sched"]).1, set(&["lifecycle", "sched", "syscalls"]));
}

#[test]
fn calls_that_are_not_counted_are_in_no_table_and_not_said_to_be_none() {
    for probe in ["futex", "mutex", "counters"] {
        let (mut session, _) = traced(&[probe]);
        assert_eq!(session.ledger.counted, 0, "{probe}");
        let process = session.processes.values().next().unwrap();
        assert!(process.syscalls.is_empty() && process.exit.is_some(), "{probe}");
        session.header = Header { probes: vec![probe.to_owned()], ..session.header };
        let text = render(&session, &Options::default());
        assert!(!text.contains("No system call was seen") && !text.contains(" calls counted"), "{text}");
    }
}
