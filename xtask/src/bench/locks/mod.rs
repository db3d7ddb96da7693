//! `cargo xtask bench locks`: by how much watching locks slows programs down, with this tool and with others.

mod workload;

use std::{collections::BTreeMap, fmt::Write as _, fs, thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    ground::{Circumstances, Options, directory, publish},
    readings::Statistics,
    running::{Bench, OURS, Ready},
    spread::Spread,
};
use crate::{process, say, workspace};
use workload::{Stage, WORKLOADS, Workload};

const PAGE: &str = "docs/results/locks.md";
/// From the first sign of life of a tool until all of its probes are in.
const SETTLING: Duration = Duration::from_secs(1);

/// A way to watch locks.
struct Method {
    name: &'static str,
    words: fn(&Scene<'_>) -> Vec<String>,
    ready: Ready,
    /// The largest slow-down that is promised, by workload in the order of [`WORKLOADS`].
    goals: [Option<f64>; 3],
}

/// What a method is to be started on.
struct Scene<'a> {
    pids: &'a [u32],
    library: &'a str,
    json: &'a str,
}

const METHODS: [Method; 7] = [
    Method {
        name: "tier 0: pulse-trace --probes futex",
        words: |scene| ours(scene, &["--probes", "futex"]),
        ready: Ready::ProgramsRun,
        goals: [Some(1.08), Some(1.25), Some(1.01)],
    },
    Method {
        name: "tier 1: pulse-trace --probes mutex",
        words: |scene| ours(scene, &["--probes", "mutex"]),
        ready: Ready::ProgramsRun,
        goals: [Some(1.3), Some(1.3), Some(1.3)],
    },
    Method {
        name: "tier 1, --budget unlimited",
        words: |scene| ours(scene, &["--probes", "mutex", "--budget", "unlimited"]),
        ready: Ready::ProgramsRun,
        goals: [None; 3],
    },
    Method {
        name: "bpftrace, entry of pthread_mutex_lock",
        words: |scene| bpftrace(scene, "uprobe"),
        ready: Ready::Says("Attaching"),
        goals: [None; 3],
    },
    Method {
        name: "bpftrace, its return",
        words: |scene| bpftrace(scene, "uretprobe"),
        ready: Ready::Says("Attaching"),
        goals: [None; 3],
    },
    Method {
        name: "strace -c -f",
        words: |scene| with_pids(["strace", "-c", "-f"], scene),
        ready: Ready::Says("attached"),
        goals: [None; 3],
    },
    Method {
        name: "perf trace -s",
        words: |scene| {
            let pids: Vec<String> = scene.pids.iter().map(u32::to_string).collect();
            ["perf", "trace", "-s", "-p", &pids.join(",")].map(str::to_owned).to_vec()
        },
        ready: Ready::BuffersMapped,
        goals: [None; 3],
    },
];

fn ours(scene: &Scene<'_>, probes: &[&str]) -> Vec<String> {
    let mut words = with_pids([OURS, "attach", "--plain"], scene);
    words.extend(["--quiet", "--json", scene.json].iter().chain(probes).map(|word| (*word).to_owned()));
    words
}

fn with_pids(words: [&str; 3], scene: &Scene<'_>) -> Vec<String> {
    let pids = scene.pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
    words.iter().map(|word| (*word).to_owned()).chain(pids).collect()
}

fn bpftrace(scene: &Scene<'_>, kind: &str) -> Vec<String> {
    let script = format!("{kind}:{}:pthread_mutex_lock {{ @ = count(); }}", scene.library);
    ["bpftrace", "-e", &script].map(str::to_owned).to_vec()
}

/// What was measured of one method on one workload.
#[derive(Default)]
struct Cell {
    slowdown: Vec<f64>,
    /// Ours only: contended acquisitions, and when the probes were taken out, ms.
    contended: Vec<f64>,
    out_ms: Vec<f64>,
}

type Cells = BTreeMap<(&'static str, &'static str), Cell>;

/// The benchmark.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let tool = options.prepare("locks", &["bpftrace", "strace", "perf"])?;
    process::run(&mut process::cargo([
        "build",
        "--release",
        "--package",
        "pulse-trace-workloads",
        "--bin",
        "shmemq",
    ]))?;
    let dir = directory("locks")?;
    let stage = Stage::set(&dir, &workspace::target()?.join("release"))?;
    let circumstances = Circumstances::before();
    let statistics = Statistics::take()?;
    let bench = Bench { tool: &tool, dir: &dir, statistics: &statistics };
    let mut cells = Cells::new();
    let mut bare: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 1..=options.rounds {
        say::note(format_args!("round {round} of {}", options.rounds));
        for workload in &WORKLOADS {
            let alone = stage.start(workload)?.run()?;
            bare.entry(workload.name).or_default().push(alone / 1e6);
            for method in &METHODS {
                let cell = cells.entry((workload.name, method.name)).or_default();
                watch(&bench, &stage, workload, method, alone, cell)
                    .with_context(|| format!("{} under {}", workload.name, method.name))?;
            }
        }
    }
    drop(statistics);
    fs::remove_dir_all(&dir)?;
    let page = page(&cells, &bare, options.rounds, &circumstances.after().sentence("locks"));
    say::out(&page);
    publish(PAGE, &page)
}

fn watch(
    bench: &Bench<'_>,
    stage: &Stage,
    workload: &Workload,
    method: &Method,
    alone: f64,
    cell: &mut Cell,
) -> Result<()> {
    let started = stage.start(workload)?;
    let (pids, library, json) = (started.pids(), stage.library(), bench.json());
    let scene = Scene { pids: &pids, library: &library.to_string_lossy(), json: &json.to_string_lossy() };
    let running = bench.start(&(method.words)(&scene), method.ready)?;
    thread::sleep(SETTLING);
    cell.slowdown.push(started.run()? / alone);
    let left = running.finish()?;
    let Ok(said) = serde_json::from_str::<serde_json::Value>(&left.json) else { return Ok(()) };
    let mutexes = said["processes"].as_array().into_iter().flatten();
    let mutexes = mutexes.flat_map(|process| process["mutex"].as_array().into_iter().flatten());
    cell.contended.push(mutexes.filter_map(|mutex| mutex["contended"].as_f64()).sum());
    let at = said["overhead"]["budget"]["detached_at_unix_ns"].as_u64();
    let begin = said["session"]["start_unix_ns"].as_u64();
    if let (Some(at), Some(begin)) = (at, begin) {
        cell.out_ms.push(at.saturating_sub(begin) as f64 / 1e6);
    }
    Ok(())
}

fn page(cells: &Cells, bare: &BTreeMap<&str, Vec<f64>>, rounds: u32, made: &str) -> String {
    let mut page = format!(
        "# What watching locks costs\n\n{made} {rounds} rounds, medians, with smallest and largest.\n\nIn each round every workload \
         runs alone and then under each method in turn, by its own clock, with a copy of the C library that nobody else uses. The \
         slow-down is the time under the method over the time alone in the same round. `adaptive` and `plain` are `shmemq` with \
         256 bytes, two processes that fight for two locks; `uncontended` is one thread that takes a lock which nobody else \
         wants.\n\n| method | adaptive | plain | uncontended |\n| --- | ---: | ---: | ---: |\n",
    );
    let alone = |workload: &Workload| {
        let spread = bare.get(workload.name).and_then(|times| Spread::of(times.iter().copied()));
        spread.map_or_else(|| "-".to_owned(), |it| format!("{:.0} ms", it.median))
    };
    // Writing into a string cannot fail.
    let _ = writeln!(page, "| untraced | {} |", WORKLOADS.each_ref().map(alone).join(" | "));
    for method in &METHODS {
        let shown = |workload: &Workload| {
            let cell = cells.get(&(workload.name, method.name));
            cell.and_then(|cell| Spread::of(cell.slowdown.iter().copied())).map_or_else(
                || "-".to_owned(),
                |it| format!("{:.2} ({:.2} to {:.2})", it.median, it.min, it.max),
            )
        };
        let _ = writeln!(page, "| {} | {} |", method.name, WORKLOADS.each_ref().map(shown).join(" | "));
    }
    page += "\n## Goals\n\n| goal | measured | met |\n| --- | ---: | --- |\n";
    for method in &METHODS {
        for (workload, goal) in WORKLOADS.iter().zip(method.goals) {
            let cell = cells.get(&(workload.name, method.name));
            let (Some(goal), Some(spread)) =
                (goal, cell.and_then(|it| Spread::of(it.slowdown.iter().copied())))
            else {
                continue;
            };
            let met = if spread.median <= goal { "yes" } else { "**no**" };
            let _ = writeln!(
                page,
                "| {}, {}: at most {goal} | {:.2} | {met} |",
                method.name, workload.name, spread.median
            );
        }
    }
    page + &seen(cells)
}

/// What our probes saw, and when they were taken out.
fn seen(cells: &Cells) -> String {
    let mut text = "\n## What was seen\n\n| method, workload | contended acquisitions | probes out after, ms |\n| --- | ---: | ---: |\n".to_owned();
    for ((workload, method), cell) in
        cells.iter().filter(|(_, cell)| cell.contended.iter().any(|it| *it > 0.0))
    {
        let shown = |values: &[f64]| {
            Spread::of(values.iter().copied()).map_or_else(
                || "-".to_owned(),
                |it| format!("{:.0} ({:.0} to {:.0})", it.median, it.min, it.max),
            )
        };
        let _ =
            writeln!(text, "| {method}, {workload} | {} | {} |", shown(&cell.contended), shown(&cell.out_ms));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_held_against_the_median() {
        let mut cells = Cells::new();
        let (workload, method) = (WORKLOADS[0].name, METHODS[0].name);
        cells.insert((workload, method), Cell { slowdown: vec![1.0, 1.05, 2.0], ..Cell::default() });
        let page_of = |cells: &Cells| page(cells, &BTreeMap::new(), 3, "Made today.");
        assert!(page_of(&cells).contains("adaptive: at most 1.08 | 1.05 | yes |"), "{}", page_of(&cells));
        cells.insert((workload, method), Cell { slowdown: vec![1.1], ..Cell::default() });
        assert!(page_of(&cells).contains("adaptive: at most 1.08 | 1.10 | **no** |"), "{}", page_of(&cells));
    }
}
