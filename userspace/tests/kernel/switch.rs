//! A probe that is switched off sees nothing, and what it does not see is unknown, not nothing.

use std::{
    fs,
    time::{Duration, Instant},
};

use kernel::target::Pinned;
use model::{
    frame::{Abi, Call, CallStats},
    locks::ranked_mutexes,
    session::Session,
};
use probes::source::probing::Wish;
use serde_json::Value;

use crate::{
    mutex::{left_behind, ping_pong},
    sched::{assert_adds_up, only, switches},
    support::{Calls, How, Trace, blocked_in, built, children_of, compiled, installed, need, whole, within},
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
    // Putting the probe in again takes its time on a busy machine, and belongs to the gap.
    trace.switch("sched", true).unwrap();
    let longest_gap = begin.elapsed();
    std::thread::sleep(Duration::from_millis(100));
    trace.step();
    let session = trace.finish();
    let process = only(&session);
    let sched = process.sched.as_ref().unwrap();
    // They slept while the probe was on, and ran only while it was off.
    assert_eq!(sched.switches(), 0, "{sched:?}");
    assert!(switches(calls.pid()).values().map(|it| it.0).sum::<u64>() > slept);
    assert_adds_up(&sched.budget);
    let unknown = Duration::from_nanos(sched.budget.unknown_ns);
    assert!(unknown > gap * 5 / 2 && unknown <= longest_gap * 3, "{unknown:?} of {gap:?} to {longest_gap:?}");
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
        ("futex", "started without it"),
        ("mutex", "started without it"),
        ("counters", "all the time that a process was traced"),
        ("sched", "started without it"),
        ("shced", "did you mean \"sched\""),
    ] {
        let refused = trace.switch(probe, false).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(trace.finish().ledger.complete());
}

/// Calls of `getppid` that a session has seen of a process.
fn getppids(session: &Session, pid: u32) -> u64 {
    let call = Call::whole(Abi::Native, libc::SYS_getppid as u32);
    let of = session.processes.iter().filter(|(key, _)| key.pid == pid);
    of.filter_map(|(_, process)| process.calls().get(&call).map(CallStats::count)).sum()
}

#[test]
fn calls_are_exact_around_a_time_without_the_probe() {
    let starts = |more: &[&str]| Calls::start(&[&["--calls", "getppid"], more].concat());
    let mut before = starts(&["--count", "4001", "--threads", "2"]);
    let mut meanwhile = starts(&["--count", "5003", "--threads", "2"]);
    let mut through = starts(&["--threads", "3", "--count", "1000000000"]);
    let mut after = starts(&["--count", "6007", "--threads", "2"]);
    let all = [&before, &meanwhile, &through, &after].map(Calls::pid);
    let pinned = all.map(|pid| Pinned::process(pid).unwrap());
    let mut trace =
        Trace::of_all(&pinned.each_ref(), &How { probes: &["syscalls", "sched"], ..How::default() });
    before.go();
    before.output();
    let refused = trace.switch("syscalls", false).unwrap_err();
    assert!(refused.contains("sched has to know"), "{refused}");
    trace.switch("sched", false).unwrap();
    trace.switch("syscalls", false).unwrap();
    let refused = trace.switch("sched", true).unwrap_err();
    assert!(refused.contains("switch syscalls on first"), "{refused}");
    meanwhile.go();
    meanwhile.output();
    // Its threads are born while the probes are off, and are in the middle of their calls when they are on again.
    through.go();
    within(Duration::from_secs(30), "threads to be born", || {
        fs::read_dir(format!("/proc/{}/task", through.pid())).unwrap().count() == 4
    });
    trace.step();
    trace.switch("syscalls", true).unwrap();
    trace.switch("sched", true).unwrap();
    after.go();
    after.output();
    trace.step();
    for _ in 0..3 {
        trace.switch("sched", false).unwrap();
        trace.switch("syscalls", false).unwrap();
        trace.switch("syscalls", true).unwrap();
        trace.switch("sched", true).unwrap();
    }
    through.kill();
    let session = trace.finish();
    let mut rest = session.ledger.clone();
    assert_eq!(rest.degraded.remove("probe_switched_off"), Some(8));
    assert!(whole(&rest), "{rest:?}");
    let seen = all.map(|pid| getppids(&session, pid));
    assert_eq!([seen[0], seen[1], seen[3]], [2 * 4001, 0, 2 * 6007]);
    assert!(seen[2] > 0, "{seen:?}");
    let note = "syscalls: was switched off from";
    assert_eq!(session.notes.iter().filter(|it| it.starts_with(note)).count(), 4, "{:?}", session.notes);
    for process in session.processes.values() {
        process.sched.iter().for_each(|sched| assert_adds_up(&sched.budget));
    }
}

#[test]
fn futexes_are_exact_around_a_time_without_the_probe() {
    let words = "--mutex plain --size 8192 --capacity 16 --repetitions 2000 --count-futex --timeout 60";
    let arguments: Vec<&str> = words.split(' ').collect();
    let mounted =
        "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"";
    let wrapper = ["unshare", "-m", "sh", "-c", mounted, "sh"];
    let start = || Calls::start_program(&wrapper, &built("shmemq"), &arguments);
    let programs = [start(), start(), start()];
    let pids: Vec<Vec<u32>> = programs.iter().map(|it| children_of(it.outermost())).collect();
    let pinned: Vec<Pinned> = pids.iter().flatten().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 6);
    let mut trace = Trace::of_all(
        &pinned.iter().collect::<Vec<_>>(),
        &How { probes: &["syscalls", "futex"], stacks: false, ..How::default() },
    );
    let mut truths = Vec::new();
    for (at, mut program) in programs.into_iter().enumerate() {
        if at == 1 {
            let refused = trace.switch("syscalls", false).unwrap_err();
            assert!(refused.contains("futex has to know"), "{refused}");
            trace.switch("futex", false).unwrap();
        } else if at == 2 {
            trace.switch("futex", true).unwrap();
        }
        program.go();
        trace.until(|| program.has_ended());
        let output = program.output();
        let truth: Value =
            serde_json::from_str(output.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap();
        truths.push(truth["cells"][0]["futex_syscalls"].as_u64().unwrap());
    }
    let session = trace.finish();
    let mut rest = session.ledger.clone();
    assert_eq!(rest.degraded.remove("probe_switched_off"), Some(1));
    assert!(whole(&rest), "{rest:?}");
    let booked = |pids: &Vec<u32>| -> u64 {
        let of = session.processes.iter().filter(|(key, _)| pids.contains(&key.pid));
        of.flat_map(|(_, process)| process.futexes.values()).map(|futex| futex.count).sum()
    };
    let booked: Vec<u64> = pids.iter().map(booked).collect();
    assert_eq!(booked, [truths[0], 0, truths[2]], "the programs counted their calls themselves: {truths:?}");
    // As system calls they were counted all the while.
    let of_gap = session.processes.iter().filter(|(key, _)| pids[1].contains(&key.pid));
    let calls = of_gap.flat_map(|(_, process)| process.calls());
    let of_futex = calls.filter(|(call, _)| call.nr == libc::SYS_futex as u32);
    let called: u64 = of_futex.map(|(_, stats)| stats.count()).sum();
    assert!(called >= truths[1], "{called} of {truths:?}");
    let note = "futex: was switched off from";
    assert!(session.notes.iter().any(|it| it.starts_with(note)), "{:?}", session.notes);
}

/// Spins that a session has seen of a process.
fn spins(session: &Session, pid: u32) -> u64 {
    let own = ranked_mutexes(&session.processes).into_iter();
    let own = own.filter(|mutex| mutex.users.iter().all(|user| user.0 == pid));
    own.map(|mutex| mutex.seen.stats.spin_count.count()).sum()
}

#[test]
fn mutexes_are_exact_around_a_time_in_which_no_probe_is_in_the_code() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "shards.c", &["-pthread"]).unwrap();
    let start = || Calls::start_program(&[], &program, &["700", "--locks", "3"]);
    let programs = [start(), start(), start()];
    let pids = programs.each_ref().map(Calls::pid);
    let pinned = pids.map(|pid| Pinned::process(pid).unwrap());
    let own = pids.map(left_behind::bytes);
    let how =
        How { probes: &["mutex"], wish: Wish { budget_percent: None, ..Wish::default() }, ..How::default() };
    let mut trace = Trace::of_all(&pinned.each_ref(), &how);
    assert!(pids.into_iter().all(left_behind::is_probed));
    let mut truths = Vec::new();
    for (at, mut program) in programs.into_iter().enumerate() {
        if at == 1 {
            trace.switch("mutex", false).unwrap();
            assert_eq!([own[1].clone(), own[2].clone()], [pids[1], pids[2]].map(left_behind::bytes));
        } else if at == 2 {
            trace.switch("mutex", true).unwrap();
            assert!(left_behind::is_probed(pids[2]));
        }
        program.go();
        trace.until(|| program.has_ended());
        let said: Value = serde_json::from_str(program.output().trim()).unwrap();
        assert_eq!(said["odd"], 0);
        truths.push(said["contended"].as_u64().unwrap());
    }
    let session = trace.finish();
    need!(truths.iter().all(|contended| *contended > 0), "no contention: {truths:?}");
    let mut rest = session.ledger.clone();
    assert_eq!(rest.degraded.remove("probe_switched_off"), Some(1));
    assert!(whole(&rest), "{rest:?}");
    assert_eq!(pids.map(|pid| spins(&session, pid)), [truths[0], 0, truths[2]], "{truths:?}");
    let traps = session.overhead.traps.as_ref().unwrap();
    assert!(traps.attached_ns < session.duration_ns - 500_000_000, "{traps:?} of {}", session.duration_ns);
    let note = "mutex: was switched off from";
    assert!(session.notes.iter().any(|it| it.starts_with(note)), "{:?}", session.notes);
}

#[test]
fn probes_that_their_budget_took_out_are_put_in_again_and_taken_out_again() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (mut program, pinned) = ping_pong("adaptive", "100000000");
    let pid = pinned[0].pid;
    let how = How {
        probes: &["mutex"],
        wish: Wish { budget_percent: Some(0.1), ..Wish::default() },
        ..How::default()
    };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    for _ in 0..2 {
        let since = Instant::now();
        trace.until(|| !left_behind::is_probed(pid) || since.elapsed() > Duration::from_secs(30));
        assert!(!left_behind::is_probed(pid), "half a minute of a lock that is fought for costs nothing");
        trace.switch("mutex", true).unwrap();
        assert!(left_behind::is_probed(pid));
    }
    program.kill();
    let session = trace.finish();
    let traps = session.overhead.traps.as_ref().unwrap();
    assert!(traps.detached_at_ns.is_none(), "they were in at the end: {traps:?}");
    assert!(!session.ledger.degraded.contains_key("probe_switched_off"), "it was not switched off");
    let note = "mutex: cost more than its budget and was out from";
    assert_eq!(session.notes.iter().filter(|it| it.starts_with(note)).count(), 2, "{:?}", session.notes);
}
