//! Locks that interpreters build on conditions and semaphores: a wait for one is never called a wait for work.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use model::{
    locks::{Lock, Verdict, ranked},
    session::Session,
};
use serde_json::Value;

use crate::support::{Calls, How, Trace, installed, need, source};

/// A program's own account, and the session in which it was traced.
fn traced(program: &Path, arguments: &[&str]) -> (Value, Session) {
    let mut program = Calls::start_program(&[], program, arguments);
    let mut trace = Trace::of(program.pid(), &How { probes: &["futex"], ..How::default() });
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    (serde_json::from_str(program.output().trim()).unwrap(), session)
}

fn of(locks: &[Lock], runtime: &str, what: &str) -> Vec<Lock> {
    locks.iter().filter(|lock| lock.runtime() == Some((runtime, what))).cloned().collect()
}

fn wait_ns(locks: &[Lock]) -> u64 {
    locks.iter().map(Lock::wait_ns).sum()
}

/// The interpreters of Python that run here, each once: the distribution's, often without symbols, and others.
fn pythons() -> Vec<PathBuf> {
    let names = (8..=13).map(|minor| format!("python3.{minor}"));
    let names = ["/usr/bin/python3".to_owned(), "python3".to_owned()].into_iter().chain(names);
    let mut files = BTreeSet::new();
    let tells = ["-c", "import os, sys; print(os.path.realpath(sys.executable))"];
    for name in names {
        let Ok(output) = Command::new(&name).args(tells).stderr(Stdio::null()).output() else { continue };
        let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if output.status.success() && path.is_file() {
            files.insert(path);
        }
    }
    files.into_iter().collect()
}

#[test]
fn threads_of_python_that_compute_fight_for_one_lock() {
    let (pythons, script) = (pythons(), source("interpreter.py"));
    need!(!pythons.is_empty(), "python3 is not installed");
    for python in &pythons {
        let (truth, session) = traced(python, &[script.to_str().unwrap(), "fight"]);
        let locks = ranked(&session.processes);
        let [gil] = &of(&locks, "CPython", "GIL")[..] else { panic!("{python:?}: {locks:?}") };
        assert_eq!(gil.verdict, Verdict::Contention, "{python:?}");
        // One of two that want to run waits, as long as both do: all of that time on a machine that is not busy. And no
        // thread waits longer than it does not run.
        let seconds = |name: &'static str| {
            truth["lives"].as_array().unwrap().iter().map(move |life| life[name].as_f64().unwrap())
        };
        let both = seconds("wall").fold(f64::INFINITY, f64::min);
        let most: f64 = seconds("wall").zip(seconds("cpu")).map(|(wall, cpu)| wall - cpu).sum();
        let waited = gil.wait_ns() as f64 / 1e9;
        assert!(waited > 0.25 * both && waited < most + 0.1, "{python:?}: {waited} of {truth}, {gil:?}");
        // Nothing of it is left elsewhere.
        assert_eq!(of(&locks, "pthread", "condition"), [], "{python:?}");
        assert!(gil.parts.len() > 2, "{python:?}: {:?}", gil.parts);
    }
}

#[test]
fn a_thread_of_python_that_waits_for_work_does_not_fight() {
    let (pythons, script) = (pythons(), source("interpreter.py"));
    need!(!pythons.is_empty(), "python3 is not installed");
    for python in &pythons {
        let (truth, session) = traced(python, &[script.to_str().unwrap(), "idle"]);
        let locks = ranked(&session.processes);
        let queue = of(&locks, "CPython", "lock");
        let waits: u64 = queue.iter().map(|lock| lock.sum.wait.count()).sum();
        assert!(waits >= truth["times"].as_u64().unwrap(), "{python:?}: {locks:?}");
        // A lock of threading may be a queue or a mutex: its memory does not say.
        assert!(queue.iter().all(|lock| lock.verdict == Verdict::Unclear), "{python:?}: {queue:?}");
        assert!(2 * wait_ns(&of(&locks, "CPython", "GIL")) < wait_ns(&queue), "{python:?}: {locks:?}");
    }
}

#[test]
fn a_mutex_of_shared_memory_in_node_is_not_called_idle() {
    need!(installed("node"), "node is not installed");
    let script = source("atomics.mjs");
    let (truth, session) = traced(Path::new("node"), &[script.to_str().unwrap()]);
    let locks = ranked(&session.processes);
    let slept = truth["slept"].as_u64().unwrap();
    let atomics = of(&locks, "V8", "Atomics.wait");
    let waits: u64 = atomics.iter().map(|lock| lock.sum.wait.count()).sum();
    assert!(slept > 0 && waits >= slept, "{truth}: {locks:?}");
    assert!(atomics.iter().all(|lock| lock.verdict <= Verdict::Unclear), "{atomics:?}");
}

/// A program of Java's that fights for two monitors, compiled as it runs, with its functions named in a file or not.
fn rivals(directory: &Path, are_named: bool) -> Session {
    let mut java = Command::new("java");
    // Only what is asked for is compiled, once, before it is called first.
    java.args(["-Xcomp", "-XX:TieredStopAtLevel=1", "-XX:CompileCommand=quiet"]);
    java.args(
        ["first", "second"].map(|function| format!("-XX:CompileCommand=compileonly,Rivals::{function}")),
    );
    java.arg("-cp").arg(directory).arg("Rivals").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut java = java.spawn().unwrap();
    let mut lines = BufReader::new(java.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let map = PathBuf::from(format!("/tmp/perf-{}.map", java.id()));
    if are_named {
        let mut jcmd = Command::new("jcmd");
        jcmd.arg(java.id().to_string()).arg("Compiler.perfmap").stdout(Stdio::null());
        assert!(jcmd.status().unwrap().success());
    }
    let mut trace = Trace::of(java.id(), &How { probes: &["futex"], ..How::default() });
    let mut stdin = java.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    let done = thread::spawn(move || lines.next().unwrap().unwrap());
    trace.until(|| done.is_finished());
    assert_eq!(done.join().unwrap(), "done");
    // Its compiled code is read where stacks lead through it: it lives until all of them have been.
    trace.step();
    drop(stdin);
    trace.until(|| java.try_wait().unwrap().is_some());
    let session = trace.finish();
    assert_eq!(map.exists(), are_named);
    if are_named {
        std::fs::remove_file(map).unwrap();
    }
    session
}

#[test]
fn monitors_of_java_are_one_lock_for_each_function_that_wants_them() {
    need!(installed("javac") && installed("jcmd"), "there is no JDK");
    let directory = tempfile::tempdir().unwrap();
    let compiler = Command::new("javac").arg("-d").arg(directory.path()).arg(source("Rivals.java")).status();
    assert!(compiler.unwrap().success());
    let session = rivals(directory.path(), true);
    let monitors = of(&ranked(&session.processes), "HotSpot", "monitor");
    for function in ["void Rivals.first()+", "void Rivals.second()+"] {
        let wanted_there = |lock: &&Lock| {
            let caller = lock.top_stack().and_then(|stack| stack.caller.as_deref());
            caller.is_some_and(|caller| caller.starts_with(function))
        };
        let rows: Vec<&Lock> = monitors.iter().filter(wanted_there).collect();
        let [row] = rows[..] else { panic!("{function}: {monitors:?}") };
        assert_eq!(row.verdict, Verdict::Contention);
        // Each of two threads waits at an event of its own.
        assert!(row.parts.len() > 1, "{function}: {row:?}");
    }
    // Without names, they cannot be told apart, and are one row.
    let session = rivals(directory.path(), false);
    let locks = ranked(&session.processes);
    let monitors = of(&locks, "HotSpot", "monitor");
    let [row] = &monitors[..] else { panic!("{locks:?} {:?}", session.ledger) };
    assert!(row.parts.len() > 2, "{row:?}");
    let note = "Compiler.perfmap";
    assert!(session.notes.iter().any(|said| said.contains(note)), "{:?}", session.notes);
}

#[test]
fn functions_of_node_have_the_names_that_it_writes_down() {
    need!(installed("node"), "node is not installed");
    let script = source("atomics.mjs");
    // V8 writes a log of its own as well.
    let directory = tempfile::tempdir().unwrap();
    let log = format!("--logfile={}", directory.path().join("v8.log").display());
    let flags = ["--always-sparkplug", "--perf-basic-prof", &log, script.to_str().unwrap()];
    let (_, session) = traced(Path::new("node"), &flags);
    let pid = session.processes.keys().next().unwrap().pid;
    let locks = ranked(&session.processes);
    let atomics = of(&locks, "V8", "Atomics.wait");
    let mut frames = atomics.iter().flat_map(|lock| &lock.sum.stacks).flat_map(|stack| &stack.frames);
    assert!(frames.any(|frame| frame.contains("JS:") && frame.contains("atomics.mjs")), "{atomics:?}");
    let note = "--perf-basic-prof";
    assert!(!session.notes.iter().any(|said| said.contains(note)), "{:?}", session.notes);
    std::fs::remove_file(format!("/tmp/perf-{pid}.map")).unwrap();
}
