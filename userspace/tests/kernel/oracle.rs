//! The same run, counted by `strace` and by bpftrace at the same time.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{Calls, How, Oracle, Trace, assert_true, counts, installed, need};

/// Output of the oracle, by the number of the call.
#[derive(Debug, Default)]
struct Said {
    begun: BTreeMap<u32, u64>,
    calls: BTreeMap<u32, u64>,
    ns: BTreeMap<u32, u64>,
}

impl Said {
    fn by(oracle: Oracle) -> Self {
        let maps = oracle.finish();
        let by_number = |name: &str| {
            let values = maps.get(name).and_then(Value::as_object).into_iter().flatten();
            values.map(|(nr, value)| (nr.parse().unwrap(), value.as_u64().unwrap())).collect()
        };
        Self { begun: by_number("@begun"), calls: by_number("@calls"), ns: by_number("@ns") }
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
    let oracle = Oracle::on("syscalls.bt", calls.pid());
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let truth = calls.truth();
    let said = Said::by(oracle);
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
    // Calls that the runtime made besides are the same too, without a list of them: nothing else has begun.
    let ours: u64 = counts.values().map(|stats| stats.count()).sum();
    let before_us: u64 = said.begun.values().sum::<u64>() - ours;
    assert!(before_us <= 40, "only waits for the go, before we were attached: {before_us}");
}

#[test]
fn bpftrace_measures_the_same_sleeps_within_the_stated_error() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let mut calls = Calls::start(&["--nap", "1ms,3ms", "--count", "60"]);
    let oracle = Oracle::on("syscalls.bt", calls.pid());
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let said = Said::by(oracle);
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
    let bpftrace = installed("bpftrace").then(|| Oracle::on("syscalls.bt", calls.pid()));
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
        let said = Said::by(bpftrace);
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
