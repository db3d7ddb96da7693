//! A probe that is switched off sees nothing, and what it does not see is unknown, not nothing.

use std::time::{Duration, Instant};

use crate::{
    sched::{assert_adds_up, only, switches},
    support::{Calls, How, Trace, blocked_in, whole},
};

#[test]
fn what_happens_while_it_is_off_is_in_no_number_and_the_time_is_unknown() {
    let mut calls = Calls::start(&["--threads", "2", "--calls", "getppid", "--count", "20011", "--sealed"]);
    blocked_in(calls.pid(), libc::SYS_readv, 3);
    let mut trace = Trace::of(calls.pid(), &How::default());
    trace.step();
    let slept: u64 = switches(calls.pid()).values().map(|it| it.0).sum();
    let begin = Instant::now();
    trace.switch("sched", false).unwrap();
    calls.go();
    calls.done(2);
    trace.step();
    blocked_in(calls.pid(), libc::SYS_readv, 3);
    let gap = begin.elapsed();
    trace.switch("sched", true).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    trace.step();
    let session = trace.finish();
    let process = only(&session);
    let sched = process.sched.as_ref().unwrap();
    // They slept whenever somebody looked, and ran only when nobody did.
    assert_eq!(sched.switches(), 0, "{sched:?}");
    assert!(switches(calls.pid()).values().map(|it| it.0).sum::<u64>() > slept);
    assert_adds_up(&sched.budget);
    let unknown = Duration::from_nanos(sched.budget.unknown_ns);
    assert!(
        unknown > gap * 5 / 2 && unknown < gap * 3 + Duration::from_millis(100),
        "{unknown:?} of {gap:?}"
    );
    assert!(sched.budget.blocked_ns() >= 3 * 100_000_000, "{:?}", sched.budget);
    assert_eq!(session.ledger.degraded.get("probe_switched_off"), Some(&1));
    assert!(
        session.notes.iter().any(|note| note.starts_with("sched: was switched off from")),
        "{:?}",
        session.notes
    );
    // System calls were counted all the while.
    assert_eq!(process.calls().values().map(|stats| stats.count()).max(), Some(2 * 20_011));
}

#[test]
fn after_it_is_on_again_its_numbers_are_those_of_the_kernel() {
    let mut calls =
        Calls::start(&["--threads", "3", "--calls", "getppid,dup", "--count", "100003", "--sealed"]);
    blocked_in(calls.pid(), libc::SYS_readv, 4);
    let mut trace = Trace::of(calls.pid(), &How::default());
    for _ in 0..3 {
        trace.switch("sched", false).unwrap();
        trace.switch("sched", false).unwrap();
        trace.switch("sched", true).unwrap();
    }
    let before = switches(calls.pid());
    calls.go();
    calls.done(3);
    blocked_in(calls.pid(), libc::SYS_readv, 4);
    let after = switches(calls.pid());
    let session = trace.finish();
    let process = only(&session);
    let Some(3) = session.ledger.degraded.get("probe_switched_off") else { panic!("{:?}", session.ledger) };
    let mut rest = session.ledger.clone();
    rest.degraded.remove("probe_switched_off");
    assert!(whole(&rest), "{rest:?}");
    for (tid, (voluntary, involuntary)) in after {
        let was = before[&tid];
        let seen = &process.sched_threads[&tid];
        assert_eq!((seen.voluntary, seen.involuntary), (voluntary - was.0, involuntary - was.1), "{tid}");
        assert_adds_up(&seen.budget);
    }
    let budget = &process.sched.as_ref().unwrap().budget;
    assert_adds_up(budget);
    assert!(budget.kernel_ns > 0 && budget.user_ns > 0, "{budget:?}");
}

#[test]
fn what_cannot_be_switched_says_why() {
    let calls = Calls::start(&["--calls", "getppid", "--count", "1"]);
    let mut trace = Trace::of(calls.pid(), &How { probes: &["syscalls"], ..How::default() });
    for (probe, why) in [
        ("syscalls", "other probes have to know"),
        ("futex", "part of the programs for system calls"),
        ("counters", "set up with the targets"),
        ("sched", "started without it"),
        ("shced", "did you mean \"sched\""),
    ] {
        let refused = trace.switch(probe, false).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(trace.finish().ledger.complete());
}
