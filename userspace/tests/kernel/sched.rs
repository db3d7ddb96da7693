//! Switches are the kernel's own count, and the parts of every budget add up to the whole.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use pulse_trace::model::{
    frame::{Abi, Call},
    sched::{Budget, Place},
    session::{Process, Session},
};

use crate::support::{Calls, How, Trace, blocked_in, whole};

/// Voluntary and involuntary switches of every thread, as the kernel counts them.
fn switches(pid: u32) -> BTreeMap<u32, (u64, u64)> {
    let tids = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tids.map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        let tid = entry.file_name().to_str().unwrap().parse().unwrap();
        (tid, (field("voluntary_ctxt_switches:"), field("nonvoluntary_ctxt_switches:")))
    })
    .collect()
}

fn only(session: &Session) -> &Process {
    assert_eq!(session.processes.len(), 1);
    session.processes.values().next().unwrap()
}

fn assert_adds_up(budget: &Budget) {
    assert_eq!(budget.parts_ns(), budget.wall_ns, "{budget:?}");
}

#[test]
fn switches_are_those_that_the_kernel_counts_for_each_thread() {
    let arguments = ["--threads", "4", "--calls", "getppid,dup", "--count", "200003", "--sealed"];
    let mut calls = Calls::start(&arguments);
    // Threads that sleep do not switch: before and after, both counts stand still.
    blocked_in(calls.pid(), libc::SYS_readv, 5);
    let before = switches(calls.pid());
    let trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    calls.done(4);
    blocked_in(calls.pid(), libc::SYS_readv, 5);
    let after = switches(calls.pid());
    let session = trace.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let process = only(&session);
    assert_eq!(after.len(), 5);
    for (tid, (voluntary, involuntary)) in after {
        let was = before.get(&tid).copied().unwrap_or_default();
        let seen = &process.sched_threads[&tid];
        assert_eq!((seen.voluntary, seen.involuntary), (voluntary - was.0, involuntary - was.1), "{tid}");
        assert_adds_up(&seen.budget);
    }
    assert_adds_up(&process.sched.as_ref().unwrap().budget);
}

#[test]
fn a_sleeper_that_never_moves_is_blocked_in_its_call_from_beginning_to_end() {
    let calls = Calls::start(&["--sealed", "--threads", "2", "--calls", "getppid", "--count", "1"]);
    blocked_in(calls.pid(), libc::SYS_readv, 3);
    let mut trace = Trace::of(calls.pid(), &How::default());
    thread::sleep(Duration::from_millis(150));
    trace.step();
    thread::sleep(Duration::from_millis(150));
    let session = trace.finish();
    let budget = &only(&session).sched.as_ref().unwrap().budget;
    assert_adds_up(budget);
    assert!(budget.wall_ns >= 3 * 300_000_000);
    let read = Place::Call(Call { abi: Abi::Native, nr: libc::SYS_readv as u32 });
    assert_eq!(budget.blocked.get(&read).map(|blocked| blocked.ns), Some(budget.wall_ns), "{budget:?}");
    assert_eq!(budget.blocked.len(), 1);
}
