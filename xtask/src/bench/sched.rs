//! `cargo xtask bench sched`: cost of tracing the scheduler, with this tool and with its peers, on two processes that
//! pass a byte to and fro.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    ground::{Circumstances, Options, directory, publish},
    readings::{Programs, Statistics, ran},
    running::{Bench, Left, OURS as TOOL, Ready},
    spread::Spread,
};
use crate::{
    process::{self, capture, command},
    say,
};

const PAGE: &str = "docs/results/sched.md";
/// Time that the programs are watched in a round.
const WINDOW: Duration = Duration::from_millis(700);

/// A tool: its name, what it is started with for two processes and a third that has nothing to do with them.
struct Tool {
    name: &'static str,
    words: fn(&[u32; 2], u32) -> Vec<String>,
    /// True when it makes a histogram, so that its slow-down is to be compared.
    histogram: bool,
}

const EMPTY: &str = "empty program";
const OURS: &str = "pulse-trace --probes sched";
const STRANGER: &str = "pulse-trace, of a non-target";
const BPFTRACE: &str = "bpftrace hist()";
const RUNQLAT: &str = "runqlat -P";

const TOOLS: [Tool; 5] = [
    Tool {
        name: EMPTY,
        words: |_, _| {
            bpftrace("tracepoint:sched:sched_wakeup { } tracepoint:sched:sched_switch { }".to_owned())
        },
        histogram: false,
    },
    Tool { name: OURS, words: |pids, _| ours(pids), histogram: true },
    Tool { name: STRANGER, words: |_, stranger| ours(&[stranger]), histogram: false },
    Tool {
        name: RUNQLAT,
        words: |_, _| ["runqlat", "-P", "1000"].map(str::to_owned).to_vec(),
        histogram: true,
    },
    Tool { name: BPFTRACE, words: |pids, _| bpftrace(one_liner(pids)), histogram: true },
];

fn ours(pids: &[u32]) -> Vec<String> {
    let mut words = [TOOL, "attach", "--plain", "--quiet", "--probes", "sched"].map(str::to_owned).to_vec();
    pids.iter().for_each(|pid| words.extend(["-p".to_owned(), pid.to_string()]));
    words
}

fn bpftrace(script: String) -> Vec<String> {
    vec!["bpftrace".to_owned(), "-e".to_owned(), script]
}

/// The one-liner that people know, for two processes.
fn one_liner([left, right]: &[u32; 2]) -> String {
    let of = |field: &str| format!("/args->{field} == {left} || args->{field} == {right}/");
    format!(
        "tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new {} {{ @woken[args->pid] = nsecs; }} \
         tracepoint:sched:sched_switch {} {{ $at = @woken[args->next_pid]; if ($at) {{ \
         @wait[args->next_pid] = hist(nsecs - $at); }} delete(@woken[args->next_pid]); }}",
        of("pid"),
        of("next_pid"),
    )
}

/// Measurements of one tool.
#[derive(Default)]
struct Row {
    /// ns per run of the programs on switches and on wakeups, statistics included, and how many programs that are.
    switch: Vec<(f64, f64)>,
    wakeup: Vec<(f64, f64)>,
    /// Time of the command under the tool, over its time without.
    slowdown: Vec<f64>,
}

/// Two processes that pass a byte to and fro until this is dropped.
struct Pair {
    bench: Child,
    pids: [u32; 2],
}

impl Pair {
    fn start() -> Result<Self> {
        let mut bench = command("perf");
        bench.args(["bench", "sched", "pipe", "-l", "1000000000"]).stdin(Stdio::null()).stdout(Stdio::null());
        let bench = bench.stderr(Stdio::null()).spawn().context("cannot start perf bench")?;
        let mut pair = Self { pids: [bench.id(); 2], bench };
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(10) {
            let children = format!("/proc/{0}/task/{0}/children", pair.pids[0]);
            let text = fs::read_to_string(children).unwrap_or_default();
            // It plays against a child of its own.
            if let Some(child) = text.split_whitespace().find_map(|pid| pid.parse().ok()) {
                pair.pids[1] = child;
                return Ok(pair);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("cannot find the second process of perf bench: it did not start")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // Ours: it was started above.
        let _ = process::signal("TERM", &self.pids[1..]);
        let _ = self.bench.kill();
        let _ = self.bench.wait();
    }
}

/// Runs the benchmark of the scheduler.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let tool = options.prepare("sched", &["bpftrace", "runqlat", "perf", "bpftool"])?;
    let circumstances = Circumstances::before();
    let dir = directory("sched")?;
    let statistics = Statistics::take()?;
    let bench = Bench { tool: &tool, dir: &dir, statistics: &statistics };
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for round in 1..=options.rounds {
        say::note(format_args!("round {round} of {}", options.rounds));
        for tool in &TOOLS {
            let row = rows.entry(tool.name).or_default();
            watch(&bench, tool, row)?;
            if tool.histogram {
                row.slowdown.push(slowdown(&bench, tool)?);
            }
        }
    }
    drop(statistics);
    fs::remove_dir_all(&dir)?;
    let page = page(&rows, options.rounds, &circumstances.after().sentence("sched"));
    say::out(&page);
    publish(PAGE, &page)
}

/// Reads the kernel's statistics of a tool's programs while the pair runs.
fn watch(bench: &Bench<'_>, tool: &Tool, row: &mut Row) -> Result<()> {
    let pair = Pair::start()?;
    let running = bench.start(&(tool.words)(&pair.pids, std::process::id()), Ready::ProgramsRun)?;
    let programs = Programs::of(running.pid());
    let names = names()?;
    bench.statistics.switch(true)?;
    let before = programs.runs();
    thread::sleep(WINDOW);
    let after = programs.runs();
    bench.statistics.switch(false)?;
    let of = |part: &str, values: &mut Vec<(f64, f64)>| {
        let only = |runs: &BTreeMap<u64, _>| {
            let mine = runs.iter().filter(|(id, _)| names.get(id).is_some_and(|name| name.contains(part)));
            mine.map(|(id, runs)| (*id, *runs)).collect::<BTreeMap<_, _>>()
        };
        let ran = ran(&only(&before), &only(&after));
        // Programs on one event add up; a rare one, on births, would only blur that.
        let most = ran.iter().map(|runs| runs.count).max().unwrap_or(0);
        let often: Vec<f64> = ran
            .iter()
            .filter(|runs| runs.count * 10 > most)
            .map(|runs| runs.time_ns as f64 / runs.count as f64)
            .collect();
        values.push((often.iter().sum(), often.len() as f64));
    };
    of("switch", &mut row.switch);
    of("wak", &mut row.wakeup);
    let _: Left = running.stop()?;
    Ok(())
}

/// Programs of the kernel by id.
fn names() -> Result<BTreeMap<u64, String>> {
    let text = capture(command("bpftool").args(["-j", "prog", "show"]))?;
    let list: Vec<serde_json::Value> =
        serde_json::from_str(&text).context("cannot read what bpftool says")?;
    let name = |it: &serde_json::Value| Some((it["id"].as_u64()?, it["name"].as_str()?.to_owned()));
    Ok(list.iter().filter_map(name).collect())
}

/// Time of a round trip under a tool over the time without, one after the other.
fn slowdown(bench: &Bench<'_>, tool: &Tool) -> Result<f64> {
    let pair = Pair::start()?;
    let alone = pair.trip_ns();
    let running = bench.start(&(tool.words)(&pair.pids, std::process::id()), Ready::ProgramsRun)?;
    let under = pair.trip_ns();
    let _: Left = running.stop()?;
    Ok(under / alone)
}

impl Pair {
    /// ns that a round trip takes now.
    fn trip_ns(&self) -> f64 {
        let trips = || -> u64 {
            let status = fs::read_to_string(format!("/proc/{}/status", self.pids[0])).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
        };
        let (before, since) = (trips(), Instant::now());
        thread::sleep(WINDOW);
        let (after, time) = (trips(), since.elapsed());
        time.as_nanos() as f64 / (after - before).max(1) as f64
    }
}

fn page(rows: &BTreeMap<&str, Row>, rounds: u32, made: &str) -> String {
    let mut page = format!(
        "# What tracing the scheduler costs\n\n{made} {rounds} rounds, medians, with smallest and \
         largest.\n\nTwo processes of `perf bench sched pipe` pass a byte to and fro. In each round \
         every tool is started on them in turn; the kernel's run statistics tell how long its programs ran per switch and per \
         wakeup, added up where there are several, each net of an empty program on the same tracepoint in the same round. The \
         slow-down is the time of a round trip under the tool over the time right before, of the same two processes.\n\n\
         | tool | ns per switch, net | ns per wakeup, net | slow-down |\n| --- | ---: | ---: | ---: |\n",
    );
    let empty = Row::default();
    let base = rows.get(EMPTY).unwrap_or(&empty);
    for tool in TOOLS.iter().filter(|tool| tool.name != EMPTY) {
        let row = rows.get(tool.name).unwrap_or(&empty);
        let net = |values: &[(f64, f64)], base: &[(f64, f64)]| {
            let pairs = values.iter().zip(base);
            Spread::of(pairs.map(|((value, programs), (base, _))| (value - programs * base).max(0.0)))
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            tool.name,
            shown(net(&row.switch, &base.switch), 0),
            shown(net(&row.wakeup, &base.wakeup), 0),
            shown(Spread::of(row.slowdown.iter().copied()), 2),
        );
    }
    page
}

fn shown(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |it| format!("{:.digits$} ({:.digits$} to {:.digits$})", it.median, it.min, it.max),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_net_of_the_empty_program_of_the_same_round() {
        let row = |switch: f64, programs: f64| Row {
            switch: vec![(switch, programs), (switch + 10.0 * programs, programs)],
            wakeup: vec![],
            slowdown: vec![1.25],
        };
        let rows = [(EMPTY, row(50.0, 1.0)), (OURS, row(200.0, 2.0))].into();
        let page = page(&rows, 2, "Made today.");
        assert!(
            page.contains("| pulse-trace --probes sched | 100 (100 to 100) | - | 1.25 (1.25 to 1.25) |"),
            "{page}"
        );
    }
}
