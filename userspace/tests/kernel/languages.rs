//! Locks of languages and libraries that bring their own: what is seen of them is what happened, and what is not is
//! said.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use model::{
    locks::{Lock, Verdict, ranked, ranked_mutexes},
    session::Session,
};

use crate::support::{Calls, How, Trace, installed, need, source, whole};

/// Times that the locks of these programs are found taken.
const TIMES: u64 = 7;
const PROBES: [&str; 2] = ["mutex", "futex"];

/// The locks that the kernel saw, of one sort.
fn locks(session: &Session, runtime: &str, what: &str) -> Vec<Lock> {
    let all = ranked(&session.processes).into_iter();
    all.filter(|lock| lock.runtime() == Some((runtime, what))).collect()
}

fn waits(locks: &[Lock]) -> u64 {
    locks.iter().map(|lock| lock.sum.wait.count()).sum()
}

/// All libraries of Abseil that end so.
fn abseil(end: &str) -> Vec<String> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"].map(Path::new);
    let files = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let names = files.map(|file| file.path().to_string_lossy().into_owned());
    let mut found: Vec<String> =
        names.filter(|name| name.contains("/libabsl_") && name.ends_with(end)).collect();
    found.sort();
    found
}

fn abseil_program(directory: &Path, linked: &str) -> PathBuf {
    let (program, mut linker) = (directory.join("shared"), Command::new("g++"));
    linker.args(["-O2", "-std=c++17", "-pthread"]).arg("-o").args([&program, &source("shared.cc")]);
    if linked == "all static" {
        linker.arg("-static");
    }
    let libraries = if linked == "dynamically" { abseil(".so") } else { abseil(".a") };
    linker.arg("-Wl,--start-group").args(libraries).arg("-Wl,--end-group");
    assert!(linker.status().unwrap().success(), "{linked}");
    program
}

#[test]
fn a_mutex_of_abseil_is_contended_as_often_as_its_program_knows() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("g++") && !abseil(".a").is_empty(), "g++ or libabsl-dev is not installed");
    for linked in ["dynamically", "statically", "all static"] {
        let directory = tempfile::tempdir().unwrap();
        let program = abseil_program(directory.path(), linked);
        let mut program = Calls::start_program(&[], &program, &[]);
        let mut trace = Trace::of(program.pid(), &How { probes: &PROBES, ..How::default() });
        program.go();
        trace.until(|| program.has_ended());
        let session = trace.finish();
        assert!(program.output().contains("\"times\":7"));
        assert!(whole(&session.ledger), "{linked}: {:?}", session.ledger);
        let mutexes = ranked_mutexes(&session.processes);
        let own: Vec<_> = mutexes.iter().filter(|mutex| mutex.seen.runtime == "abseil").collect();
        let [mutex] = own[..] else { panic!("{linked}: {mutexes:?}, {:?}", session.notes) };
        assert_eq!(mutex.seen.stats.contended, TIMES, "{linked}");
        let callers = mutex.seen.stats.stacks.iter().map(|stack| stack.caller.as_deref());
        assert!(
            callers.clone().all(|caller| caller.is_some_and(|it| it.starts_with("want"))),
            "{linked}: {mutex:?}"
        );
        // Each slept for it, at an event of the thread.
        let slept = locks(&session, "abseil", "mutex");
        assert_eq!(waits(&slept), TIMES, "{linked}: {:?}", ranked(&session.processes));
        assert!(slept.iter().all(|lock| lock.verdict == Verdict::Contention));
    }
}

#[test]
fn of_a_java_machine_its_own_mutexes_are_seen_and_its_monitors_where_they_wait() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("javac"), "there is no compiler for Java");
    let directory = tempfile::tempdir().unwrap();
    let compiler =
        Command::new("javac").arg("-d").arg(directory.path()).arg(source("Monitors.java")).status();
    assert!(compiler.unwrap().success());
    let mut java = Command::new("java");
    java.arg("-cp").arg(directory.path()).arg("Monitors").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut java = java.spawn().unwrap();
    let mut said = BufReader::new(java.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let mut trace = Trace::of(java.id(), &How { probes: &PROBES, ..How::default() });
    java.stdin.take().unwrap().write_all(b"\n").unwrap();
    trace.until(|| java.try_wait().unwrap().is_some());
    let session = trace.finish();
    said.read_to_string(&mut line).unwrap();
    assert!(line.contains("\"times\":7"), "{line}");
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let note = "is a Java virtual machine: probes see the mutexes of that machine and of native code";
    assert!(session.notes.iter().any(|said| said.contains(note)), "{:?}", session.notes);
    // What the probes see is the machine's own, in its C library.
    let mutexes = ranked_mutexes(&session.processes);
    assert!(mutexes.iter().all(|mutex| mutex.seen.runtime.starts_with("glibc")), "{mutexes:?}");
    let monitor = locks(&session, "HotSpot", "monitor");
    // A machine that looks again after a while sleeps more than once.
    assert!(waits(&monitor) >= TIMES, "{:?}", ranked(&session.processes));
    assert!(monitor.iter().all(|lock| lock.verdict == Verdict::Contention), "{monitor:?}");
    for (what, wrong) in [("condition", Verdict::Contention), ("parked thread", Verdict::Contention)] {
        let idle = locks(&session, "HotSpot", what);
        assert!(waits(&idle) > 0, "{what}: {:?}", ranked(&session.processes));
        assert!(idle.iter().all(|lock| lock.verdict != wrong), "{idle:?}");
    }
    // Waiting for a condition of the machine's own is no contention either. Of one that never ended nothing is said.
    let mut conditions = locks(&session, "pthread", "condition");
    conditions.retain(|lock| lock.sum.count > 0);
    assert!(waits(&conditions) > 0, "{:?}", ranked(&session.processes));
    assert!(conditions.iter().all(|lock| lock.verdict == Verdict::Waiting), "{conditions:?}");
}
