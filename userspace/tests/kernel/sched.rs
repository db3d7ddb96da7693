//! Switches are the kernel's own count, and the parts of every budget add up to the whole.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use model::{
    frame::{Abi, Call},
    hist::Hist,
    sched::{Budget, Interrupt, Place, WakerContext},
    session::{Process, Session},
};
use pulse_trace::session::Scope;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Calls, How, Oracle, Running, Trace, blocked_in, compiled, installed, need, whole, within,
};

/// Voluntary and involuntary switches of every thread, as the kernel counts them.
pub fn switches(pid: u32) -> BTreeMap<u32, (u64, u64)> {
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

pub fn only(session: &Session) -> &Process {
    assert_eq!(session.processes.len(), 1);
    session.processes.values().next().unwrap()
}

pub fn assert_adds_up(budget: &Budget) {
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

/// As many switches as this machine makes, and not one is lost.
#[test]
fn at_the_highest_rate_no_switch_is_lost() {
    need!(installed("perf"), "perf is not installed");
    let bench = Running::start("perf", &["bench", "sched", "pipe", "-T", "-l", "100000000"]);
    within(Duration::from_secs(10), "its two threads", || switches(bench.pid()).len() == 3);
    bench.stop();
    let before = switches(bench.pid());
    let mut trace = Trace::of(bench.pid(), &How { probes: &["sched"], ..How::default() });
    bench.go_on();
    thread::sleep(Duration::from_millis(500));
    trace.step();
    thread::sleep(Duration::from_millis(500));
    bench.stop();
    let after = switches(bench.pid());
    let session = trace.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let mut sum = 0;
    for (tid, (voluntary, involuntary)) in after {
        let seen = &only(&session).sched_threads[&tid];
        let new = (voluntary - before[&tid].0, involuntary - before[&tid].1);
        assert_eq!((seen.voluntary, seen.involuntary), new, "{tid}");
        assert_adds_up(&seen.budget);
        sum += new.0 + new.1;
    }
    assert!(sum > 1000, "{sum}");
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
    let read = Place::Call(Call::whole(Abi::Native, libc::SYS_readv as u32));
    assert_eq!(budget.blocked.get(&read).map(|blocked| blocked.ns), Some(budget.wall_ns), "{budget:?}");
    assert_eq!(budget.blocked.len(), 1);
}

/// Switches and wakeups of which only one end could be seen.
fn unseen(session: &Session) -> u64 {
    let slots = ["wakeup_unseen", "switch_unseen"].map(|slot| session.ledger.degraded.get(slot).copied());
    slots.into_iter().flatten().sum()
}

/// Number of values below each power of two.
fn below(hist: &Hist, bits: u32) -> u64 {
    let edge = pulse_trace_common::hist::index(1 << bits);
    hist.buckets().iter().filter(|(bucket, _)| usize::from(*bucket) < edge).map(|it| it.1).sum()
}

#[test]
fn bpftrace_measures_the_same_waits_on_the_same_run() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let mut calls = Calls::start(&["--nap", "300us,1ms,2ms", "--count", "200"]);
    let oracle = Oracle::on("sched.bt", calls.pid());
    let mut trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let said = oracle.finish();
    let (waits, ns) = (said["@waits"]["0"].as_u64().unwrap(), said["@ns"]["0"].as_u64().unwrap());
    let ours = &only(&session).sched.as_ref().unwrap().wakeup_to_run;
    // It sees neither the first run of a new thread nor the end of a sleep that began before it looked.
    let born = u64::from(only(&session).threads);
    let apart = unseen(&session) + born + 1;
    assert!(waits >= 580 && ours.count().abs_diff(waits) <= apart, "{} and {said:?}", ours.count());
    // Each measures a part of the other's programs too. A wait that only one of them saw is no longer than the longest.
    let alone = apart * ours.max.unwrap_or(0);
    assert!(ours.sum.abs_diff(ns) <= ns / 100 + (waits + apart) * 2000 + alone, "{} and {said:?}", ours.sum);
    let mut theirs = 0;
    for bucket in said["@log2"]["0"].as_array().unwrap() {
        theirs += bucket["count"].as_u64().unwrap();
        let edge = bucket["max"].as_u64().unwrap() + 1;
        let near = below(ours, edge.ilog2());
        assert!(near.abs_diff(theirs) <= apart + waits / 10, "below {edge}: {near} and {theirs}: {said:?}");
    }
}

/// BPF programs that a process has attached.
fn links_of(pid: u32) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter(|text| text.contains("link_id:")).count()
}

#[test]
fn runqlat_counts_the_same_waits_for_a_cpu() {
    need!(installed("runqlat"), "runqlat of libbpf-tools is not installed");
    let mut calls = Calls::start(&["--nap", "500us,1ms", "--count", "400"]);
    let mut peer = Command::new("runqlat");
    peer.args(["-p", &calls.pid().to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let peer = peer.stderr(Stdio::null()).spawn().unwrap();
    // It says that it traces before it does: three programs, on wakeups, on first ones and on switches.
    within(Duration::from_secs(20), "runqlat to be attached", || links_of(peer.id()) == 3);
    let mut trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    kill_process(Pid::from_child(&peer), Signal::INT).unwrap();
    let output = peer.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |line: &str| line.split(':').nth(1)?.split_ascii_whitespace().next()?.parse::<u64>().ok();
    let theirs: u64 = text.lines().filter(|line| line.contains("->")).filter_map(count).sum();
    let sched = only(&session).sched.as_ref().unwrap();
    let ours = sched.wakeup_to_run.count() + sched.preempted_to_run.count();
    assert!(
        ours + unseen(&session) >= 800 && ours.abs_diff(theirs) <= 10 + ours / 50 + unseen(&session),
        "{ours} and {theirs}:\n{text}"
    );
}

#[test]
fn a_process_has_the_name_of_its_first_thread_whichever_thread_calls_and_wakes() {
    need!(installed("cc"), "cc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "names.c", &["-pthread"]).unwrap();
    let program = Running::start(program.to_str().unwrap(), &[]);
    let often = || switches(program.pid()).values().map(|counts| counts.0).sum::<u64>();
    within(Duration::from_secs(10), "its threads", || switches(program.pid()).len() == 3 && often() > 20);
    for scope in [Scope::Targets, Scope::Everybody] {
        let how = How { scope, ..How::default() };
        let mut trace = match scope {
            Scope::Everybody => Trace::of_all(&[], &how),
            _ => Trace::of(program.pid(), &how),
        };
        let before = often();
        trace.until(|| often() > before + 200);
        let session = trace.finish();
        let (_, process) =
            session.processes.iter().find(|(key, _)| key.pid == program.pid()).expect("it made calls");
        assert_eq!(process.comm, "names");
        let wakers = &process.sched.as_ref().unwrap().wakers;
        let own = wakers.keys().filter(|waker| waker.pid == program.pid());
        let names: Vec<&str> = own.map(|waker| waker.comm.as_str()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| *name == "names"), "{wakers:?}");
    }
}

#[test]
fn wakers_are_named() {
    let mut calls = Calls::start(&["--nap", "1ms", "--count", "200"]);
    let mut trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let sched = only(&session).sched.as_ref().unwrap();
    let woken: u64 = sched.wakers.values().map(Hist::count).sum();
    let missing = session.ledger.degraded.get("wakeup_unseen").copied().unwrap_or(0);
    assert!(sched.wakeup_to_run.count().abs_diff(woken) <= missing, "{:?}", sched.wakers);
    // The timer's interrupt comes on top of the idle task, of a program's own code, or of a task inside the kernel,
    // who has nothing to do with it.
    let by_interrupt: u64 = sched
        .wakers
        .iter()
        .filter(|(waker, _)| waker.context == WakerContext::Interrupt(Interrupt::Timer))
        .map(|(_, latency)| latency.count())
        .sum();
    // The go comes from a task. A nap may be over before its thread has left the CPU: then no thread was woken.
    assert!(by_interrupt > 100 && woken - by_interrupt <= 3, "{:?}", sched.wakers);
}
