//! `casq` from outside: every variant keeps its books, deaths are found out, nonsense is refused, nothing is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

fn casq(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casq"));
    command.args(args);
    command
}

/// Runs to the end, which must come in time.
fn finish(mut child: Child) -> Output {
    let until = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

fn spawn(args: &[&str]) -> Child {
    casq(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn truth(args: &[&str], status: i32) -> Value {
    // The truth of a short run fits a pipe; a long one is read by a thread.
    let mut child = spawn(args);
    let mut out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text).unwrap()
    });
    let output = finish(child);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {errors}");
    serde_json::from_str(&reader.join().unwrap()).unwrap()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} of {value}"))
}

/// Nothing of a run that belongs to `pid` may lie around, and no worker of it may run.
fn nothing_left(pid: u32) {
    for place in ["/dev/shm", "/tmp"] {
        for entry in std::fs::read_dir(place).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            assert!(!name.starts_with(&format!("pulse-trace.casq.{pid}-")), "{place}/{name} was left behind");
        }
    }
    let marker = format!("\"parent\":{pid},");
    let until = Instant::now() + LIMIT;
    while workers(&marker) > 0 {
        assert!(Instant::now() < until, "a worker of {pid} still runs");
        thread::sleep(Duration::from_millis(5));
    }
}

fn workers(marker: &str) -> usize {
    let running = |path: &Path| {
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(marker)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| running(&entry.path())).count()
}

#[test]
fn every_queue_keeps_its_books() {
    let args = [
        "--json",
        "--queue",
        "cas,fetch-add,mutex,futex,crossbeam",
        "--producers",
        "1,3",
        "--pushes",
        "20001",
        "--slots",
        "64",
        "--warmup",
        "500",
        "--size",
        "20",
    ];
    let truth = truth(&args, 0);
    assert_eq!(truth["schema"], "pulse-trace-truth/1");
    assert_eq!((&truth["family"], &truth["holds"]), (&"casq".into(), &true.into()));
    let runs = truth["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 10);
    for run in runs {
        let producers = number(run, "producers");
        assert_eq!(number(run, "sent"), 20001 + 500 * producers, "{}", run["queue"]);
        assert_eq!(number(run, "sent"), number(run, "received"));
        assert_eq!(number(run, "measured"), 20001);
        for nothing in ["lost", "duplicated", "reordered", "corrupt", "given_up", "locks_recovered"] {
            assert_eq!(number(run, nothing), 0, "{nothing}");
        }
        let (service, push) = (number(&run["service"], "sum"), number(&run["push"], "sum"));
        assert!(push >= service, "waiting is part of a push");
        assert_eq!(number(&run["push"], "count") + number(run, "backwards"), 20001);
        let each: u64 =
            run["per_producer"].as_array().unwrap().iter().map(|one| number(one, "measured")).sum();
        assert_eq!(each, 20001);
    }
}

#[test]
fn elapsed_and_cpus_stand_beside_the_counters() {
    let args = ["--producers", "2", "--log", "deferred,mutex", "--pushes", "20000", "--warmup", "100"];
    let truth = truth(&[&["--json"][..], &args].concat(), 0);
    for run in truth["runs"].as_array().unwrap() {
        let whole = run["whole_ns"][0].as_u64().unwrap();
        assert!(whole >= run["elapsed_ns"][0].as_u64().unwrap(), "{run}");
        let counts = &run["producer_counts"];
        if let Some(clock) = counts["task_clock_ns"].as_f64() {
            let told = run["cpus_utilised"].as_f64().unwrap() * whole as f64;
            assert!((told - clock).abs() < 1.0, "{told} {clock}");
        }
        for counter in ["llc_loads", "l1d_loads", "cycles"] {
            assert_ne!(counts[counter], 0, "absent where it is not counted");
        }
    }
    let text = String::from_utf8(finish(spawn(&args)).stdout).unwrap();
    for word in ["elapsed ms", "CPUs utilised", "LLC-loads", "L1-"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn batches_rates_rounds_and_threads() {
    let args = [
        "--json",
        "--queue",
        "cas,fetch-add,mutex,futex,crossbeam",
        "--producers",
        "2",
        "--pushes",
        "4000",
        "--batch",
        "8",
        "--rounds",
        "2",
        "--threads",
        "--warmup",
        "80",
        "--pause",
        "backoff",
        "--pin",
        "0",
    ];
    let runs = truth(&args, 0);
    for run in runs["runs"].as_array().unwrap() {
        assert_eq!((number(run, "received"), &run["mode"]), (2 * (4000 + 160), &"threads".into()));
        assert_eq!(number(&run["push"], "count") + number(run, "backwards"), 2 * 500, "a sample per batch");
    }
    let paced =
        truth(&["--json", "--producers", "2", "--pushes", "400", "--rate", "2000", "--warmup", "20ms"], 0);
    let elapsed = paced["runs"][0]["elapsed_ns"][0].as_u64().unwrap();
    assert!(
        elapsed >= 90_000_000,
        "200 pushes of one producer at 2000 a second take 100 ms, not {elapsed} ns"
    );
}

#[test]
fn every_log_holds_every_push() {
    let place = std::env::temp_dir().join(format!("casq-test-{}", std::process::id()));
    std::fs::create_dir(&place).unwrap();
    let prefix = place.join("s").into_os_string().into_string().unwrap();
    let args = [
        "--json",
        "--log",
        "none,deferred,mutex,per-thread",
        "--producers",
        "3",
        "--pushes",
        "9000",
        "--warmup",
        "10",
        "--samples",
        &prefix,
    ];
    let truth = truth(&args, 0);
    for (run, files) in truth["runs"].as_array().unwrap().iter().zip([0, 3, 1, 3]) {
        let log = run["log"].as_str().unwrap();
        let (mut lines, mut found) = (0, 0);
        for entry in std::fs::read_dir(&place).unwrap().flatten() {
            if entry.file_name().to_str().unwrap().contains(&format!("3p.{log}.")) {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                assert_eq!(text.lines().next(), Some("producer,sequence,service,push"));
                assert!(
                    text.lines().skip(1).all(|line| line
                        .split(',')
                        .filter(|n| n.parse::<u64>().is_ok())
                        .count()
                        == 4)
                );
                lines += text.lines().count() as u64 - 1;
                found += 1;
            }
        }
        assert_eq!(found, files, "{log}");
        assert_eq!(lines, if files == 0 { 0 } else { 9000 - number(run, "backwards") }, "{log}");
    }
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_producer_that_dies_inside_a_push_is_found_out() {
    for queue in ["cas", "fetch-add", "futex", "mutex"] {
        let args = [
            "--json",
            "--queue",
            queue,
            "--kill",
            "1",
            "--producers",
            "3",
            "--pushes",
            "30000",
            "--slots",
            "64",
        ];
        let truth = truth(&args, 0);
        let run = &truth["runs"][0];
        assert_eq!(run["dead"], serde_json::json!([1]), "{queue}");
        assert_eq!(number(run, "sent"), number(run, "received"), "{queue}");
        let found = (number(run, "given_up"), number(run, "locks_recovered"));
        assert_eq!(found, if queue == "mutex" { (0, 1) } else { (1, 0) }, "{queue}");
    }
}

/// The worker processes of a run, as soon as there are `count`.
fn worker_pids(parent: u32, count: usize) -> Vec<i32> {
    let marker = format!("\"parent\":{parent},");
    let until = Instant::now() + LIMIT;
    loop {
        let pids: Vec<i32> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&command).contains(&marker)
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        if pids.len() == count {
            return pids;
        }
        assert!(Instant::now() < until, "the workers do not appear");
        thread::sleep(Duration::from_millis(2));
    }
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Starts with `ready` on standard output before anything else, and waits for it: from there on everybody is set up.
/// (The shell gives descriptor 3, and becomes the program.)
fn spawn_ready(args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" --ready-fd 3 3>&1", env!("CARGO_BIN_EXE_casq")])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, out)
}

/// The truth of a child that was told to stop.
fn last_words(mut out: BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_producer_killed_from_outside_ends_in_a_report_and_not_in_silence() {
    // A rate that would take minutes: only the death can end this producer's part so soon; Ctrl-C ends the rest.
    let args = ["--json", "--producers", "2", "--pushes", "1000000", "--rate", "1000", "--warmup", "10"];
    let (child, out) = spawn_ready(&args);
    let pid = child.id();
    kill(worker_pids(pid, 2)[0], Signal::KILL);
    thread::sleep(Duration::from_millis(100));
    kill(pid as i32, Signal::INT);
    let truth = last_words(out);
    finish(child);
    assert_eq!(truth["dead"].as_array().unwrap().len(), 1);
    assert_eq!((&truth["interrupted"], &truth["holds"]), (&true.into(), &true.into()));
    assert_eq!((number(&truth, "lost"), number(&truth, "duplicated")), (0, 0));
    nothing_left(pid);
}

/// Without Ctrl-C the work of the dead one stays undone, and the status says so.
#[test]
fn an_unexpected_death_is_a_fault() {
    let args = ["--json", "--producers", "2", "--pushes", "4000", "--rate", "1000", "--warmup", "10"];
    let (child, out) = spawn_ready(&args);
    kill(worker_pids(child.id(), 2)[1], Signal::KILL);
    let truth = last_words(out);
    assert_eq!(finish(child).status.code(), Some(1));
    assert_eq!((&truth["interrupted"], &truth["holds"]), (&false.into(), &false.into()));
    assert_eq!(number(&truth, "received"), number(&truth, "sent"));
}

/// A stopped producer is alive: the run waits for it as long as it was told, and then says what is wrong.
#[test]
fn a_stopped_producer_ends_the_run_with_its_patience() {
    let args = ["--producers", "1", "--pushes", "1000000", "--rate", "1000", "--patience", "2s"];
    let (child, _out) = spawn_ready(&args);
    let pid = child.id();
    kill(worker_pids(pid, 1)[0], Signal::STOP);
    let output = finish(child);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("error: cannot go on receiving: nothing has arrived for 2s"), "{errors}");
    nothing_left(pid);
}

#[test]
fn killing_the_consumer_leaves_nothing_behind() {
    for queue in ["cas", "futex"] {
        let mut child =
            spawn(&["--queue", queue, "--producers", "3", "--pushes", "1000000000", "--log", "per-thread"]);
        let pid = child.id();
        worker_pids(pid, 3);
        thread::sleep(Duration::from_millis(50));
        child.kill().unwrap();
        child.wait().unwrap();
        nothing_left(pid);
    }
}

#[test]
fn ctrl_c_still_prints_what_was_done() {
    let args = ["--json", "--queue", "fetch-add", "--producers", "2", "--pushes", "1000000000"];
    let (child, out) = spawn_ready(&args);
    let pid = child.id();
    thread::sleep(Duration::from_millis(50));
    kill(pid as i32, Signal::INT);
    let truth = last_words(out);
    assert_eq!(finish(child).status.code(), Some(0));
    assert_eq!((&truth["interrupted"], &truth["holds"]), (&true.into(), &true.into()));
    assert_eq!(number(&truth, "sent"), number(&truth, "received"));
    nothing_left(pid);
}

#[test]
fn it_waits_for_the_go() {
    // The shell gives it the descriptors: 3 is its own standard output, 4 its standard input.
    let program = env!("CARGO_BIN_EXE_casq");
    let script = "exec \"$0\" --json --producers 1 --pushes 100 --ready-fd 3 --go-fd 4 3>&1 4<&0";
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
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["received"], 10_100);
    assert_eq!(finish(child).status.code(), Some(0));
}

#[test]
fn bad_input_is_refused_with_a_remedy() {
    let big = (1u64 << 40).to_string();
    for bad in [
        &["--size", "0"][..],
        &["--size", &big],
        &["--slots", "0"],
        &["--slots", &big],
        &["--slots", "500"],
        // 64 GiB and more: no /dev/shm of this world's test machines has it.
        &["--slots", "16777216", "--size", "1048576"],
        &["--queue", "quantum"],
        &["--log", "paper"],
        &["--producers", "0"],
        &["--pushes", "0"],
        &["--pushes", &big],
        &["--queue", "fetch-add", "--slots", "8", "--producers", "9"],
        &["--kill", "9", "--producers", "3"],
        &["--kill", "0", "--queue", "crossbeam"],
        &["--pin", "1023"],
        &["--ready-fd", "77"],
        &["--log", "per-thread", "--samples", "/nonexistent/x", "--producers", "1"],
        &["worker", "{}"],
        &["--bogus"],
    ] {
        let output = finish(spawn(bad));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {errors}");
        assert!(errors.starts_with("error: ") || errors.contains("\nerror: "), "{bad:?}: {errors}");
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
}

#[test]
fn the_table_is_for_reading() {
    let output = finish(spawn(&["--producers", "1,2", "--pushes", "2000"]));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in
        ["reading it twice costs", "p99.99", "messages/s", "task-clock", "|@", "once and in order"]
    {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert!(output.stderr.is_empty(), "progress is for terminals");
}
