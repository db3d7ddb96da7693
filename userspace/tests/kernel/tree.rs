//! With `--children`, the processes that a target has forked already are traced as those that it will fork.

use std::{thread, time::Duration};

use kernel::target::{Pinned, stat};
use model::session::Session;
use probes::{Choice, source::probing::Wish};
use pulse_trace::session::Scope;

use crate::{
    inline::program::Program,
    support::{How, Trace, children_of, counts, installed, need, whole, within},
};

/// Counts of calls are what these tests are about.
pub const HOW: How<'_> = How {
    scope: Scope::Children,
    per_thread: false,
    probes: &["syscalls"],
    stacks: false,
    limits: &[],
    wish: Wish { choice: Choice { spin_time: false, total: false, hold: None }, budget_percent: None },
    inline: false,
};

fn dups(session: &Session) -> u64 {
    counts(session).get("dup").map_or(0, |calls| calls.count())
}

#[test]
fn a_tree_that_forks_all_the_time_is_taken_as_it_is() {
    need!(installed("gcc"), "gcc is not installed");
    let mut tree = Program::start("tree.c", &["24", "1200"]);
    assert_eq!(tree.line(), "ready");
    let pid = tree.pid();
    let mut trace = Trace::of(pid, &HOW);
    tree.tell("go");
    trace.until(|| trace_is_over(pid));
    let truth: Vec<u64> = tree.line().split(' ').map(|word| word.parse().unwrap()).collect();
    let session = trace.finish();
    assert_eq!(dups(&session), truth[0], "{:?}", session.ledger);
    assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
    assert!(truth[0] > 10_000, "{truth:?}");
}

/// True of a process that has ended, also while it is a zombie.
fn trace_is_over(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| stat.is_dead())
}

#[test]
fn a_process_whose_parent_ends_while_it_is_looked_for_is_found() {
    need!(installed("gcc"), "gcc is not installed");
    let mut tree = Program::start("tree.c", &["orphan"]);
    let between: u32 = tree.line().parse().unwrap();
    let pid = tree.pid();
    within(Duration::from_secs(10), "the child of the child", || !children_of(between).is_empty());
    let pinned = Pinned::process(pid).unwrap();
    let mut is_to_end = true;
    let mut trace = Trace::watched(&[&pinned], &HOW, &mut |progress| {
        if progress.doing == "attaching to children" && std::mem::take(&mut is_to_end) {
            tree.tell("end");
            assert_eq!(tree.line(), "ended");
        }
        true
    });
    assert!(!is_to_end);
    tree.tell("go");
    trace.until(|| trace_is_over(pid));
    assert_eq!(tree.line(), "7");
    let session = trace.finish();
    assert_eq!(dups(&session), 7, "{:?}", session.ledger);
    // The one in between ended before the session began.
    let pids: Vec<u32> = session.processes.keys().map(|key| key.pid).collect();
    assert!(pids.len() == 2 && !pids.contains(&between), "{pids:?}");
}

#[test]
fn children_of_a_target_that_are_there_already_are_traced_only_if_that_is_asked_for() {
    need!(installed("gcc"), "gcc is not installed");
    let mut tree = Program::start("tree.c", &["orphan"]);
    let between: u32 = tree.line().parse().unwrap();
    let trace = Trace::of(tree.pid(), &How { scope: Scope::Targets, ..HOW });
    let session = trace.finish();
    tree.tell("end");
    assert_eq!(tree.line(), "ended");
    tree.tell("go");
    assert_eq!(session.processes.len(), 1);
    assert!(session.processes.keys().all(|key| key.pid != between));
}

/// Children that come one after the other: every call of each is counted, also once their rows are used again.
fn in_turn(by: &str, count: u64, probes: &[&str]) {
    let mut forks = Program::start("forks.c", &[by, &count.to_string()]);
    let pid = forks.pid();
    let mut trace = Trace::of(pid, &How { probes, ..HOW });
    forks.tell("go");
    trace.until(|| trace_is_over(pid));
    assert_eq!(forks.line().parse::<u64>().unwrap(), count);
    let session = trace.finish();
    let counts = counts(&session);
    assert_eq!(dups(&session), 3 * count, "{:?}", session.ledger);
    assert_eq!(counts["wait4"].count(), count, "{:?}", session.ledger);
    assert_eq!(counts["exit_group"].unreturned, count + 1, "{:?}", session.ledger);
    assert!(session.ledger.lost.is_empty(), "{:?}", session.ledger);
    // Nothing grows with their number.
    assert!(session.processes.len() < 1300, "{}", session.processes.len());
}

#[test]
fn of_thousands_of_children_in_turn_no_call_is_lost() {
    need!(installed("gcc"), "gcc is not installed");
    in_turn("fork", 20_000, &["syscalls"]);
    in_turn("vfork", 1_500, &["syscalls", "sched"]);
}

#[test]
fn processes_without_a_row_are_counted_together() {
    need!(installed("gcc"), "gcc is not installed");
    let mut forks = Program::start("forks.c", &["fork", "50"]);
    let pid = forks.pid();
    let limits = [("processes", 3)];
    let mut trace = Trace::of(pid, &How { limits: &limits, ..HOW });
    forks.tell("go");
    while !trace_is_over(pid) {
        // No ended process is read meanwhile, so that no row becomes free.
        thread::sleep(Duration::from_millis(5));
    }
    trace.step();
    let session = trace.finish();
    assert_eq!(session.processes.len(), 4);
    let others = session.processes.iter().find(|(key, _)| key.pid == 0).unwrap().1;
    let ended: u64 = others.calls().values().map(|calls| calls.unreturned).sum();
    assert_eq!((dups(&session), ended), (150, 48), "{:?}", session.ledger);
    assert_eq!(others.comm, "[others]");
    assert_eq!(session.ledger.degraded["processes_shared"], 48);
    assert!(session.ledger.lost.is_empty() && !whole(&session.ledger), "{:?}", session.ledger);
}
