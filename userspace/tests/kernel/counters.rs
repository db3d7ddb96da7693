//! Performance counters against `perf stat` on the same run, and against programs that know what they did.

use std::{
    collections::BTreeMap,
    fs,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    process::{Child, Command, Stdio},
    thread,
};

use kernel::target::Pinned;
use model::{
    counters::{Counter, Counters, Tally},
    session::{Process, Session},
};
use probes::{self, Wanted};
use pulse_trace::session::Scope;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    pipe::pipe,
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use views::report;

use crate::support::{Calls, How, Tool, Trace, Truth, blocked_in, counts, export, installed, need, program};

/// A session with counters.
fn how() -> How<'static> {
    How { probes: &["syscalls", "counters"], ..How::default() }
}

/// Traces a whole run of the workload.
fn traced(arguments: &[&str], how: &How<'_>) -> (Session, Truth) {
    let mut calls = Calls::start(arguments);
    let mut trace = Trace::of(calls.pid(), how);
    calls.go();
    trace.until(|| calls.has_ended());
    (trace.finish(), calls.truth())
}

fn process_of(session: &Session, pid: u32) -> &Process {
    session.processes.iter().find(|(key, _)| key.pid == pid).unwrap().1
}

fn counters_of(session: &Session, pid: u32) -> &Counters {
    process_of(session, pid).counters.as_ref().unwrap()
}

fn value(session: &Session, pid: u32, counter: Counter) -> u64 {
    counters_of(session, pid).value(counter).unwrap_or_else(|| panic!("no {}", counter.name()))
}

/// `perf stat` of a process, counting.
struct PerfStat {
    child: Child,
    output: tempfile::NamedTempFile,
    /// Open as long as it is to listen.
    _control: (File, File),
}

impl PerfStat {
    /// Starts it, and returns once it counts.
    fn on(pid: u32) -> Self {
        let (theirs, control) = pipe().unwrap();
        let (answers, answering) = pipe().unwrap();
        for mine in [&control, &answers] {
            fcntl_setfd(mine, FdFlags::CLOEXEC).unwrap();
        }
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("perf");
        command.args(["stat", "-x", ",", "-D", "-1", "-o"]).arg(output.path());
        command.arg("--control").arg(format!("fd:{},{}", theirs.as_raw_fd(), answering.as_raw_fd()));
        command
            .args(["-e", "task-clock,context-switches,cpu-migrations,page-faults,minor-faults,major-faults"]);
        command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        drop((theirs, answering));
        let (mut control, mut answers) = (File::from(control), File::from(answers));
        control.write_all(b"enable\n").unwrap();
        let mut answer = [0; 4];
        answers.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ack\n");
        Self { child, output, _control: (control, answers) }
    }

    /// Waits for its end, which is that of its target; its counts by name.
    fn said(mut self) -> BTreeMap<String, f64> {
        assert!(self.child.wait().unwrap().success());
        let text = fs::read_to_string(self.output.path()).unwrap();
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let name = fields.get(2)?.trim_end_matches(":u").to_owned();
            Some((name, fields[0].parse().ok()?))
        };
        text.lines().filter_map(row).collect()
    }
}

impl Drop for PerfStat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn perf_stat_counts_the_same_switches_migrations_and_faults_on_the_same_run() {
    need!(installed("perf"), "perf is not installed");
    let runs: [&[&str]; 3] = [
        &["--threads", "4", "--count", "500", "--rate", "3000"],
        &["--nap", "300us,1ms", "--count", "150", "--touch-pages", "701"],
        // Threads that live for a moment, one crew after the other.
        &["--threads", "8", "--rounds", "60", "--count", "3"],
    ];
    for arguments in runs {
        let mut calls = Calls::start(arguments);
        let perf = PerfStat::on(calls.pid());
        let mut trace = Trace::of(calls.pid(), &how());
        calls.go();
        trace.until(|| calls.has_ended());
        let session = trace.finish();
        let truth = calls.truth();
        let said = perf.said();
        let exact = [
            Counter::ContextSwitches,
            Counter::Migrations,
            Counter::PageFaults,
            Counter::MinorFaults,
            Counter::MajorFaults,
        ];
        for counter in exact {
            let ours = value(&session, truth.pid, counter);
            assert_eq!(ours as f64, said[counter.name()], "{} of {arguments:?}: {said:?}", counter.name());
        }
        let (ours, theirs) =
            (value(&session, truth.pid, Counter::TaskClock) as f64 / 1e6, said["task-clock"]);
        assert!((ours - theirs).abs() <= theirs / 100.0, "{ours} and {theirs} ms of {arguments:?}");
        assert!(value(&session, truth.pid, Counter::ContextSwitches) > 0);
    }
}

#[test]
fn fresh_pages_are_as_many_faults() {
    let pages = 4099;
    let arguments = ["--sealed", "--threads", "3", "--calls", "dup", "--count", "7", "--touch-pages", "4099"];
    let mut calls = Calls::start(&arguments);
    let pid = calls.pid();
    blocked_in(pid, libc::SYS_readv, 4);
    let mut trace = Trace::of(pid, &how());
    calls.go();
    calls.done(3);
    blocked_in(pid, libc::SYS_readv, 4);
    trace.step();
    let session = trace.finish();
    let seen = [Counter::PageFaults, Counter::MinorFaults, Counter::MajorFaults]
        .map(|counter| value(&session, pid, counter));
    assert_eq!(seen, [3 * pages, 3 * pages, 0]);
}

#[test]
fn a_thread_alone_has_its_own_counters() {
    let arguments = ["--sealed", "--threads", "2", "--calls", "dup", "--count", "7", "--touch-pages", "997"];
    let mut calls = Calls::start(&arguments);
    let pid = calls.pid();
    blocked_in(pid, libc::SYS_readv, 3);
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let tids = tasks.map(|task| task.file_name().to_str().unwrap().parse().unwrap());
    let one = Pinned::thread(tids.max().unwrap()).unwrap();
    let mut trace = Trace::of_pinned(&one, &how());
    calls.go();
    calls.done(2);
    blocked_in(pid, libc::SYS_readv, 3);
    trace.step();
    assert_eq!(value(&trace.finish(), pid, Counter::PageFaults), 997);
}

/// The counter holds time that a hypervisor took away, which the kernel does not book for the program: it has five
/// tries.
#[test]
fn the_time_of_a_spinner_is_what_the_kernel_booked_for_it() {
    for arguments in [&["--spin", "500ms"][..], &["--spin", "500ms", "--threads", "3"]] {
        let mut seen = Vec::new();
        let close = (0..5).any(|_| {
            let (session, truth) = traced(arguments, &how());
            let ours = value(&session, truth.pid, Counter::TaskClock);
            let booked = truth.usage.user_ns + truth.usage.system_ns;
            seen.push((ours, booked));
            ours.abs_diff(booked) <= booked / 100
        });
        assert!(close, "{arguments:?}: {seen:?} ns");
    }
}

#[test]
fn forked_children_are_left_out_or_counted_with_their_parent_and_it_says_so() {
    let arguments = ["--children", "2", "--threads", "2", "--touch-pages", "5003", "--count", "3"];
    let (session, truth) = traced(&arguments, &how());
    assert!(value(&session, truth.pid, Counter::PageFaults) < 5003);
    assert!(!counters_of(&session, truth.pid).with_children);
    let (session, truth) = traced(&arguments, &How { scope: Scope::Children, ..how() });
    let all = value(&session, truth.pid, Counter::PageFaults);
    assert!((4 * 5003..5 * 5003).contains(&all), "{all}");
    assert!(counters_of(&session, truth.pid).with_children);
    let children = session.processes.values().filter(|process| process.parent == Some(truth.pid));
    assert_eq!(children.filter(|child| child.counters.is_none()).count(), 2);
    let text = report::render(&session, &report::Options::default());
    let line = format!("Its counters are in those of process {}.\n", truth.pid);
    assert_eq!(text.matches(&line).count(), 2, "{text}");
}

#[test]
fn every_counter_has_a_number_or_says_why_not() {
    let (session, truth) = traced(&["--spin", "50ms"], &how());
    let counters = counters_of(&session, truth.pid);
    assert_eq!(counters.tallies.len(), Counter::ALL.len());
    let text = report::render(&session, &report::Options::default());
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let unsupported = flat.split_once("not supported here: ").map_or("", |(_, rest)| rest);
    for (counter, tally) in &counters.tallies {
        let row = text.lines().any(|line| line.starts_with(&format!("{} ", counter.name())));
        match tally {
            Tally::Counted(reading) => {
                assert!(reading.share() > Some(0.0) && row, "{}: {reading:?}\n{text}", counter.name());
            }
            Tally::Unsupported(why) => {
                assert!(*counter >= Counter::Cycles && !row, "{}: {why}", counter.name());
                let listed = unsupported.contains(counter.name()) && unsupported.contains(why.as_str());
                assert!(listed, "{}\n{text}", counter.name());
            }
            Tally::Refused(why) => panic!("{}: {why}", counter.name()),
        }
    }
    assert!(value(&session, truth.pid, Counter::TaskClock) > 0);
    assert!(session.ledger.complete(), "{:?}", session.ledger);
}

#[test]
fn a_command_is_counted_from_its_first_instruction() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("json");
    let workload = program().to_str().unwrap();
    let tool = ["run", "--quiet", "--probes", "counters", "--json", file.to_str().unwrap(), "--", workload];
    let more = ["--spin", "200ms", "--touch-pages", "5003", "--json"];
    let (status, out, err) = Tool::start(tool.iter().chain(&more)).end();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
    let truth = Truth::read(&out);
    let export = export(&file);
    let process = export.processes.iter().find(|process| process.pid == truth.pid).unwrap();
    let counters = process.counters.as_ref().unwrap();
    // What a program of this size takes to begin is a few hundred pages, and a few milliseconds.
    assert!((5003..6003).contains(&counters.page_faults.unwrap()), "{counters:?}");
    let booked = truth.usage.user_ns + truth.usage.system_ns;
    let clock = counters.task_clock_ns.unwrap();
    assert!((booked..booked + 20_000_000).contains(&clock), "{clock} and {booked}");
}

#[test]
fn few_descriptors_cost_counters_and_not_the_session() {
    let mut calls = Calls::start(&["--sealed", "--threads", "32", "--calls", "dup", "--count", "31"]);
    blocked_in(calls.pid(), libc::SYS_readv, 33);
    for limit in ["72", "168"] {
        let limited = format!("ulimit -n {limit}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_pulse-trace")]);
        command.args([
            "attach",
            "-p",
            &calls.pid().to_string(),
            "--duration",
            "300ms",
            "--probes",
            "counters",
        ]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (text, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""), "{text}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("the limit of open files is reached; raise it with `ulimit -n`"), "{text}");
        assert!(flat.contains("counters_missing: performance counters that could have been"), "{text}");
        // Room for one descriptor of each of the 33 threads is room for a counter.
        assert_eq!(flat.contains("task-clock 0ns"), limit == "168", "{text}");
    }
    let mut trace = Trace::of(calls.pid(), &how());
    calls.go();
    calls.done(32);
    trace.step();
    assert_eq!(counts(&trace.finish())["dup"].count(), 32 * 31);
}

#[test]
fn a_user_who_may_not_count_is_told_what_is_missing() {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    let level: i32 = level.trim().parse().unwrap();
    need!(level >= 2, "perf_event_paranoid is {level}: everybody may count");
    let calls = Calls::start(&["--sealed"]);
    let pinned = Pinned::process(calls.pid()).unwrap();
    let without = thread::spawn(move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
        set_capabilities(None, sets).unwrap();
        let wanted = Wanted { pinned: &pinned, joined_ns: 1, held: false };
        probes::Counters::open(&[wanted], false).drain().remove(0).1
    });
    let counters = without.join().unwrap();
    for counter in [Counter::TaskClock, Counter::ContextSwitches, Counter::PageFaults] {
        let Tally::Refused(why) = &counters.tallies[&counter] else {
            panic!("{}: {:?}", counter.name(), counters.tallies[&counter]);
        };
        assert!(why.contains(&format!("perf_event_paranoid is {level}")), "{why}");
        assert!(why.contains("CAP_PERFMON"), "{why}");
    }
}
