//! `syncbench` from outside: what it prints is true, what it compares it compares rightly, what it refuses it explains.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// As hasty as can be: what is checked does not depend on times.
const HASTY: [&str; 8] =
    ["--json", "--warmup", "1", "--measure", "5ms", "--samples", "10", "--total-steps=1000"];

/// Nothing here takes longer, however loaded the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn syncbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.stdin(Stdio::null());
    command
}

/// A directory of its own, removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("syncbench-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn truth(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(
        text.lines().count(),
        1,
        "stdout: {text}\nstderr: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&text).unwrap()
}

fn wait(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it did not end by itself");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn sum(value: &Value) -> u64 {
    value.as_object().unwrap().values().map(|part| part.as_u64().unwrap()).sum()
}

fn check_benchmark(result: &Value) {
    let name = result["name"].as_str().unwrap();
    assert_eq!(result["holds"], true, "{name}");
    let done = sum(&result["operations"]);
    assert!(done > 0, "{name}");
    if let Some(counted) = result["counted"].as_u64() {
        assert_eq!(counted, done, "{name}: what the structure counted");
    }
    assert_eq!(result["samples"], 10, "{name}");
    let time = &result["time"];
    let [low, high] = ["low", "high"].map(|edge| number(&time["interval"][edge]));
    assert!(number(&time["min"]) <= low && low <= high && high <= number(&time["max"]), "{name}: {time}");
    assert!(low <= number(&time["median"]) && number(&time["median"]) <= high, "{name}: {time}");
    let overlap = number(&result["overlap"]);
    assert!(overlap > 0.0 && overlap <= 1.0 + 1e-9, "{name}: overlap {overlap}");
    if let Some(race) = result["fairness"].as_object() {
        let shares: u64 =
            race["shares"].as_array().unwrap().iter().map(|share| share.as_u64().unwrap()).sum();
        assert_eq!(shares, result["operations"]["measured"], "{name}: the shares are the work");
        assert!((0.0..=1.0 + 1e-9).contains(&number(&race["jain_median"])), "{name}");
    }
    if name.starts_with("progressive/") {
        assert_eq!(result["operations_per_lap"], 1_000, "{name}: the work is fixed");
    }
    if let Some(target) = result["target"].as_object() {
        let (verdict, below) = (target["verdict"].as_str().unwrap(), number(&target["below_ns"]));
        match verdict {
            "met" => assert!(high < below, "{name}"),
            "missed" => assert!(low >= below, "{name}"),
            // Where strangers had the CPU, a target that looks missed is not called so.
            "unsure" => assert!(high >= below, "{name}"),
            "untested" => assert!(name.starts_with("contention/"), "{name}"),
            other => panic!("{name}: verdict {other}"),
        }
    }
}

#[test]
fn every_benchmark_counts_right_and_the_truth_is_consistent() {
    let output = syncbench().args(HASTY).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "no progress without a terminal");
    let truth = truth(&output);
    assert_eq!(truth["schema"], "pulse-trace-truth/1");
    assert_eq!((&truth["family"], &truth["variant"]), (&"syncbench".into(), &"all".into()));
    assert_eq!((&truth["holds"], &truth["interrupted"]), (&true.into(), &false.into()));
    let results = truth["benchmarks"].as_array().unwrap();
    results.iter().for_each(check_benchmark);
    let all: u64 = results.iter().map(|result| sum(&result["operations"])).sum();
    assert_eq!(truth["operations"], all);
    let with_target = results.iter().filter(|result| result["target"].is_object()).count() as u64;
    assert_eq!(sum(&truth["targets"]), with_target);
    let groups: std::collections::BTreeSet<_> =
        results.iter().map(|result| result["group"].as_str().unwrap()).collect();
    assert_eq!(groups.len(), 12, "{groups:?}");
}

#[test]
fn the_list_names_what_can_be_measured() {
    let list = syncbench().arg("--list").output().unwrap();
    let text = String::from_utf8(list.stdout).unwrap();
    for line in ["atomic/fetch-add", "channel/mpmc/crossbeam", "fairness/tokio-8", "herd/barrier-16"] {
        assert!(text.contains(line), "{line}");
    }
    let name = text.lines().next().unwrap().split_whitespace().next().unwrap();
    let one = truth(&syncbench().args(HASTY).arg(name).output().unwrap());
    assert!(one["benchmarks"].as_array().unwrap().iter().any(|result| result["name"] == name));
}

#[test]
fn the_table_shows_target_and_verdict_side_by_side() {
    let mut args = HASTY.to_vec();
    args.retain(|arg| *arg != "--json");
    let output = syncbench().args(args).args(["mutex/std", "fairness/std-2"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.contains("mutex/std")).unwrap();
    assert!(row.contains("< 20.0 ns") && ["met", "missed", "unsure"].iter().any(|word| row.contains(word)));
    assert!(text.contains("fairness, lap by lap"), "{text}");
    assert!(text.contains("targets: "), "{text}");
}

/// Saves a baseline of two benchmarks and multiplies what it says by a factor.
fn doctored(scratch: &Scratch, factor: f64) -> PathBuf {
    let path = scratch.file("baseline.json");
    let saved = syncbench()
        .args(HASTY)
        .args(["mutex/std", "atomic/load", "--save-baseline"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(saved.status.success());
    let mut baseline: Value = serde_json::from_reader(File::open(&path).unwrap()).unwrap();
    for saved in baseline["benchmarks"].as_object_mut().unwrap().values_mut() {
        let rounds = saved["rounds"].as_array_mut().unwrap();
        for value in rounds.iter_mut().flat_map(|round| round.as_array_mut().unwrap()) {
            *value = (number(value) * factor).into();
        }
    }
    std::fs::write(&path, baseline.to_string()).unwrap();
    path
}

fn compared(path: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let output = syncbench()
        .args(HASTY)
        .args(["mutex/std", "atomic/load", "mutex/tokio", "--baseline"])
        .arg(path)
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), truth(&output))
}

#[test]
fn a_regression_beyond_noise_fails_and_is_named() {
    let scratch = Scratch::new("slower");
    let path = doctored(&scratch, 0.001);
    let before = std::fs::read(&path).unwrap();
    let (code, truth) = compared(&path, &["--save-baseline", path.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert_eq!(truth["comparison"]["slower"], serde_json::json!(["atomic/load", "mutex/std"]));
    assert_eq!(truth["comparison"]["new"], serde_json::json!(["mutex/tokio"]));
    assert_eq!(truth["holds"], true, "a regression is no miscount");
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "a baseline is not overwritten by a regression from it"
    );
    assert_eq!(scratch.entries(), ["baseline.json"]);
}

#[test]
fn an_improvement_is_named_and_no_failure() {
    let scratch = Scratch::new("faster");
    let (code, truth) = compared(&doctored(&scratch, 1_000.0), &[]);
    assert_eq!(code, Some(0));
    assert_eq!(truth["comparison"]["faster"], serde_json::json!(["atomic/load", "mutex/std"]));
    assert_eq!(truth["comparison"]["differs"], serde_json::json!([]));
}

#[test]
fn what_lies_within_the_noise_allowed_is_the_same() {
    let scratch = Scratch::new("same");
    let (code, truth) = compared(&doctored(&scratch, 1.0), &["--noise", "1000"]);
    // Slower by more than ten times is what would have to happen by chance.
    assert_eq!(code, Some(0), "{}", truth["comparison"]);
    assert_eq!(truth["comparison"]["slower"], serde_json::json!([]));
}

/// A regression run as a pipeline makes one: short, and against the machine as it is.
fn against_itself(more: &[&str]) -> (Option<i32>, Value) {
    let output = syncbench()
        .args(["--json", "--warmup", "20ms", "--measure", "100ms", "--samples", "200", "--baseline-here"])
        .args(REGRESSION)
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), truth(&output))
}

/// One of each kind that a single thread does: what others do to the CPU meanwhile falls on both laps of a pair.
const REGRESSION: [&str; 4] =
    ["atomic/fetch-add", "mutex/std", "mutex/parking-lot", "channel/in-out/crossbeam"];

#[test]
fn a_run_against_itself_is_no_regression() {
    let (code, truth) = against_itself(&[]);
    assert_eq!(code, Some(0), "{}", truth["benchmarks"]);
    assert_eq!(truth["comparison"]["slower"], serde_json::json!([]));
    assert_eq!((&truth["comparison"]["same"], &truth["holds"]), (&4.into(), &true.into()));
}

#[test]
fn thirty_percent_more_work_is_a_regression() {
    let (code, truth) = against_itself(&["--inject", "30"]);
    assert_eq!(truth["comparison"]["slower"], serde_json::json!(REGRESSION), "{}", truth["benchmarks"]);
    assert_eq!((code, &truth["holds"]), (Some(1), &true.into()), "slower, and no miscount");
}

#[test]
fn runs_that_should_not_be_compared_are_flagged() {
    let scratch = Scratch::new("differs");
    let (_, truth) = compared(&doctored(&scratch, 1_000.0), &["--work-inside", "3"]);
    assert_eq!(truth["comparison"]["differs"], serde_json::json!(["--work-inside"]));
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let scratch = Scratch::new("refusals");
    std::fs::write(scratch.file("nonsense"), "not a baseline").unwrap();
    let nonsense = scratch.file("nonsense").display().to_string();
    let missing = scratch.file("missing").display().to_string();
    let deep = scratch.file("no/such/directory").display().to_string();
    let cases: [(&[&str], &str); 16] = [
        (&["no-such-benchmark"], "cannot measure `no-such-benchmark`: "),
        (&["--samples", "0"], "--samples"),
        (&["--samples", "1099511627776"], "--samples"),
        (&["--measure", "0s"], "--measure"),
        (&["--measure", "1099511627776s"], "--measure"),
        (&["--measure", "5"], "has no unit"),
        (&["--total-steps", "0"], "--total-steps"),
        (&["--total-steps", "100000000", "--work-inside", "10000"], "cannot measure laps of that size: "),
        (&["--rounds", "0"], "--rounds"),
        (&["--baseline", &nonsense], "cannot read the baseline "),
        (&["--baseline", &missing], "cannot read the baseline "),
        (&["--save-baseline", &deep], "cannot save the baseline "),
        (&["--inject", "30"], "--baseline-here"),
        (&["--baseline-here", "--baseline", &nonsense], "cannot be used with"),
        (&["--pin", "1023"], "cannot pin to CPU 1023: "),
        (&["--ready-fd", "987"], "cannot use --ready-fd 987: "),
    ];
    for (args, reason) in cases {
        let output = syncbench().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

/// Starts a run that is long enough to be caught in the middle, and waits for its word that it is set up.
fn caught_in_the_middle(scratch: &Scratch) -> Child {
    let (ready_in, ready_out) = rustix::pipe::pipe().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&ready_out).to_string();
    let child = syncbench()
        .args(["--json", "--ready-fd", &number, "--save-baseline", "saved.json", "contention", "channel"])
        .current_dir(&scratch.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(ready_out);
    let mut line = String::new();
    BufReader::new(File::from(ready_in)).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn it_waits_for_the_go_and_not_longer() {
    let (ready_in, ready_out) = rustix::pipe::pipe().unwrap();
    let (go_in, go_out) = rustix::pipe::pipe().unwrap();
    let number = |fd: &std::os::fd::OwnedFd| std::os::fd::AsRawFd::as_raw_fd(fd).to_string();
    let mut child = syncbench()
        .args(HASTY)
        .args(["mutex/std", "--ready-fd", &number(&ready_out), "--go-fd", &number(&go_in)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop((ready_out, go_in));
    let mut line = String::new();
    BufReader::new(File::from(ready_in)).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none(), "it went before the go");
    File::from(go_out).write_all(b"g").unwrap();
    let output = wait(child);
    assert!(output.status.success());
    assert_eq!(truth(&output)["benchmarks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_stop_is_obeyed_and_still_reported() {
    let scratch = Scratch::new("stop");
    let child = caught_in_the_middle(&scratch);
    std::thread::sleep(Duration::from_millis(200));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = wait(child);
    let truth = truth(&output);
    assert_eq!((output.status.code(), &truth["interrupted"]), (Some(0), &true.into()));
    assert_eq!(truth["holds"], true);
    assert!(truth["benchmarks"].as_array().unwrap().len() < 40, "it went on to the end");
    assert!(truth["notes"].to_string().contains("interrupted"), "{}", truth["notes"]);
    assert!(scratch.entries().is_empty(), "half a run was saved: {:?}", scratch.entries());
}

#[test]
fn killed_it_leaves_nothing() {
    let scratch = Scratch::new("kill");
    let mut child = caught_in_the_middle(&scratch);
    std::thread::sleep(Duration::from_millis(200));
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(scratch.entries().is_empty(), "{:?}", scratch.entries());
    let named = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mine = format!("{pid}");
        entries.filter(|entry| entry.file_name().to_string_lossy().contains(&mine)).count()
    };
    assert_eq!(named("/dev/shm"), 0);
}
