//! Counters inside of a process count every acquisition, and leave nothing behind.

use pulse_trace::{
    model::{
        inline::{InlineKind, InlineStats},
        session::{Process, Session},
    },
    session::Scope,
    source::probing::Wish,
    target::Pinned,
};
use serde_json::Value;

use crate::support::{Calls, How, Trace, built, children_of};

/// Probes that do not disturb: system calls only.
const HOW: How<'_> = How {
    scope: Scope::Targets,
    per_thread: false,
    probes: &["syscalls"],
    stacks: false,
    limits: &[],
    wish: Wish { choice: pulse_trace::probes::Choice { spin_time: false }, budget_percent: None },
    inline: true,
};

/// Two processes that play ping-pong, counted in from before their go to their end.
fn ping_pong(wrapper: &[&str], mutex: &str, size: &str, trips: &str) -> (Session, Value) {
    let words = format!("--mutex {mutex} --size {size} --capacity 16 --repetitions {trips} --timeout 120");
    let arguments: Vec<&str> = words.split(' ').collect();
    let mut program = Calls::start_program(wrapper, &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 2);
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &HOW);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let output = program.output();
    let truth = output.lines().rfind(|line| line.starts_with('{')).unwrap();
    (session, serde_json::from_str(truth).unwrap())
}

fn stats(process: &Process, kind: InlineKind) -> InlineStats {
    process.inline.get(&kind).map(|seen| seen.stats.clone()).unwrap_or_default()
}

/// What both sides say of themselves, in ascending order.
fn acquisitions(truth: &Value) -> Vec<u64> {
    let sides = truth["cells"][0]["sides"].as_array().unwrap();
    let mut all: Vec<u64> = sides.iter().map(|side| side["lock"]["acquisitions"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all
}

fn counted(session: &Session, kind: InlineKind) -> Vec<u64> {
    let mut all: Vec<u64> = session.processes.values().map(|it| stats(it, kind).acquisitions).collect();
    all.sort_unstable();
    all
}

#[test]
fn every_acquisition_of_both_kinds_is_counted_once() {
    for (mutex, kind, other) in [
        ("adaptive", InlineKind::Adaptive, InlineKind::Normal),
        ("plain", InlineKind::Normal, InlineKind::Adaptive),
    ] {
        for (size, trips) in [("16", "3000"), ("65536", "300")] {
            let (session, truth) = ping_pong(&[], mutex, size, trips);
            assert_eq!(counted(&session, kind), acquisitions(&truth), "{mutex} {size}");
            assert_eq!(counted(&session, other).iter().sum::<u64>(), 0, "{mutex} {size}");
            for process in session.processes.values() {
                let stats = stats(process, kind);
                assert!(stats.contended <= stats.acquisitions, "{stats:?}");
                assert!(stats.went_to_kernel <= stats.contended, "{stats:?}");
                if kind == InlineKind::Adaptive {
                    assert_eq!(stats.spins.count(), stats.contended);
                    assert!(stats.went_to_kernel <= stats.gave_up && stats.gave_up <= stats.contended);
                }
            }
            assert!(session.ledger.complete(), "{:?}", session.ledger);
            assert!(session.overhead.inline.as_ref().unwrap().put_in_ns > 0);
        }
    }
}
