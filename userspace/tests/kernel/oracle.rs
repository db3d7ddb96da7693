//! The same run, counted by `strace` and by bpftrace at the same time.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Calls, How, Trace, assert_true, counts, installed, need};

/// bpftrace, running the script that counts the same thing.
struct Oracle {
    child: Child,
    lines: Receiver<String>,
}

/// Longer than this it neither takes to start nor to end.
const PATIENCE: Duration = Duration::from_secs(25);

/// What it says, by the number of the call.
#[derive(Debug, Default)]
struct Said {
    begun: BTreeMap<u32, u64>,
    calls: BTreeMap<u32, u64>,
    ns: BTreeMap<u32, u64>,
}

impl Oracle {
    /// Starts it and waits until it counts. It needs tracefs, which it gets to itself.
    fn on(pid: u32) -> Self {
        let mounted =
            "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"";
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/syscalls.bt");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", mounted, "sh", "bpftrace", "-f", "json", script]);
        command.arg(pid.to_string()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut oracle = Self { child, lines };
        while let Some(line) = oracle.next() {
            if line.contains("attached_probes") {
                return oracle;
            }
        }
        panic!("bpftrace did not start");
    }

    /// The next line; `None` at its end.
    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("bpftrace says nothing for {PATIENCE:?}"),
        }
    }

    fn finish(mut self) -> Said {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut said = Said::default();
        while let Some(line) = self.next() {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let Some(maps) = line["data"].as_object() else { continue };
            for (name, values) in maps {
                let by_number = |values: &Value| {
                    let values = values.as_object().into_iter().flatten();
                    values.map(|(nr, value)| (nr.parse().unwrap(), value.as_u64().unwrap())).collect()
                };
                match name.as_str() {
                    "@begun" => said.begun = by_number(values),
                    "@calls" => said.calls = by_number(values),
                    "@ns" => said.ns = by_number(values),
                    _ => {}
                }
            }
        }
        said
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The names of the calls that the workload makes, and their numbers here.
fn number(name: &str) -> u32 {
    let numbers = [
        ("capget", libc::SYS_capget),
        ("dup", libc::SYS_dup),
        ("faccessat", libc::SYS_faccessat),
        ("getitimer", libc::SYS_getitimer),
        ("getpgid", libc::SYS_getpgid),
        ("getppid", libc::SYS_getppid),
        ("getpriority", libc::SYS_getpriority),
        ("getsid", libc::SYS_getsid),
        ("nanosleep", libc::SYS_nanosleep),
        ("sched_get_priority_max", libc::SYS_sched_get_priority_max),
        ("sched_getscheduler", libc::SYS_sched_getscheduler),
        ("sysinfo", libc::SYS_sysinfo),
        ("times", libc::SYS_times),
    ];
    numbers.iter().find(|(known, _)| *known == name).unwrap().1 as u32
}

#[test]
fn bpftrace_counts_the_same_calls_and_times_on_the_same_run() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let mut calls = Calls::start(&["--threads", "4", "--count", "1000"]);
    let oracle = Oracle::on(calls.pid());
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    let said = oracle.finish();
    assert_true(&session, &truth);
    let counts = counts(&session);
    for (name, made) in &truth.calls {
        let ours = &counts[name];
        let theirs = (said.begun.get(&number(name)), said.calls.get(&number(name)));
        assert_eq!(theirs, (Some(made), Some(made)), "{name}: {said:?}");
        // Each measures a part of the other's programs too: less than a microsecond a call, and what interrupts add.
        let apart = ours.total_ns().abs_diff(said.ns[&number(name)]);
        assert!(apart <= made * 3000, "{name}: {} and {}", ours.total_ns(), said.ns[&number(name)]);
    }
    // Calls that the runtime made besides are the same too, whatever they were: nothing else has begun.
    let ours: u64 = counts.values().map(|stats| stats.count()).sum();
    let before_us: u64 = said.begun.values().sum::<u64>() - ours;
    assert!(before_us <= 40, "only waits for the go, before we were attached: {before_us}");
}

#[test]
fn bpftrace_measures_the_same_sleeps_within_the_stated_error() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let mut calls = Calls::start(&["--nap", "1ms,3ms", "--count", "60"]);
    let oracle = Oracle::on(calls.pid());
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let said = oracle.finish();
    let (ours, theirs) = (&counts(&session)["nanosleep"], said.ns[&number("nanosleep")]);
    assert_eq!((ours.count(), said.calls[&number("nanosleep")]), (120, 120));
    assert!(ours.total_ns().abs_diff(theirs) <= theirs / 32, "{} and {theirs}", ours.total_ns());
}

#[test]
fn strace_counts_the_same_calls_on_the_same_run() {
    need!(installed("strace"), "strace is not installed");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("strace");
    let strace = ["strace", "-c", "-f", "-o", file.to_str().unwrap()];
    // strace asks a program for its calls a thousand times slower than it makes them.
    let mut calls = Calls::start_under(&strace, &["--threads", "3", "--count", "60"]);
    let bpftrace = installed("bpftrace").then(|| Oracle::on(calls.pid()));
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    assert_true(&session, &truth);
    let table = fs::read_to_string(&file).unwrap();
    let strace = by_strace(&table);
    for (name, made) in &truth.calls {
        let errors = truth.errors.get(name).map_or(0, |errors| errors.values().sum());
        assert_eq!(strace.get(name.as_str()), Some(&(*made, errors)), "{name} in\n{table}");
    }
    if let Some(bpftrace) = bpftrace {
        let said = bpftrace.finish();
        assert!(truth.calls.iter().all(|(name, made)| said.calls[&number(name)] == *made));
    }
}

/// Calls and errors by name, from the table of `strace -c`; the column of errors may be empty.
fn by_strace(table: &str) -> BTreeMap<&str, (u64, u64)> {
    let row = |line| {
        let fields: Vec<&str> = str::split_ascii_whitespace(line).collect();
        let calls = fields.get(3)?.parse().ok()?;
        match fields[4..] {
            [name] => Some((name, (calls, 0))),
            [errors, name] => Some((name, (calls, errors.parse().ok()?))),
            _ => None,
        }
    };
    table.lines().filter_map(row).collect()
}
