//! Sessions out of a seed: what screens, exporters and recordings are tried on. The same seed gives the same session.

mod calls;
mod cost;
mod counters;
mod events;
mod futex;
mod inline;
mod mutex;
mod random;
mod sched;
mod stacks;

use random::Random;

use super::{
    frame::{Exit, Frame, Ledger, Overhead, ProcessFrame, ProcessKey, ThreadName},
    session::{Header, Session},
};

/// Size and contents of a synthetic session.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of intervals.
    pub frames: u32,
    /// Processes; the last one ends within the session.
    pub processes: u32,
    /// Threads of each process that are told apart; 0 for none.
    pub threads: u32,
    /// True if losses of every kind occur.
    pub lossy: bool,
    /// True if counters inside of the processes were asked for.
    pub inline: bool,
    /// True if a probe ran that counts events by kind.
    pub events: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { frames: 5, processes: 3, threads: 0, lossy: true, inline: false, events: false }
    }
}

const INTERVAL_NS: u64 = 1_000_000_000;
const START_UNIX_NS: u64 = 1_795_252_549_000_000_000;
const START_MONO_NS: u64 = 86_400_000_000_000;
/// Latencies spread over this many octaves above their floor.
const OCTAVES: u64 = 14;

const COMMS: [&str; 6] =
    ["postgres", "nginx: worker", "evil\x1b[2Jname", "b\u{202e}ash", "tokio-runtime-w", ""];
const THREADS: [&str; 4] = ["worker-1", "worker-2", "rt\x1b[5m-poll", ""];
/// Changes the seed for the other probes: the numbers of calls stay as they are if other probes are added.
const OTHER_PROBES: u64 = 0x5eed_0fa1_1070_6e75;

/// The header of every synthetic session of this shape.
#[must_use]
pub fn header(shape: Shape) -> Header {
    Header {
        tool_version: "0.1.0".to_owned(),
        kernel: "6.18.44".to_owned(),
        arch: "x86_64".to_owned(),
        cpus: 2,
        clock: "kvm-clock".to_owned(),
        command: ["pulse-trace", "attach", "-p", "1000", "\x1b[31m"].map(str::to_owned).to_vec(),
        targets: (0..shape.processes).map(pid).collect(),
        start_unix_ns: START_UNIX_NS,
        start_mono_ns: START_MONO_NS,
        probes: probes(shape),
        per_thread: shape.threads > 0,
    }
}

fn probes(shape: Shape) -> Vec<String> {
    let mut probes = ["syscalls", "sched", "futex", "mutex", "counters"].map(str::to_owned).to_vec();
    probes.extend(shape.events.then(|| "faults".to_owned()));
    probes
}

const fn pid(process: u32) -> u32 {
    1000 + 10 * process
}

/// The threads of a process: those that are told apart, or a few.
fn threads(shape: Shape, index: u32) -> Vec<ThreadName> {
    let count = if shape.threads == 0 { 1 + (index + 2) % 4 } else { shape.threads };
    let name = |thread: u32| match THREADS.get(thread as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("worker-{}", thread + 1),
    };
    (0..count).map(|thread| ThreadName { tid: pid(index) + thread, comm: name(thread) }).collect()
}

/// The frames of a session.
#[must_use]
pub fn frames(seed: u64, shape: Shape) -> Vec<Frame> {
    let mut calls = Random(seed);
    let mut others = Random(seed ^ OTHER_PROBES);
    (0..shape.frames).map(|number| frame(&mut calls, &mut others, shape, number)).collect()
}

/// A finished session.
#[must_use]
pub fn session(seed: u64, shape: Shape) -> Session {
    let mut session = Session::new(header(shape));
    frames(seed, shape).iter().for_each(|frame| session.add(frame));
    session.finished = true;
    session
}

fn frame(calls: &mut Random, others: &mut Random, shape: Shape, number: u32) -> Frame {
    let last = number + 1 == shape.frames;
    let mut processes: Vec<ProcessFrame> =
        (0..shape.processes).map(|index| process(calls, shape, index, last)).collect();
    let counted = processes.iter().flat_map(|it| &it.syscalls).map(|call| call.stats.count()).sum();
    let (ledger, overhead) =
        (cost::ledger(&mut Random(u64::from(number)), shape, counted), cost::overhead(calls, counted));
    for (index, process) in (0..).zip(&mut processes) {
        process.sched = sched::process(others, shape, index);
        process.futexes = futex::process(others, shape, index, number);
        process.mutexes = mutex::process(others, shape, index, number);
        process.inline = inline::process(shape, index, number);
        process.counters = counters::process(shape, index);
        process.events = events::process(shape, index, number);
    }
    Frame {
        sequence: u64::from(number),
        at_ns: u64::from(number + 1) * INTERVAL_NS + u64::from(last) * 123_456,
        span_ns: INTERVAL_NS,
        ledger: Ledger { events: cost::events(&processes), ..ledger },
        overhead: Overhead {
            traps: Some(cost::traps(&processes, shape, number)),
            inline: inline::cost(shape, number),
            ..overhead
        },
        processes,
        notes: notes(shape),
    }
}

/// Said in every interval: a reader hears it once.
fn notes(shape: Shape) -> Vec<String> {
    let note = "mutex: cannot find spin sites in libc\x1b[1m.so of process 1010: it has no pthread_mutex_lock; its \
                locks show no spins";
    if shape.lossy && shape.processes > 1 { vec![note.to_owned()] } else { Vec::new() }
}

fn process(random: &mut Random, shape: Shape, index: u32, last: bool) -> ProcessFrame {
    let ends = last && index + 1 == shape.processes;
    let statuses = [Some(0), Some(0x300), Some(9), None];
    let status = statuses[random.below(4) as usize];
    let threads = threads(shape, index);
    let apart: Vec<Option<&ThreadName>> =
        if shape.threads == 0 { vec![None] } else { threads.iter().map(Some).collect() };
    ProcessFrame {
        key: ProcessKey { pid: pid(index), joined_ns: START_MONO_NS + u64::from(index) * 1000 },
        comm: COMMS[index as usize % COMMS.len()].to_owned(),
        parent: (index % 2 == 1).then(|| pid(index - 1)),
        threads: threads.len() as u32,
        exit: ends.then_some(Exit { status, at_ns: INTERVAL_NS * 3 / 2 }),
        syscalls: apart.iter().flat_map(|thread| calls::calls(random, shape, *thread, last)).collect(),
        ..ProcessFrame::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        counters::Tally,
        frame::CallStats,
        locks::LockPlace,
        sched::{Interrupt, WakerContext},
    };

    #[test]
    fn a_seed_is_a_session() {
        let shape = Shape { threads: 2, ..Shape::default() };
        assert_eq!(session(7, shape), session(7, shape));
        assert_ne!(session(7, shape), session(8, shape));
    }

    #[test]
    fn it_shows_everything_that_can_happen() {
        let session = session(1, Shape { processes: 12, ..Shape::default() });
        let calls: Vec<CallStats> =
            session.processes.values().flat_map(|process| process.calls().into_values()).collect();
        assert!(
            calls
                .iter()
                .any(|stats| stats.lean.count > 0 && stats.untimed > 0 && stats.latency.clamped() > 0)
        );
        assert!(calls.iter().any(|stats| stats.unreturned > 0));
        assert!(calls.iter().any(|stats| stats.in_flight > 0));
        assert!(calls.iter().any(|stats| stats.failed() > 0));
        assert!(session.processes.values().any(|process| process.exit.is_some()));
        assert!(!session.ledger.complete());
        assert_eq!(session.ledger.counted, calls.iter().map(CallStats::count).sum::<u64>());
    }

    #[test]
    fn budgets_add_up_to_the_nanosecond() {
        for seed in 0..8 {
            let shape = Shape { threads: seed as u32 % 4, processes: 7, ..Shape::default() };
            for process in session(seed, shape).processes.values() {
                let whole = process.sched.as_ref().unwrap();
                assert_eq!(whole.budget.parts_ns(), whole.budget.wall_ns);
                assert_eq!(whole.on_cpu.sum, whole.budget.on_cpu_ns());
                assert_eq!(whole.wakeup_to_run.sum, whole.budget.woken_ns);
                let on_cpus = whole.cpus.values().map(|cpu| (cpu.stretches, cpu.ns));
                let on_cpus = on_cpus.fold((0, 0), |sum, cpu| (sum.0 + cpu.0, sum.1 + cpu.1));
                assert_eq!(on_cpus, (whole.on_cpu.count(), whole.on_cpu.sum));
                let threads: u64 = process.sched_threads.values().map(|it| it.budget.wall_ns).sum();
                assert_eq!(threads, whole.budget.wall_ns);
                assert!(process.sched_threads.values().all(|it| it.budget.parts_ns() == it.budget.wall_ns));
            }
        }
    }

    #[test]
    fn every_kind_of_lock_waker_and_counter_occurs() {
        let session = session(1, Shape { processes: 6, ..Shape::default() });
        let processes = || session.processes.values();
        let shared = |index: u32| {
            let process = session.processes.iter().find(|(key, _)| key.pid == pid(index)).unwrap().1;
            let shared = |place: &LockPlace| matches!(place, LockPlace::Shared { .. });
            process.futexes.keys().find(|(place, _, _)| shared(place)).unwrap().0.clone()
        };
        assert_eq!(shared(0), shared(1));
        let operations = || processes().flat_map(|process| &process.futexes);
        for wanted in ["WAIT", "WAKE", "WAIT_BITSET", "LOCK_PI", "UNLOCK_PI", "WAITV"] {
            assert!(operations().any(|((_, _, op), _)| op == wanted), "{wanted}");
        }
        assert!(operations().any(|((place, _, _), _)| matches!(place, LockPlace::Unresolved { .. })));
        assert!(operations().any(|(_, stats)| stats.vain > 0));
        assert!(operations().any(|(_, stats)| stats.stacks.iter().any(|stack| stack.cut.is_some())));
        let spins = |stats: &super::super::locks::FutexStats| stats.mutex.as_ref().map(|it| it.spins.count());
        assert!(operations().any(|(_, stats)| spins(stats) > Some(0)));
        for runtime in ["glibc 2.36", "Rust std"] {
            assert!(processes().any(|it| it.mutexes.values().any(|mutex| mutex.runtime == runtime)));
        }
        let timer = WakerContext::Interrupt(Interrupt::Timer);
        for context in [WakerContext::Task, timer, WakerContext::Unknown] {
            let wakers = |stats: &super::super::sched::SchedStats| {
                stats.wakers.keys().any(|waker| waker.context == context)
            };
            assert!(processes().any(|process| process.sched.as_ref().is_some_and(wakers)), "{context:?}");
        }
        let tallies = || processes().filter_map(|it| it.counters.as_ref()).flat_map(|it| it.tallies.values());
        assert!(tallies().any(|tally| matches!(tally, Tally::Unsupported(_))));
        assert!(tallies().any(|tally| matches!(tally, Tally::Refused(_))));
        assert!(tallies().any(|tally| matches!(tally, Tally::Counted(it) if it.share() < Some(1.0))));
        assert!(processes().any(|process| process.counters.is_none()));
        assert!(session.overhead.traps.unwrap().detached_at_ns.is_some());
        assert_eq!(session.notes.len(), 1);
    }
}
