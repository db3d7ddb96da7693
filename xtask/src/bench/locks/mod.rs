//! `cargo xtask bench locks`: by how much watching locks slows programs down, with this tool and with others.

mod methods;
mod page;
mod samples;
mod spin;
mod truth;
mod workload;

use std::{collections::BTreeMap, fs, path::Path, thread};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    ground::{Circumstances, Options, directory, publish},
    readings::Statistics,
    running::Bench,
    spins::Spins,
};
use crate::{
    process::{capture, command},
    say, workspace,
};
use methods::{METHODS, Method, Scene};
use spin::Spin;
use truth::Distribution;
use workload::{RESTATED, Stage, Truth, WORKLOADS, Workload};

const PAGE: &str = "docs/results/locks.md";
/// Others are so much slower that few rounds tell.
const PEERS_ROUNDS: u32 = 3;

/// Measurements of one method on one workload.
#[derive(Default)]
struct Cell {
    /// Time for as much work over the time alone in the same round.
    slowdown: Vec<f64>,
    /// Futex calls that our tool counted.
    futex_calls: Vec<f64>,
    contended: Vec<f64>,
    /// Percent of all acquisitions.
    share: Vec<f64>,
    /// From the go until the probes were out, ms.
    out_ms: Vec<f64>,
    /// Spin counts, as the method sees them.
    spins: Spins,
}

/// By workload and method.
type Cells = BTreeMap<(&'static str, &'static str), Cell>;

/// Everything that the page tells.
#[derive(Default)]
struct Outcome {
    cells: Cells,
    /// Times alone, ms, by workload.
    alone: BTreeMap<&'static str, Vec<f64>>,
    distribution: Distribution,
    /// Spin counts of a program that counts them itself.
    own: Spins,
}

/// Runs the benchmark of locks.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let tool = options.prepare("locks", &["bpftrace", "strace", "perf"])?;
    let dir = directory("locks")?;
    let stage = Stage::set(&dir, &workspace::target()?.join("release"))?;
    let circumstances = Circumstances::before();
    let outcome = measure(&options, &tool, &dir, &stage)?;
    fs::remove_dir_all(&dir)?;
    let page = page::page(&outcome, (options.rounds, PEERS_ROUNDS), &circumstances.after().sentence("locks"));
    say::out(&page);
    publish(PAGE, &page)
}

fn measure(options: &Options, tool: &Path, dir: &Path, stage: &Stage) -> Result<Outcome> {
    let statistics = Statistics::take()?;
    let bench = Bench { tool, dir, statistics: &statistics };
    let mut outcome = Outcome::default();
    let spin = find_spin(tool, stage)?;
    for round in 1..=options.rounds {
        say::note(format_args!("round {round} of {}", options.rounds));
        for workload in &WORKLOADS {
            let mut alone = 0.0;
            for method in METHODS.iter().filter(|method| method.is_close || round <= PEERS_ROUNDS) {
                if method.fewer_of(workload) == 0 {
                    continue;
                }
                // What may matter by a percent is held against a run right before it.
                if method.is_close {
                    alone = stage.start(workload, workload.count)?.run()?.elapsed_ns;
                    outcome.alone.entry(workload.name).or_default().push(alone / 1e6);
                }
                let cell = outcome.cells.entry((workload.name, method.name)).or_default();
                watch(&bench, stage, &spin, (workload, method), alone, cell)
                    .with_context(|| format!("{} under {}", workload.name, method.name))?;
            }
        }
        let restated = stage.start(&RESTATED, RESTATED.count)?.run()?;
        outcome.own.add(&restated.said["cells"][0]["lock"]["spins"]);
        outcome.distribution.measure(&bench, stage, &spin).context("shards")?;
    }
    Ok(outcome)
}

/// Finds the probe sites of the spin counts in the C library of the workloads, with our tool.
fn find_spin(tool: &Path, stage: &Stage) -> Result<Spin> {
    let started = stage.start(&WORKLOADS[0], 1)?;
    let pid = started
        .pids()
        .first()
        .context("cannot look for spin counts: the workload runs no process; try it by itself")?
        .to_string();
    let spin = Spin::read(&capture(command(tool).args(["probes", "--plan", "-p", &pid]))?)?;
    spin.name(&stage.library(), &stage.named_library())?;
    Ok(spin)
}

fn watch(
    bench: &Bench<'_>,
    stage: &Stage,
    spin: &Spin,
    (workload, method): (&Workload, &Method),
    alone: f64,
    cell: &mut Cell,
) -> Result<()> {
    let fewer = method.fewer_of(workload);
    let library = if method.needs_names { stage.named_library() } else { stage.library() };
    let started = stage.start_with(workload, workload.count / fewer, &library)?;
    let (pids, json) = (started.pids(), bench.json());
    let (library, json) = (library.to_string_lossy(), json.to_string_lossy());
    let scene = Scene { pids: &pids, library: &library, json: &json, programs: stage.programs(), spin };
    let running = bench.start(&(method.words)(&scene), method.ready)?;
    thread::sleep(method.settling);
    let truth = started.run()?;
    cell.slowdown.push(truth.elapsed_ns * fewer as f64 / alone);
    let left = if method.ends_by_itself { running.finish()? } else { running.stop()? };
    if let Ok(said) = serde_json::from_str(&left.json) {
        cell.note(&said, &truth);
    }
    Ok(())
}

impl Cell {
    /// Adds the counts of our tool's session.
    fn note(&mut self, said: &Value, truth: &Truth) {
        let ran = |probe: &str| {
            said["session"]["probes"].as_array().is_some_and(|all| all.iter().any(|it| it == probe))
        };
        if ran("futex") {
            self.futex_calls.push(sum(rows(said, "futex"), "count"));
        }
        if ran("mutex") || !said["overhead"]["inline"].is_null() {
            self.note_contended(said, truth);
        }
        if let Some(at) = said["overhead"]["budget"]["detached_at_unix_ns"].as_f64() {
            self.out_ms.push((at - truth.go_unix_ns) / 1e6);
        }
    }

    fn note_contended(&mut self, said: &Value, truth: &Truth) {
        let contended = sum(mutexes(said).chain(rows(said, "inline")), "contended");
        self.contended.push(contended);
        for counted in mutexes(said).chain(rows(said, "inline")) {
            self.spins.add(&counted["spin_count"]);
        }
        let attempts = truth.said["cells"][0]["attempts"].as_object();
        let acquisitions: f64 = attempts.into_iter().flatten().filter_map(|(_, count)| count.as_f64()).sum();
        if acquisitions > 0.0 {
            self.share.push(100.0 * contended / acquisitions);
        }
    }
}

fn sum<'a>(rows: impl Iterator<Item = &'a Value>, key: &str) -> f64 {
    rows.filter_map(|row| row[key].as_u64()).sum::<u64>() as f64
}

/// All locks that tier 1 saw.
fn mutexes(said: &Value) -> impl Iterator<Item = &Value> {
    rows(said, "mutex")
}

/// Rows of one kind, of all processes.
fn rows<'a>(said: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let processes = said["processes"].as_array().into_iter().flatten();
    processes.flat_map(move |process| process[kind].as_array().into_iter().flatten())
}
