//! `cargo xtask bench inline`: what counting inside of a process costs, and whether it sees the true distribution.

mod program;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    ground::{Circumstances, Options, directory, publish},
    readings::Statistics,
    running::{Bench, OURS, Ready},
    spins::Spins,
    spread::Spread,
};
use crate::{
    process::{self, command},
    say, workspace,
};
use program::Program;

const PAGE: &str = "docs/results/inline.md";
/// The loop of one round takes about a third of a second alone.
const TRIPS: &str = "300000";
const PER_KIND: &str = "--inline";
const PER_LOCK: &str = "--inline=per-lock";
const LOOPS: u32 = 25_000_000;
/// From the first sign of life of a tool until all of its probes are in.
const SETTLING: Duration = Duration::from_secs(1);

/// Everything that was measured; a value for each round.
#[derive(Default)]
struct Measured {
    slowdown: Vec<f64>,
    event_ns: Vec<f64>,
    /// The same two with every mutex by itself.
    lock_slowdown: Vec<f64>,
    lock_event_ns: Vec<f64>,
    stop_ms: Vec<f64>,
    crowd_ms: Vec<f64>,
    own: Spins,
    inline: Spins,
    tier1: Spins,
    /// Acquisitions, contended, gave up, went to the kernel.
    four: [u64; 4],
}

/// The bench and the programs that are measured.
struct Scene<'a> {
    bench: Bench<'a>,
    dir: &'a Path,
    programs: PathBuf,
}

/// Runs the benchmark of in-process counters.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let tool = options.prepare("inline", &[])?;
    let dir = directory("inline")?;
    let source = workspace::root().join("xtask/src/bench/locks/uncontended.c");
    process::run(command("cc").args(["-O2", "-o"]).arg(dir.join("uncontended")).arg(source))?;
    let circumstances = Circumstances::before();
    let statistics = Statistics::take()?;
    let scene = Scene {
        bench: Bench { tool: &tool, dir: &dir, statistics: &statistics },
        dir: &dir,
        programs: workspace::target()?.join("release"),
    };
    let mut measured = Measured::default();
    for round in 1..=options.rounds {
        say::note(format_args!("round {round} of {}", options.rounds));
        ping_pong(&scene, &mut measured)?;
        uncontended(&scene, &mut measured)?;
        crowd(&scene, &mut measured)?;
    }
    drop(statistics);
    fs::remove_dir_all(&dir)?;
    let page = page(&measured, options.rounds, &circumstances.after().sentence("inline"));
    say::out(&page);
    publish(PAGE, &page)
}

impl Scene<'_> {
    fn shmemq(&self, mutex: &str) -> Result<Program> {
        let words = ["--json", "--ready-fd", "8", "--go-fd", "9", "--pin", "0,1", "--size", "256"];
        let words = [&words[..], &["--repetitions", TRIPS, "--mutex", mutex]].concat();
        Program::start(self.dir, &self.programs.join("shmemq"), &words)
    }

    fn attach(&self, program: &Program, more: &[&str]) -> Vec<String> {
        let json = self.bench.json().to_string_lossy().into_owned();
        let words = [OURS, "attach", "--plain", "--quiet", "--json", &json];
        let pids = program.pids().into_iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        words.iter().chain(more).map(|word| (*word).to_owned()).chain(pids).collect()
    }

    /// Counts inside of a program while it runs: what it says of itself, and what the tool says.
    fn inline(&self, program: Program, how: &str) -> Result<(Value, Value)> {
        let running = self.bench.spawn(&self.attach(&program, &[how, "--probes", "syscalls"]))?;
        program.await_counters()?;
        let truth = program.run()?;
        let left = running.finish()?;
        Ok((truth, serde_json::from_str(&left.json).with_context(|| left.text)?))
    }
}

fn elapsed(truth: &Value) -> Result<f64> {
    truth["cells"][0]["elapsed_ns"].as_f64().context("it does not say how long it took")
}

fn ping_pong(scene: &Scene<'_>, measured: &mut Measured) -> Result<()> {
    let alone = elapsed(&scene.shmemq("adaptive")?.run()?)?;
    let (truth, _) = scene.inline(scene.shmemq("adaptive")?, PER_LOCK)?;
    measured.lock_slowdown.push(elapsed(&truth)? / alone);
    let (truth, said) = scene.inline(scene.shmemq("adaptive")?, PER_KIND)?;
    measured.slowdown.push(elapsed(&truth)? / alone);
    measured.stop_ms.push(stop_ms(&said));
    for inline in listed(&said, "inline") {
        measured.inline.add(&inline["spin_count"]);
        let names = ["acquisitions", "contended", "gave_up_spinning", "went_to_kernel"];
        for (sum, name) in measured.four.iter_mut().zip(names) {
            *sum += inline[name].as_u64().unwrap_or(0);
        }
    }
    let own = scene.shmemq("adaptive-restated-2.36")?.run()?;
    measured.own.add(&own["cells"][0]["lock"]["spins"]);
    let probed = scene.shmemq("adaptive")?;
    let words = scene.attach(&probed, &["--probes", "mutex", "--budget", "unlimited"]);
    let running = scene.bench.start(&words, Ready::ProbesIn)?;
    thread::sleep(SETTLING);
    probed.run()?;
    let said: Value = serde_json::from_str(&running.finish()?.json)?;
    for mutex in listed(&said, "mutex") {
        measured.tier1.add(&mutex["spin_count"]);
    }
    Ok(())
}

/// Entries under a name, of all processes of a session.
fn listed<'a>(said: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let processes = said["processes"].as_array().into_iter().flatten();
    processes.flat_map(move |process| process[name].as_array().into_iter().flatten())
}

/// The longest time that a process stood still.
fn stop_ms(said: &Value) -> f64 {
    let cost = &said["overhead"]["inline"];
    let ns = |name: &str| cost[name].as_f64().unwrap_or(0.0);
    ns("put_in_ns").max(ns("taken_out_ns")) / 1e6
}

/// One event, the attempt, for each acquisition.
fn uncontended(scene: &Scene<'_>, measured: &mut Measured) -> Result<()> {
    let loops = LOOPS.to_string();
    let start = || Program::start(scene.dir, &scene.dir.join("uncontended"), &[&loops]);
    let alone = elapsed(&start()?.run()?)?;
    let costs = [(PER_KIND, &mut measured.event_ns), (PER_LOCK, &mut measured.lock_event_ns)];
    for (how, event_ns) in costs {
        let (truth, _) = scene.inline(start()?, how)?;
        event_ns.push((elapsed(&truth)? - alone) / f64::from(LOOPS));
    }
    Ok(())
}

/// 200 threads, all asleep in the kernel.
fn crowd(scene: &Scene<'_>, measured: &mut Measured) -> Result<()> {
    let words = ["--sealed", "--threads", "200", "--json", "--ready-fd", "8", "--go-fd", "9"];
    let program = Program::start(scene.dir, &scene.programs.join("calls"), &words)?;
    let words = scene.attach(&program, &["--inline", "--probes", "syscalls", "--duration", "200ms"]);
    let left = scene.bench.spawn(&words)?.finish()?;
    let said: Value = serde_json::from_str(&left.json).with_context(|| left.text)?;
    measured.crowd_ms.push(stop_ms(&said));
    Ok(())
}

fn page(measured: &Measured, rounds: u32, made: &str) -> String {
    let mut page = format!(
        "# What counting inside of a process costs\n\n{made} Medians of {rounds}, with smallest and largest.\n\n`shmemq` with \
         256 bytes and adaptive mutexes, each of its two processes on a CPU of its own, runs alone and then counted in \
         (`attach --inline --probes syscalls`), by its own clock. The cost of an event is what an acquisition of a mutex that \
         no other thread wants takes longer, which is one event. The times of standing still are the longest that one process \
         stood still when counters were put in or taken out.\n\n| goal | measured | met |\n| --- | ---: | --- |\n"
    );
    for (what, values, goal) in [
        ("ping-pong, time over time alone", &measured.slowdown, Some(1.05)),
        ("an event, ns", &measured.event_ns, Some(5.0)),
        ("ping-pong with `--inline=per-lock`, time over time alone", &measured.lock_slowdown, None),
        ("an event with `--inline=per-lock`, ns", &measured.lock_event_ns, None),
        ("200 threads stand still, ms", &measured.crowd_ms, Some(20.0)),
        ("a side of the ping-pong stands still, ms", &measured.stop_ms, None),
    ] {
        let Some(it) = Spread::of(values.iter().copied()) else { continue };
        let aim = goal.map_or_else(String::new, |goal| format!(": at most {goal}"));
        let met = goal.map_or("-", |goal| if it.median <= goal { "yes" } else { "**no**" });
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| {what}{aim} | {:.2} ({:.2} to {:.2}) | {met} |", it.median, it.min, it.max);
    }
    let [acquisitions, contended, gave_up, to_kernel] = measured.four;
    let _ = writeln!(
        page,
        "\n## Spin counts, side by side\n\n| counted by | contended | mean | spun once | p50 | p90 | p99 |\n| --- | ---: | ---: | ---: | ---: \
         | ---: | ---: |\n| the same loop stated anew, its own counters | {} |\n| `--inline` | {} |\n| `--probes mutex --budget unlimited` | {} |\n\n\
         Quantiles are lower ends of buckets. The loop that counts itself is another build of \
         the same algorithm, so its moments are not the library's; that `--inline` counts what the library does is proven by \
         equality in the tests. All four numbers of the runs that were counted in: {acquisitions} acquisitions, \
         {contended} contended, {gave_up} gave up spinning, {to_kernel} went to the kernel.",
        measured.own.cells(),
        measured.inline.cells(),
        measured.tier1.cells(),
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_held_against_the_median() {
        let measured =
            Measured { slowdown: vec![1.0, 1.04, 2.0], event_ns: vec![6.0], ..Measured::default() };
        let page = page(&measured, 3, "Made today.");
        assert!(page.contains("alone: at most 1.05 | 1.04 (1.00 to 2.00) | yes |"), "{page}");
        assert!(page.contains("ns: at most 5 | 6.00 (6.00 to 6.00) | **no** |"), "{page}");
    }
}
