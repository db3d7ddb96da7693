//! Targets, and kernels, with which probes in code cannot do what they do elsewhere: what is missing is named, and what
//! still works does.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use model::{
    locks::{ContendedMutex, FutexStats, Lock, Verdict, ranked, ranked_mutexes},
    session::Session,
};
use rustix::process::Signal;
use tempfile::TempDir;
use views::export::json::Export;

use crate::{
    doctor::finding,
    mutex::left_behind::is_probed,
    support::{
        Calls, Holds, How, Tool, Trace, built, compiled, counts, export, installed, need, source, whole,
        within,
    },
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Times that the lock of `contend.c` is found taken.
const TIMES: u64 = 7;
const PROBES: [&str; 2] = ["mutex", "futex"];

fn contend(directory: &TempDir) -> PathBuf {
    compiled(directory.path(), "cc", "contend.c", &["-pthread"]).unwrap()
}

fn traced(pid: u32, program: &mut Calls) -> Session {
    let mut trace = Trace::of(pid, &How { probes: &PROBES, ..How::default() });
    program.go();
    trace.until(|| program.has_ended());
    trace.finish()
}

fn contended(mutexes: &[ContendedMutex], runtime: &str) -> u64 {
    let of = mutexes.iter().filter(|mutex| mutex.seen.runtime.starts_with(runtime));
    of.map(|mutex| mutex.seen.stats.contended).sum()
}

/// Waits for locks that the kernel saw.
fn slept(session: &Session) -> u64 {
    let futexes = session.processes.values().flat_map(|process| process.futexes.values());
    let waits = |stats: &FutexStats| stats.mutex.is_some().then_some(stats.wait.count());
    futexes.filter_map(waits).sum()
}

fn said(session: &Session, note: &str) -> bool {
    session.notes.iter().any(|said| said.contains(note))
}

/// Runs the tool on a process from before its go to its end: its exit code, and the notes of its report.
fn attached(pid: u32, go: impl FnOnce()) -> (Option<i32>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("json");
    let (pid, json) = (pid.to_string(), file.to_string_lossy().into_owned());
    let words = ["attach", "--plain", "--quiet", "--probes", "mutex,futex", "--json", &json, "-p", &pid];
    let mut tool = Tool::start(words);
    within(PATIENCE, "the tool to listen", || {
        assert!(!tool.has_ended(), "it ended before it had begun");
        tool.listens_to(Signal::INT) && !tool.objects("link_id").is_empty()
    });
    go();
    let (status, ..) = tool.end();
    (status.code(), export(&file).notes)
}

#[test]
fn a_process_whose_first_thread_has_ended_is_traced_without_probes() {
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let start = || Calls::start_program(&[], &contend(&directory), &["orphan"]);
    let mut program = start();
    let session = traced(program.pid(), &mut program);
    assert!(said(&session, "its first thread has ended"), "{:?}", session.notes);
    assert_eq!((contended(&ranked_mutexes(&session.processes), ""), slept(&session)), (0, TIMES));
    let mut program = start();
    let (code, notes) = attached(program.pid(), || program.go());
    assert_eq!(code, Some(0), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("its first thread has ended")), "{notes:?}");
}

#[test]
fn a_program_that_came_by_another_thread_is_probed() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let mut program = Calls::start_program(&[], &contend(&directory), &["heir"]);
    let pid = program.pid();
    let mut trace = Trace::of(pid, &How { probes: &PROBES, ..How::default() });
    program.go();
    // It says that it is ready again.
    program.done("ready\n".len());
    trace.until(|| is_probed(pid));
    program.go();
    trace.until(|| program.has_ended());
    let mut session = trace.finish();
    // Until it was looked at, the program that came had none.
    session.ledger.degraded.remove("mutex_unprobed");
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(contended(&ranked_mutexes(&session.processes), "glibc"), TIMES, "{:?}", session.notes);
}

/// A program that begins when it has read a byte.
struct Reader(Child);

impl Reader {
    fn start(program: &Path) -> Self {
        Self(Command::new(program).stdin(Stdio::piped()).spawn().unwrap())
    }

    fn go(&mut self) {
        self.0.stdin.take().unwrap().write_all(b"g").unwrap();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same on such a program, for as long as it lives.
fn attached_whole(program: &Path) -> (Option<i32>, Vec<String>) {
    let mut child = Reader::start(program);
    attached(child.0.id(), || {
        child.go();
        within(PATIENCE, "it to end", || child.0.try_wait().unwrap().is_some());
    })
}

#[test]
fn a_program_for_32_bits_is_refused_by_name_and_its_calls_are_counted() {
    need!(cfg!(target_arch = "x86_64"), "only there programs for 32 bits run");
    let directory = tempfile::tempdir().unwrap();
    let flags = ["-m32", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-nostdlib", "-static"];
    let program = compiled(directory.path(), "cc", "narrow.c", &flags);
    need!(program.is_some(), "the C compiler makes no programs for 32 bits");
    let program = program.unwrap();
    let mut child = Reader::start(&program);
    let mut trace = Trace::of(child.0.id(), &How { probes: &["mutex", "syscalls"], ..How::default() });
    child.go();
    trace.until(|| child.0.try_wait().unwrap().is_some());
    let session = trace.finish();
    let note = "it is a 32-bit file; tier 0 is the probe futex, which was not chosen";
    assert!(said(&session, note), "{:?}", session.notes);
    assert_eq!(counts(&session)["i386:futex"].count(), 31);
    let (code, notes) = attached_whole(&program);
    assert_eq!(code, Some(0), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("it is a 32-bit file; showing tier 0")), "{notes:?}");
}

#[test]
fn a_program_under_strace_is_probed_all_the_same() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc") && installed("strace"), "cc or strace is not installed");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out").to_string_lossy().into_owned();
    let strace = ["strace", "-f", "-e", "trace=futex", "-o", &out];
    let mut program = Calls::start_program(&strace, &contend(&directory), &["plain"]);
    let pid = program.pid();
    let session = traced(pid, &mut program);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(contended(&ranked_mutexes(&session.processes), "glibc"), TIMES, "{:?}", session.notes);
    assert!(fs::read_to_string(&out).unwrap().contains("FUTEX_WAIT"));
}

/// Result of a session on `holds` where the kernel refuses to put in many probes at once, or any, and the program's own
/// numbers; `None` where that cannot be tried here.
fn refused(what: &str) -> Option<(Export, Holds)> {
    let directory = tempfile::tempdir().unwrap();
    let refuse = compiled(directory.path(), "cc", "refuse.c", &[])?;
    let file = directory.path().join("json");
    let holds = built("holds");
    let output = Command::new(refuse)
        .args([
            what,
            env!("CARGO_BIN_EXE_pulse-trace"),
            "run",
            "--plain",
            "--probes",
            "mutex,futex",
            "--json",
        ])
        .args([&file, Path::new("--"), &holds])
        .args(["--times", "7,5,3", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let export = export(&file);
    let futexes = export.processes.iter().flat_map(|process| &process.futex);
    assert!(futexes.filter(|futex| futex.mutex.is_some()).map(|futex| futex.count).sum::<u64>() >= 15);
    Some((export, Holds::read(&String::from_utf8_lossy(&output.stdout))))
}

#[test]
fn where_the_kernel_refuses_probes_it_is_said_and_the_rest_goes_on() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let export = refused("all");
    need!(export.is_some(), "there is no C compiler");
    let (export, _) = export.unwrap();
    let note = export.notes.iter().find(|note| note.starts_with("mutex: cannot put in probes:"));
    let note = note.unwrap_or_else(|| panic!("{:?}", export.notes));
    assert!(note.contains("Operation not supported") && note.contains("showing tier 0"), "{note}");
    assert!(export.processes.iter().all(|process| process.mutex.is_empty()));
}

#[test]
fn where_the_kernel_takes_no_probes_at_once_it_takes_one_after_the_other() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let export = refused("many");
    need!(export.is_some(), "there is no C compiler");
    let (export, holds) = export.unwrap();
    let mutexes = || export.processes.iter().flat_map(|process| &process.mutex);
    // Its threads may also meet at the mutex of a condition: how often is not known.
    for fought in &holds.locks {
        let at = mutexes().filter(|mutex| mutex.address == fought.address);
        let contended = at.map(|mutex| mutex.contended).sum::<u64>();
        assert_eq!(contended, fought.times, "{fought:?} {:?}", export.notes);
    }
}

#[test]
fn a_musl_program_without_contended_paths_is_named() {
    need!(installed("musl-gcc"), "musl-gcc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "musl-gcc", "drowsy.c", &["-static", "-pthread"]).unwrap();
    let (code, notes) = attached_whole(&program);
    assert_eq!(code, Some(0), "{notes:?}");
    let note = "mutex: cannot find contended paths in drowsy: drowsy (musl): uncontended acquisitions pass \
                __pthread_mutex_timedlock, too; showing tier 0";
    assert!(notes.iter().any(|said| said == note), "{notes:?}");
}

/// One that ends before it had the time to map more.
#[test]
fn a_short_musl_program_that_begins_under_our_eyes_is_named() {
    need!(installed("musl-gcc"), "musl-gcc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "musl-gcc", "drowsy.c", &["-static", "-pthread"]).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"read line; exec "$0""#]).arg(&program).stdin(Stdio::piped());
    let mut child = Reader(shell.spawn().unwrap());
    let mut trace = Trace::of(child.0.id(), &How { probes: &PROBES, ..How::default() });
    child.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let exe = format!("/proc/{}/exe", child.0.id());
    trace.until(|| fs::read_link(&exe).unwrap() == program);
    trace.step();
    // It waits for a byte, and none will come.
    drop(child.0.stdin.take());
    trace.until(|| child.0.try_wait().unwrap().is_some());
    let session = trace.finish();
    let note = "cannot find contended paths in drowsy: drowsy (musl): uncontended acquisitions pass";
    assert!(said(&session, note), "{:?}", session.notes);
}

#[test]
fn all_commands_judge_a_musl_program_alike() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("musl-gcc"), "musl-gcc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "musl-gcc", "portable.c", &["-pthread"]).unwrap();
    let mut program = Calls::start_program(&[], &program, &[]);
    let why = "uncontended acquisitions pass __pthread_mutex_timedlock, too";
    let (verdict, found) = finding(program.pid(), "locks");
    assert!(verdict == "note" && found.contains(why), "{verdict} {found}");
    let (verdict, found) = finding(program.pid(), "C library");
    assert!(verdict == "ok" && found.starts_with("musl, "), "{verdict} {found}");
    let mut trace = Trace::of(program.pid(), &How { probes: &PROBES, ..How::default() });
    trace.until_noted(why);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    // Waits are named all the same, though the library has no unwind information.
    let locks = ranked(&session.processes);
    let mutexes: Vec<_> = locks.iter().filter(|lock| lock.runtime() == Some(("musl", "mutex"))).collect();
    let [mutex] = mutexes[..] else { panic!("{locks:?}") };
    assert_eq!((mutex.verdict, mutex.sum.wait.count()), (Verdict::Contention, TIMES), "{mutex:?}");
    let callers = mutex.sum.stacks.iter().map(|stack| stack.caller.as_deref().unwrap_or_default());
    assert!(callers.clone().all(|caller| caller.starts_with("take_turn+")), "{mutex:?}");
}

/// A program in Rust in one file, without a C library of the system's.
fn of_musl(directory: &TempDir) -> Option<PathBuf> {
    let program = directory.path().join("std_mutex");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "--target", "x86_64-unknown-linux-musl", "-o"]);
    rustc.args([&program, &source("std_mutex.rs")]).stderr(Stdio::null());
    rustc.status().is_ok_and(|status| status.success()).then_some(program)
}

#[test]
fn a_static_program_tells_of_its_rust_mutexes() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let directory = tempfile::tempdir().unwrap();
    let program = of_musl(&directory);
    need!(program.is_some(), "there is no Rust for x86_64-unknown-linux-musl; `rustup target add` brings it");
    let mut child = Reader::start(&program.unwrap());
    let mut trace = Trace::of(child.0.id(), &How { probes: &PROBES, ..How::default() });
    child.go();
    trace.until(|| child.0.try_wait().unwrap().is_some());
    let session = trace.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let mutexes = ranked_mutexes(&session.processes);
    // Its barrier has a mutex, too.
    let fought = mutexes.iter().find(|mutex| mutex.seen.stats.contended == TIMES);
    assert!(fought.is_some_and(|it| it.seen.runtime == "Rust std"), "{mutexes:?} {:?}", session.notes);
}

fn built_by_go(directory: &Path, flags: &[&str]) -> PathBuf {
    let program = directory.join("mutex");
    let mut go = Command::new("go");
    go.arg("build").args(flags).arg("-o").args([&program, &source("mutex.go")]);
    go.env("GOCACHE", directory.join("cache")).env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    assert!(go.status().unwrap().success());
    program
}

#[test]
fn a_go_program_without_symbols_is_refused_by_name() {
    need!(installed("go"), "go is not installed");
    let directory = tempfile::tempdir().unwrap();
    let (code, notes) = attached_whole(&built_by_go(directory.path(), &["-ldflags=-s -w"]));
    assert_eq!(code, Some(0), "{notes:?}");
    let note = "mutex: cannot find spin sites in mutex: it is a Go program without symbols; showing tier 0";
    assert!(notes.iter().any(|said| said == note), "{notes:?}");
}

/// If its stack has to grow first, the slow path begins anew, and is one acquisition all the same.
#[test]
fn a_go_program_tells_of_its_mutexes() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("go"), "go is not installed");
    let directory = tempfile::tempdir().unwrap();
    let mut child = Reader::start(&built_by_go(directory.path(), &[]));
    let mut trace = Trace::of(child.0.id(), &How { probes: &PROBES, ..How::default() });
    child.go();
    trace.until(|| child.0.try_wait().unwrap().is_some());
    let session = trace.finish();
    let mutexes = ranked_mutexes(&session.processes);
    assert_eq!(contended(&mutexes, "Go"), 100, "{mutexes:?} {:?}", session.notes);
}

#[test]
fn that_mutexes_of_go_are_not_visible_is_said_and_idle_threads_are_no_locks() {
    need!(installed("go"), "go is not installed");
    let directory = tempfile::tempdir().unwrap();
    for flags in [&[][..], &["-ldflags=-s -w"]] {
        let mut child = Reader::start(&built_by_go(directory.path(), flags));
        let mut trace = Trace::of(child.0.id(), &How { probes: &["futex"], ..How::default() });
        child.go();
        trace.until(|| child.0.try_wait().unwrap().is_some());
        let session = trace.finish();
        let note = format!(
            "futex: process {} is a Go program: contention of sync.Mutex is not visible",
            child.0.id()
        );
        assert!(said(&session, &note), "{:?}", session.notes);
        let idle = |lock: &Lock| lock.runtime() == Some(("Go", "idle thread")) && lock.sum.wait.count() == 0;
        assert!(!ranked(&session.processes).iter().any(idle), "{:?}", ranked(&session.processes));
    }
}
