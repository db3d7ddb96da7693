//! Sessions out of a seed: what screens, exporters and recordings are tried on. The same seed gives the same session.

use std::collections::BTreeMap;

use pulse_trace_common::loss::{Class, Slot};

use super::{
    frame::{
        Abi, Call, CallFrame, CallStats, Exit, Frame, Lean, Ledger, Overhead, ProcessFrame, ProcessKey,
        ProgramCost, ThreadName,
    },
    session::{Header, Session},
};

/// What a synthetic session looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Intervals.
    pub frames: u32,
    /// Processes; the last one ends within the session.
    pub processes: u32,
    /// Threads of each process that are told apart; 0 for none.
    pub threads: u32,
    /// Whether losses of every kind occur.
    pub lossy: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { frames: 5, processes: 3, threads: 0, lossy: true }
    }
}

const INTERVAL_NS: u64 = 1_000_000_000;
const START_UNIX_NS: u64 = 1_795_252_549_000_000_000;
const START_MONO_NS: u64 = 86_400_000_000_000;
/// Latencies spread over this many octaves above their floor.
const OCTAVES: u64 = 14;

const COMMS: [&str; 6] =
    ["postgres", "nginx: worker", "evil\x1b[2Jname", "b\u{202e}ash", "tokio-runtime-w", ""];
const CALLS: [Call; 9] = [
    native(0),
    native(1),
    native(202),
    native(230),
    native(39),
    native(231),
    native(495),
    Call { abi: Abi::Compat, nr: 3 },
    Call { abi: Abi::Compat, nr: 407 },
];

const fn native(nr: u32) -> Call {
    Call { abi: Abi::Native, nr }
}

/// SplitMix64: passes for random in every bit, in three lines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

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
        probes: vec!["syscalls".to_owned()],
        per_thread: shape.threads > 0,
    }
}

const fn pid(process: u32) -> u32 {
    1000 + 10 * process
}

/// The frames of a session.
#[must_use]
pub fn frames(seed: u64, shape: Shape) -> Vec<Frame> {
    let mut random = Random(seed);
    (0..shape.frames).map(|number| frame(&mut random, shape, number)).collect()
}

/// A finished session.
#[must_use]
pub fn session(seed: u64, shape: Shape) -> Session {
    let mut session = Session::new(header(shape));
    frames(seed, shape).iter().for_each(|frame| session.add(frame));
    session.finished = true;
    session
}

fn frame(random: &mut Random, shape: Shape, number: u32) -> Frame {
    let last = number + 1 == shape.frames;
    let processes: Vec<ProcessFrame> =
        (0..shape.processes).map(|index| process(random, shape, index, last)).collect();
    let calls = processes.iter().flat_map(|process| &process.syscalls);
    let counted = calls.map(|call| call.stats.count()).sum();
    Frame {
        sequence: u64::from(number),
        at_ns: u64::from(number + 1) * INTERVAL_NS + u64::from(last) * 123_456,
        span_ns: INTERVAL_NS,
        ledger: ledger(random, shape, counted),
        overhead: overhead(random, counted),
        processes,
        notes: Vec::new(),
    }
}

fn process(random: &mut Random, shape: Shape, index: u32, last: bool) -> ProcessFrame {
    let ends = last && index + 1 == shape.processes;
    let statuses = [Some(0), Some(0x300), Some(9), None];
    let status = statuses[random.below(4) as usize];
    let threads = (1..=shape.threads)
        .map(|thread| Some(ThreadName { tid: pid(index) + thread - 1, comm: format!("worker-{thread}") }));
    let threads: Vec<Option<ThreadName>> = if shape.threads == 0 { vec![None] } else { threads.collect() };
    ProcessFrame {
        key: ProcessKey { pid: pid(index), joined_ns: START_MONO_NS + u64::from(index) * 1000 },
        comm: COMMS[index as usize % COMMS.len()].to_owned(),
        parent: (index % 2 == 1).then(|| pid(index - 1)),
        threads: shape.threads.max(1),
        exit: ends.then_some(Exit { status, at_ns: INTERVAL_NS * 3 / 2 }),
        syscalls: threads.iter().flat_map(|thread| calls(random, shape, thread.as_ref(), last)).collect(),
        ..ProcessFrame::default()
    }
}

fn calls(random: &mut Random, shape: Shape, thread: Option<&ThreadName>, last: bool) -> Vec<CallFrame> {
    let mut calls = Vec::new();
    for (index, call) in CALLS.into_iter().enumerate() {
        if random.one_in(4) {
            continue;
        }
        let floor = 60 << (2 * index);
        let stats = stats(random, shape, floor, last);
        calls.push(CallFrame { thread: thread.cloned(), call, stats });
    }
    calls
}

fn stats(random: &mut Random, shape: Shape, floor: u64, last: bool) -> CallStats {
    let mut stats = CallStats::default();
    for _ in 0..=random.below(200) {
        let spread = 1 << random.below(OCTAVES);
        stats.latency.record(floor + random.below(floor * spread));
    }
    if random.one_in(3) {
        stats.errors.insert(11, random.below(20) + 1);
        stats.errors.insert(512, random.below(3) + 1);
    }
    if shape.lossy && random.one_in(6) {
        // Longer than the last bucket begins, without a histogram, without a latency, without an errno.
        stats.latency.record((1 << 40) + random.below(1 << 40));
        stats.lean = Lean { count: 5, sum_ns: 5 * floor, max_ns: 2 * floor };
        stats.untimed = 1;
        stats.errors.insert(super::errno::OTHER, 1);
    }
    stats.unreturned = u64::from(random.one_in(8));
    stats.in_flight = u64::from(last && random.one_in(4));
    stats
}

fn ledger(random: &mut Random, shape: Shape, counted: u64) -> Ledger {
    let mut of_class = |class| -> BTreeMap<String, u64> {
        let slots = Slot::ALL
            .iter()
            .filter(|slot| slot.class() == class && (shape.lossy || class == Class::Censored));
        slots.map(|slot| (slot.name().to_owned(), random.below(3) + 1)).collect()
    };
    Ledger {
        counted,
        events: BTreeMap::new(),
        lost: of_class(Class::Lost),
        censored: of_class(Class::Censored),
        degraded: of_class(Class::Degraded),
    }
}

fn overhead(random: &mut Random, counted: u64) -> Overhead {
    let mut cost = |name: &str, calls: u64| {
        let events = calls / 10;
        ProgramCost {
            name: name.to_owned(),
            events: Some(events),
            run_ns: Some(events * (100 + random.below(20))),
            missed: 0,
        }
    };
    Overhead {
        programs: vec![
            cost("syscalls_enter", counted),
            cost("syscalls_exit", counted),
            ProgramCost { name: "lifecycle_fork".to_owned(), events: Some(0), run_ns: Some(0), missed: 2 },
        ],
        measured_ns: INTERVAL_NS / 10,
        kernel_bytes: 12 << 20,
        tool_cpu_ns: 2_345_678,
        tool_bytes: 21 << 20,
        empty_program_ns: Some(47.0 + random.below(1000) as f64 / 7.0 / 100.0),
        traps: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
