//! Counters come and go in a process in which everything happens at once.

use binary::locate::{register::Reg, replaceable::Passing};
use kernel::inline::{Detail, Patch};

use super::{code, mappings, program::Program};
use crate::support::{installed, need};

/// Numbers that the program counted itself: adaptive acquisitions, contended ones, normal ones.
fn truth(program: &mut Program) -> [u64; 3] {
    numbers(&program.line())[..3].try_into().unwrap()
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().unwrap()).collect()
}

fn counts(patch: &Patch) -> [u64; 3] {
    let now = patch.read().unwrap();
    [now.of(Passing::AdaptiveAttempt), now.of(Passing::SpinEnd(Reg::Rax)), now.of(Passing::NormalAttempt)]
}

fn minus(now: [u64; 3], before: [u64; 3]) -> [u64; 3] {
    std::array::from_fn(|at| now[at] - before[at])
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// `PULSE_INLINE_CYCLES=1000` does as many as the longest proof asks for.
#[test]
fn counters_come_and_go_in_a_storm_and_every_count_is_right() {
    need!(installed("gcc"), "gcc is not installed");
    let cycles = std::env::var("PULSE_INLINE_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let mut program = Program::start("storm.c", &[]);
    let pid = program.pid();
    truth(&mut program);
    let (before, open) = (code(pid), descriptors(pid));
    program.tell("go");
    for cycle in 0..cycles {
        // Put in while all fight; compared from one moment to another in which no thread is inside.
        let mut patch =
            Patch::put_in(pid, Detail::Kinds).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        program.tell("run 0");
        let (truth_before, counted_before) = (truth(&mut program), counts(&patch));
        program.tell("run 300");
        let (truth_after, counted_after) = (truth(&mut program), counts(&patch));
        assert_eq!(
            minus(counted_after, counted_before),
            minus(truth_after, truth_before),
            "cycle {cycle}: adaptive, contended, normal"
        );
        program.tell("go");
        let done = patch.remove().unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        assert!(!done.memory_left, "cycle {cycle}");
        assert_eq!(mappings(pid), Vec::<String>::new(), "cycle {cycle}");
    }
    program.tell("run 0");
    let all = numbers(&program.line());
    assert!(code(pid) == before, "the code is not what it was");
    assert_eq!(descriptors(pid), open);
    assert!(all.iter().all(|count| *count > 0), "something never happened: {all:?}");
    assert!(program.end().success());
}
