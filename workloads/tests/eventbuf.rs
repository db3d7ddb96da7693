//! `eventbuf` from outside: every variant accounts for every event, a kill leaves nothing, nonsense is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn spawn(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_eventbuf"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to the end, which must come in time; the output is read meanwhile, however long it is.
fn finish(mut child: Child) -> Output {
    let mut out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes).unwrap()
    });
    let until = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut output = child.wait_with_output().unwrap();
    output.stdout = reader.join().unwrap();
    output
}

fn truth(args: &[&str]) -> Value {
    let output = finish(spawn(&[&["--json"], args].concat()));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} of {value}"))
}

/// Checks that hold for every run.
fn check(run: &Value) {
    assert_eq!(run["holds"], true, "{run}");
    assert_eq!(number(run, "accepted") + number(run, "full") + number(run, "open"), number(run, "offered"));
    assert_eq!(number(run, "accepted"), number(run, "drained") + number(run, "left"));
    assert!(number(run, "cas_successes") <= number(run, "cas_attempts"));
    let packed = run["impl"] == "packed";
    assert_eq!(number(run, "cas_attempts") > 0, packed);
    assert_eq!(number(run, "locks") == 0, packed);
}

#[test]
fn every_implementation_accounts_for_every_event() {
    let truth = truth(&["--threads", "1,2,4", "--events", "20000", "--warmup", "100", "--store", "off,on"]);
    assert_eq!(truth["schema"], "pulse-trace-truth/1");
    assert_eq!((&truth["family"], &truth["holds"]), (&"eventbuf".into(), &true.into()));
    let runs = truth["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3 * 3 * 2);
    for run in runs {
        check(run);
        // Warm-up of each thread, the throughput pass, and a quarter for the latency pass.
        assert_eq!(number(run, "offered"), number(run, "threads") * 100 + 20_000 + 5000);
        assert_eq!(number(&run["latency"], "count"), 5000);
        assert_eq!(number(run, "bytes_per_endpoint") == 8, run["impl"] == "packed");
    }
}

#[test]
fn every_option_keeps_the_books() {
    for args in [
        &["--cas", "weak,strong", "--padding", "off,on", "--impl", "packed"][..],
        &["--order", "acq-rel,seq-cst", "--impl", "packed"],
        &["--stats", "local,relaxed,seqcst", "--prefetch", "off,on"],
        &["--batch", "1,7", "--numa", "--pin", "0", "--rounds", "2"],
        &["--warmup", "5ms", "--drain-every", "100", "--store", "on", "--batch", "3"],
    ] {
        let args = [&["--threads", "2", "--events", "6000"], args].concat();
        for run in truth(&args)["runs"].as_array().unwrap() {
            check(run);
        }
    }
}

/// One hot endpoint that holds less than a thread puts in before it takes out: refusals and opened breakers, and the
/// books still agree.
#[test]
fn a_flood_is_refused_and_counted() {
    let args = [
        "--threads",
        "4",
        "--events",
        "40000",
        "--active",
        "1",
        "--capacity",
        "4",
        "--drain-every",
        "64",
        "--threshold",
        "3",
        "--cooldown",
        "1",
        "--store",
        "on",
    ];
    let truth = truth(&args);
    for run in truth["runs"].as_array().unwrap() {
        check(run);
        assert!(number(run, "full") > 0 && number(run, "trips") > 0 && number(run, "open") > 0, "{run}");
    }
}

/// One thread meets no other: every exchange succeeds, no lock is found held.
#[test]
fn a_single_thread_meets_no_contention() {
    for run in truth(&["--threads", "1", "--events", "5000", "--cas", "strong"])["runs"].as_array().unwrap() {
        assert_eq!(number(run, "cas_attempts"), number(run, "cas_successes"));
        assert_eq!(number(run, "contended"), 0);
    }
}

#[test]
fn ctrl_c_still_prints_what_was_done() {
    let program = env!("CARGO_BIN_EXE_eventbuf");
    let script = "exec \"$0\" --json --threads 3 --events 10000000000 --ready-fd 3 3>&1";
    let mut child = Command::new("sh").args(["-c", script, program]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    thread::sleep(Duration::from_millis(50));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let truth: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&truth["interrupted"], &truth["holds"]), (&true.into(), &true.into()));
}

#[test]
fn a_kill_leaves_nothing_behind() {
    let mut child = spawn(&["--events", "10000000000", "--threads", "3", "--store", "on"]);
    let pid = child.id();
    thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    for place in ["/dev/shm", "/tmp"] {
        for entry in std::fs::read_dir(place).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            assert!(!name.starts_with(&format!("pulse-trace.eventbuf.{pid}-")), "{place}/{name}");
        }
    }
    // All of it was threads of one process, which is gone.
    assert!(!std::path::Path::new(&format!("/proc/{pid}/task")).exists());
}

#[test]
fn it_waits_for_the_go() {
    let program = env!("CARGO_BIN_EXE_eventbuf");
    let script =
        "exec \"$0\" --json --threads 2 --events 1000 --impl packed --ready-fd 3 --go-fd 4 3>&1 4<&0";
    let mut child = Command::new("sh")
        .args(["-c", script, program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let go = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none(), "it started without the go");
    rustix::io::write(&go, b"g").unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["holds"], true);
    assert!(child.wait().unwrap().success());
}

#[test]
fn bad_input_is_refused_with_a_remedy() {
    let big = (1u64 << 40).to_string();
    for bad in [
        &["--capacity", "0"][..],
        &["--capacity", "100"],
        &["--capacity", "4096"],
        &["--endpoints", "0"],
        &["--endpoints", &big],
        &["--events", "0"],
        &["--events", &big],
        &["--threads", "0"],
        &["--impl", "quantum"],
        &["--threshold", "64"],
        &["--active", "1001"],
        &["--store", "on", "--endpoints", "1000000", "--capacity", "2048"],
        &["--pin", "1023"],
        &["--go-fd", "77"],
        &["--bogus"],
    ] {
        let output = finish(spawn(bad));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {errors}");
        assert!(errors.starts_with("error: "), "{bad:?}: {errors}");
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
}

#[test]
fn the_table_is_for_reading() {
    let output = finish(spawn(&["--threads", "1,2", "--events", "3000", "--padding", "off,on"]));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "throughput",
        "/ standard",
        "% of one thread",
        "p99.9",
        "lines per operation",
        "padding on",
        "accounted",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert!(output.stderr.is_empty(), "progress is for terminals");
}
