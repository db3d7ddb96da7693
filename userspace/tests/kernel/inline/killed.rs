//! The tool ends in the middle, or the process does that puts counters in and takes them out: the target goes on
//! rightly, and if one of the two lives nothing stays in it.

use std::{
    fs,
    io::Read as _,
    os::unix::{fs::FileExt as _, process::ExitStatusExt as _},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use kernel::inline::{repair, replaced};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{code, mappings, program::Program, sides};
use crate::support::{Calls, installed, need, within};

/// Time in which what is left of a tool that was killed has gone.
const SOON: Duration = Duration::from_secs(5);

fn tool(pid: u32, duration: &str) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    tool.args([
        "attach",
        "--inline",
        "--probes",
        "syscalls",
        "--plain",
        "-q",
        "-d",
        duration,
        "-p",
        &pid.to_string(),
    ]);
    tool.stdout(Stdio::piped()).stderr(Stdio::null());
    tool
}

/// `PULSE_INLINE_STRIDE=1` kills at all steps.
fn stride(default: usize) -> usize {
    std::env::var("PULSE_INLINE_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Kills at one step after another, at every so many-th, until there is none any more; how many there were.
fn at_every_step(pid: u32, who: &str, default: usize, mut check: impl FnMut(usize)) -> usize {
    for step in (0..).step_by(stride(default)) {
        let mut tool = tool(pid, "10ms");
        tool.env("PULSE_INLINE_DIE_AT", step.to_string()).env("PULSE_INLINE_WHO", who);
        let output = tool.output().unwrap();
        let alive = fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty());
        assert!(alive, "killed at step {step}, {who} took the target along");
        check(step);
        if output.status.success() {
            return step;
        }
        assert_eq!(output.status.signal(), Some(9), "step {step}");
    }
    unreachable!("steps end")
}

/// Plays the target to its end: it checks every message itself.
fn plays_on(mut program: Calls) {
    program.go();
    let truth: Value = serde_json::from_str(program.output().lines().last().unwrap()).unwrap();
    assert_eq!(truth["cells"][0]["faults"].as_array().unwrap().len(), 0);
}

#[test]
fn both_killed_at_any_step_leave_a_target_that_is_right() {
    let (program, pids) = sides("2000");
    let before = code(pids[0]);
    let steps = at_every_step(pids[0], "both", 9, |_| {});
    assert!(steps > 20, "only {steps} steps");
    // The last tool has found what the one before it left.
    assert!(repair(pids[0]).unwrap().is_none());
    assert!(code(pids[0]) == before, "the code is not what it was");
    plays_on(program);
}

#[test]
fn a_tool_killed_at_any_step_leaves_nothing_behind() {
    let (program, pids) = sides("2000");
    let before = code(pids[0]);
    let steps = at_every_step(pids[0], "tool", 13, |step| {
        let is_done = || mappings(pids[0]).iter().all(|line| is_empty_page(pids[0], line));
        within(SOON, "the helper to be done", is_done);
        assert!(code(pids[0]) == before, "step {step}: the code is not what it was");
    });
    assert!(steps > 20, "only {steps} steps");
    plays_on(program);
}

/// True if a mapping is a page that was never written.
fn is_empty_page(pid: u32, line: &str) -> bool {
    let start = u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap();
    let mut head = [1; 64];
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    // Where nothing can be read it has gone meanwhile.
    memory.read_exact_at(&mut head, start).is_err() || head == [0; 64]
}

#[test]
fn a_helper_killed_at_any_step_leaves_nothing_behind() {
    let (program, pids) = sides("2000");
    let before = code(pids[0]);
    for step in (0..130).step_by(stride(13)) {
        let mut tool = tool(pids[0], "10ms");
        tool.env("PULSE_INLINE_DIE_AT", step.to_string()).env("PULSE_INLINE_WHO", "helper");
        assert_eq!(tool.output().unwrap().status.signal(), None, "step {step}");
        // Killed between mapping a page and signing it, it leaves one that is empty.
        let left = mappings(pids[0]);
        assert!(left.iter().all(|line| is_empty_page(pids[0], line)), "step {step}: {left:?}");
        assert!(code(pids[0]) == before, "step {step}: the code is not what it was");
    }
    plays_on(program);
}

fn acquiring() -> Program {
    let mut program = Program::start("harm.c", &[]);
    assert_eq!(program.line(), "ready");
    program
}

fn asked(program: &mut Program) -> u64 {
    program.tell("ask");
    program.line().split(' ').next().unwrap().parse().unwrap()
}

fn send(tool: &Child, signal: Signal) {
    kill_process(Pid::from_child(tool), signal).unwrap();
}

#[test]
fn a_tool_that_any_signal_ends_leaves_nothing_behind() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = acquiring();
    let pid = program.pid();
    let before = code(pid);
    for signal in [
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::PROF,
        Signal::IO,
        Signal::ABORT,
        Signal::KILL,
    ] {
        let mut tool = tool(pid, "60s").spawn().unwrap();
        within(Duration::from_secs(20), "the counters", || !replaced(pid).is_empty());
        // Stopped, it does not hold up the target.
        send(&tool, Signal::STOP);
        let first = asked(&mut program);
        thread::sleep(Duration::from_millis(20));
        assert!(asked(&mut program) > first, "{signal:?}");
        send(&tool, signal);
        send(&tool, Signal::CONT);
        // Of those that it catches only to look, one more ends it.
        thread::sleep(Duration::from_millis(50));
        if tool.try_wait().unwrap().is_none() {
            send(&tool, Signal::TERM);
        }
        tool.wait().unwrap();
        within(SOON, "the helper to be done", || mappings(pid).is_empty());
        assert!(code(pid) == before, "{signal:?}: the code is not what it was");
    }
    assert!(program.end().success());
}

#[test]
fn a_target_that_cannot_be_stopped_is_left_to_the_helper() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = Program::start("refusals.c", &["vforks"]);
    let pid: u32 = program.line().strip_prefix("ready ").unwrap().parse().unwrap();
    let mut tool = tool(pid, "1s").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    within(Duration::from_secs(20), "the counters", || !replaced(pid).is_empty());
    // From here on it waits in vfork.
    program.tell("");
    program.line();
    let mut said = String::new();
    tool.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(tool.wait().unwrap().success());
    let (_, rest) = said.split_once("a helper (process ").unwrap_or_else(|| panic!("{said}"));
    let helper: u32 = rest.split_once(')').unwrap().0.parse().unwrap();
    assert!(fs::exists(format!("/proc/{helper}")).unwrap());
    assert!(program.end().success());
    within(SOON, "the helper to end", || !fs::exists(format!("/proc/{helper}")).unwrap());
}
