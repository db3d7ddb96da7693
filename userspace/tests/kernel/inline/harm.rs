//! Programs that a clumsy tracer hurts, and that these counters do not.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    process::{Command, Stdio},
    sync::atomic::Ordering::Relaxed,
    thread,
    time::Duration,
};

use binary::locate::replaceable::Passing;
use kernel::inline::{Detail, InlineError, Patch, repair, replaced};

use super::{code, mappings, program::Program};
use crate::support::{installed, need};

/// Answer of a program.
#[derive(Clone, Copy, Debug)]
struct Truth {
    acquired: u64,
    sequences: u64,
    torn: u64,
    aborted: u64,
    /// Waits without and with a time limit that returned `EINTR`.
    cut: [u64; 2],
}

fn start(mode: &str) -> Program {
    let mut program = Program::start("harm.c", &[mode]);
    assert_eq!(program.line(), "ready");
    program
}

fn ask(program: &mut Program) -> Truth {
    program.tell("ask");
    let numbers: Vec<u64> = program.line().split(' ').map(|word| word.parse().unwrap()).collect();
    let [acquired, sequences, torn, aborted, endless, limited] = numbers[..] else { panic!("{numbers:?}") };
    Truth { acquired, sequences, torn, aborted, cut: [endless, limited] }
}

/// Counters in a program and out of it again, which acquires meanwhile; how large they were.
fn counted(program: &mut Program) -> u64 {
    let pid = program.pid();
    let (before, descriptors) = (code(pid), fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count());
    let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.contains("memfd:pulse-trace")).unwrap();
    let range = line.split_once(' ').unwrap().0;
    // Every page is there: a first touch cannot fail.
    let (start, end) = range.split_once('-').unwrap();
    let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
    let there = fs::metadata(format!("/proc/{pid}/map_files/{range}")).unwrap();
    assert!(there.blocks() * 512 >= end - start && there.len() == end - start);
    let first = ask(program).acquired;
    thread::sleep(Duration::from_millis(50));
    let last = ask(program).acquired;
    let seen = patch.read().unwrap().of(Passing::NormalAttempt);
    assert!(last > first && seen >= last - first, "{seen} of {first} to {last}");
    assert!(!patch.remove().unwrap().memory_left);
    assert_eq!(mappings(pid), Vec::<String>::new());
    assert!(code(pid) == before, "the code is not what it was");
    assert_eq!(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), descriptors);
    ask(program);
    end - start
}

#[test]
fn no_limit_of_the_targets_own_is_touched() {
    need!(installed("gcc"), "gcc is not installed");
    for mode in ["file-size", "no-file-size", "locked", "walled"] {
        let mut program = start(mode);
        let len = counted(&mut program);
        assert!(len < 6 << 20, "{mode}: {len}");
        assert!(program.end().success(), "{mode}");
    }
    for (mode, reason) in
        [("address-space", "address space (ulimit -v)"), ("open-files", "open files (ulimit -n)")]
    {
        let mut program = start(mode);
        let before = code(program.pid());
        let said = Patch::put_in(program.pid(), Detail::Kinds).err().unwrap().to_string();
        assert!(said.contains(reason), "{said}");
        assert!(code(program.pid()) == before && mappings(program.pid()).is_empty());
        ask(&mut program);
        assert!(program.end().success(), "{mode}");
    }
}

/// Output of `prlimit` on the limits of a process, or after setting them.
fn prlimit(pid: u32, options: &[&str]) -> String {
    let output = Command::new("prlimit").args(["--pid", &pid.to_string()]).args(options).output().unwrap();
    assert!(output.status.success(), "{options:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_target_survives_under_any_limits() {
    need!(installed("gcc") && installed("prlimit"), "gcc or prlimit is not installed");
    let mut program = start("plain");
    let pid = program.pid();
    let before = code(pid);
    let limit = |resource: &str, soft: &str| prlimit(pid, &[&format!("--{resource}={soft}:")]);
    let resources = [
        "as",
        "core",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "sigpending",
        "stack",
    ];
    let (mut counted, mut refused) = (0, 0);
    for resource in resources {
        for soft in ["0", "1", "4096", "1048576"] {
            let hard = prlimit(pid, &[&format!("--{resource}"), "--noheadings", "-o", "HARD", "--raw"]);
            if hard.parse::<u64>().is_ok_and(|hard| hard < soft.parse().unwrap()) {
                continue;
            }
            limit(resource, soft);
            match Patch::put_in(pid, Detail::Kinds) {
                Ok(mut patch) => {
                    ask(&mut program);
                    assert!(!patch.remove().unwrap().memory_left, "{resource} {soft}");
                    counted += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("its limit of"), "{resource} {soft}: {error}");
                    refused += 1;
                }
            }
            limit(resource, &hard);
            ask(&mut program);
            assert!(code(pid) == before && mappings(pid).is_empty(), "{resource} {soft}");
        }
    }
    assert!(counted >= 30 && refused >= 5, "{counted} counted, {refused} refused");
    assert!(program.end().success());
}

/// `PULSE_INLINE_CYCLES=10000` does as many as the longest proof asks for.
#[test]
fn a_target_under_load_is_what_it_was_after_many_cycles() {
    need!(installed("gcc"), "gcc is not installed");
    let cycles = std::env::var("PULSE_INLINE_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let mut program = start("plain");
    let pid = program.pid();
    let (before, threads) = (code(pid), fs::read_dir(format!("/proc/{pid}/task")).unwrap().count());
    let memory = |pid: u32| fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines().count();
    let mapped = memory(pid);
    for cycle in 0..cycles {
        let mut patch =
            Patch::put_in(pid, Detail::Kinds).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        assert!(!patch.remove().unwrap().memory_left, "cycle {cycle}");
    }
    let first = ask(&mut program).acquired;
    thread::sleep(Duration::from_millis(50));
    assert!(ask(&mut program).acquired > first);
    assert!(code(pid) == before && mappings(pid).is_empty());
    assert_eq!(memory(pid), mapped);
    assert_eq!(fs::read_dir(format!("/proc/{pid}/task")).unwrap().count(), threads);
    assert!(!fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tT"));
    assert!(program.end().success());
}

#[test]
fn a_restartable_sequence_begins_anew_and_is_never_torn() {
    need!(installed("gcc"), "gcc is not installed");
    const CYCLES: u64 = 20;
    let mut program = start("sequence");
    let pid = program.pid();
    let before = ask(&mut program);
    for _ in 0..CYCLES {
        let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
        assert!(!patch.remove().unwrap().memory_left);
    }
    let after = ask(&mut program);
    assert_eq!(after.torn, 0, "{after:?}");
    assert!(
        after.aborted - before.aborted >= CYCLES && after.sequences > before.sequences,
        "{before:?} {after:?}"
    );
    assert!(program.end().success());
}

#[test]
fn endless_waits_do_not_end_and_limited_ones_that_do_are_told() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = start("waits");
    let pid = program.pid();
    thread::sleep(Duration::from_millis(100));
    let mut told = 0;
    for _ in 0..20 {
        let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
        told += patch.about.cut_short as u64;
        thread::sleep(Duration::from_millis(2));
        told += patch.remove().unwrap().cut_short as u64;
        thread::sleep(Duration::from_millis(2));
    }
    thread::sleep(Duration::from_millis(100));
    let [endless, limited] = ask(&mut program).cut;
    assert_eq!(endless, 0);
    assert_eq!(limited, told);
    assert!((1..=40).contains(&limited), "{limited}");
    assert!(program.end().success());
}

#[test]
fn no_signal_is_lost_or_swallowed() {
    need!(installed("gcc"), "gcc is not installed");
    const BURST: u64 = 20;
    const BURSTS: u64 = 150;
    const SIGNALS: u64 = BURST * BURSTS;
    let mut program = start("signals");
    let pid = program.pid();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
                assert!(!patch.remove().unwrap().memory_left);
            }
        });
        // SIGRTMIN: each is delivered, and not one for several.
        let burst = format!("i=0; while [ $i -lt {BURST} ]; do kill -34 {pid}; i=$((i+1)); done");
        for _ in 0..BURSTS {
            assert!(Command::new("sh").args(["-c", &burst]).status().unwrap().success());
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Relaxed);
    });
    crate::support::within(Duration::from_secs(5), "the last signal", || {
        ask(&mut program).acquired >= SIGNALS
    });
    assert_eq!(ask(&mut program).acquired, SIGNALS);
    assert!(program.end().success());
}

#[test]
fn memory_that_another_process_has_too_is_left_alone() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = start("shared");
    let said = Patch::put_in(program.pid(), Detail::Kinds).err().unwrap().to_string();
    assert!(said.contains("has the same memory (CLONE_VM)"), "{said}");
    ask(&mut program);
    assert!(program.end().success());
}

#[test]
fn the_stack_of_a_fibre_is_not_borrowed() {
    need!(installed("gcc"), "gcc is not installed");
    let program = start("fibre");
    let before = code(program.pid());
    let said = Patch::put_in(program.pid(), Detail::Kinds).err().unwrap().to_string();
    assert!(said.contains("stands on a stack of its own"), "{said}");
    assert!(code(program.pid()) == before && mappings(program.pid()).is_empty());
}

#[test]
fn counters_of_a_living_tool_are_respected() {
    need!(installed("gcc"), "gcc is not installed");
    let program = start("plain");
    let pid = program.pid();
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"))
        .args(["attach", "--inline", "--probes", "syscalls", "--plain", "-d", "60s", "-p", &pid.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    crate::support::within(Duration::from_secs(20), "the counters", || !replaced(pid).is_empty());
    for error in [Patch::put_in(pid, Detail::Kinds).err().unwrap(), repair(pid).err().unwrap()] {
        assert!(matches!(error, InlineError::Owned { .. }), "{error}");
    }
    let doctor = Command::new(env!("CARGO_BIN_EXE_pulse-trace"))
        .args(["doctor", "--repair", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("has those of a pulse-trace that runs"), "{said}");
    assert!(!replaced(pid).is_empty());
    rustix::process::kill_process(rustix::process::Pid::from_child(&tool), rustix::process::Signal::TERM)
        .unwrap();
    assert!(tool.wait().unwrap().success());
    assert!(replaced(pid).is_empty());
    assert!(program.end().success());
}

#[test]
fn places_that_another_program_restores_are_noticed() {
    need!(installed("gcc"), "gcc is not installed");
    let program = start("plain");
    let pid = program.pid();
    let before = code(pid);
    let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
    assert!(!patch.has_vanished());
    let place = replaced(pid)[0];
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.contains("r-xp") && line.contains("libc.so.6")).unwrap();
    let start = u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap();
    let at = (place - start) as usize;
    let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    memory.write_all_at(&before[at..at + 5], place).unwrap();
    assert!(patch.has_vanished());
    assert!(!patch.remove().unwrap().memory_left);
    assert!(code(pid) == before);
    assert!(program.end().success());
}

/// The libraries of a program that runs by a loader of its own, to be spoilt.
fn own_library() -> (tempfile::TempDir, std::path::PathBuf, Program) {
    let shop = tempfile::tempdir().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path =
        maps.lines().find_map(|line| line.split_once('/').filter(|(_, path)| path.ends_with("libc.so.6")));
    let copy = shop.path().join("libc.so.6");
    fs::copy(format!("/{}", path.unwrap().1), &copy).unwrap();
    let library_path = format!("LD_LIBRARY_PATH={}", shop.path().display());
    let mut program =
        super::program::Compiled::of("harm.c", &["-pthread"]).start_by(&["env", &library_path], &["plain"]);
    assert_eq!(program.line(), "ready");
    (shop, copy, program)
}

#[test]
fn a_library_that_is_spoilt_under_the_mapping_holds_nothing_up() {
    need!(installed("gcc"), "gcc is not installed");
    let (_shop, library, mut program) = own_library();
    // Made longer it is what it was.
    OpenOptions::new().write(true).open(&library).unwrap().set_len(8 << 30).unwrap();
    counted(&mut program);
    // Replaced by a file that blocks each opener, or never ends: the mapping itself leads to the file.
    for spoil in ["mkfifo", "ln -s /dev/zero"] {
        fs::remove_file(&library).unwrap();
        assert!(
            Command::new("sh")
                .args(["-c", &format!("{spoil} {}", library.display())])
                .status()
                .unwrap()
                .success()
        );
        let doctor = Command::new("timeout")
            .args(["20", env!("CARGO_BIN_EXE_pulse-trace"), "doctor", "-p", &program.pid().to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(
            doctor.status.code().is_some_and(|code| code != 124) && said.contains("glibc"),
            "{spoil}: {said}"
        );
    }
    assert!(program.end().success());
}
