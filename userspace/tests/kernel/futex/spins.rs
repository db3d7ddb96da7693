//! A mean of `__spins` that is believed is the mean spin count to ten percent, by the program's own counters.

use std::{fs, path::Path, time::Duration};

use views::export::json::{Export, SpinMean};

use crate::support::{Calls, Tool, compiled, export, installed, need, within};

/// One run may be disturbed by others of the machine; all of them are not.
const RUNS: u32 = 8;
/// Duration that gives enough samples to believe a mean: some 50 come in a second, with pauses.
const MILLISECONDS: &str = "6000";

#[derive(Debug)]
struct Run {
    truth: f64,
    seen: Option<SpinMean>,
    /// Share of the time it could run that its threads had no CPU, as the kernel accounts for them.
    queued: f64,
}

impl Run {
    fn off(&self) -> f64 {
        self.seen.as_ref().map_or(0.0, |seen| (seen.mean / self.truth - 1.0).abs())
    }

    fn is_believed(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.doubt.is_none())
    }
}

/// Numbers of the tool about the program's mutex, and those of the program.
fn run(dir: &Path, arguments: &[&str]) -> Run {
    let program = dir.join("spins");
    let out = dir.join("session.json");
    let mut program = Calls::start_program(&[], &program, arguments);
    let mut tool = Tool::attach(program.pid(), &["--json", out.to_str().unwrap()]);
    program.go();
    let mut queued = 0.0;
    within(Duration::from_secs(120), "the session to end with its target", || {
        queued = share_queued(program.pid()).unwrap_or(queued);
        tool.has_ended()
    });
    let (status, _, said) = tool.end();
    assert!(status.success(), "{said}");
    let truth: serde_json::Value = serde_json::from_str(&program.output()).unwrap();
    let number = |name: &str| truth[name].as_u64().unwrap();
    Run {
        truth: number("spun") as f64 / number("contended") as f64,
        seen: sampled(&export(&out), number("address")),
        queued,
    }
}

/// Share of the time it could run that a process's threads waited for a CPU, by `schedstat`; `None` where it has ended.
fn share_queued(pid: u32) -> Option<f64> {
    let mut sums = [0.0; 2];
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        for (sum, word) in sums.iter_mut().zip(text.split_whitespace()) {
            *sum += word.parse::<f64>().unwrap();
        }
    }
    let [run, wait] = sums;
    (run > 0.0).then(|| wait / (run + wait))
}

fn sampled(export: &Export, address: u64) -> Option<SpinMean> {
    let futexes = export.processes.iter().flat_map(|process| &process.futex);
    let mut seen = futexes.filter(|it| it.address == address).filter_map(|it| it.mutex.as_ref());
    seen.find_map(|seen| seen.spin_mean.clone())
}

/// Runs until a mean is believed; every one that is has to be right.
fn believed(arguments: &[&str]) {
    need!(cfg!(target_arch = "x86_64"), "the program pauses as x86-64 does");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    compiled(dir.path(), "cc", "spins.c", &["-pthread"]).unwrap();
    let mut doubted = Vec::new();
    for _ in 0..RUNS {
        let run = run(dir.path(), arguments);
        if run.is_believed() {
            assert!(run.off() <= 0.1, "{:?} and truly {}", run.seen, run.truth);
            return;
        }
        doubted.push(run);
    }
    let quiet = doubted.iter().filter(|run| run.queued < 0.02).count();
    assert!(
        quiet < 4,
        "{quiet} of {RUNS} runs had their CPUs to themselves, and none is believed: {doubted:?}"
    );
    need!(
        false,
        "others of this machine took the program's CPUs in {} of {RUNS} runs",
        doubted.len() - quiet
    );
}

#[test]
fn the_mean_spin_count_of_attempts_is_known_without_a_probe_in_the_program() {
    believed(&["linear", "2", "10000", "8000", MILLISECONDS]);
}

#[test]
fn the_mean_spin_count_with_back_off_is_known_without_a_probe_in_the_program() {
    believed(&["backoff", "2", "10000", "8000", MILLISECONDS]);
}

/// Sixteen threads on few processors: the mean over time is that of pauses, not that of spins.
#[test]
fn what_is_not_the_mean_spin_count_is_not_called_that() {
    need!(cfg!(target_arch = "x86_64"), "the program pauses as x86-64 does");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    compiled(dir.path(), "cc", "spins.c", &["-pthread"]).unwrap();
    let mut checked = 0;
    for kind in ["linear", "backoff"] {
        let run = run(dir.path(), &[kind, "16", "300", "600", "4000"]);
        let Some(seen) = &run.seen else { continue };
        assert!(run.off() <= 0.1 || seen.doubt.is_some(), "{seen:?} and truly {}", run.truth);
        assert!(seen.below.is_none_or(|below| run.truth < below), "{seen:?} and truly {}", run.truth);
        checked += 1;
    }
    assert!(checked > 0, "sixteen threads fought for a lock for 4 s, twice");
}
