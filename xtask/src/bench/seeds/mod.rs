//! The published tables, measured again: each has a page of which one part is written by this, and the rest by hand.

mod casq;
mod eventbuf;
mod ipc;
mod read;
mod rows;
mod shmemq;
mod sync;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::read::Comparison;
use super::{
    ground::{self, Circumstances, directory},
    marked,
};
use crate::{
    process::{capture, command},
    say,
};

/// A page: what it is called here, where it lies, and how its tables come about.
type Page = (&'static str, &'static str, fn(&mut Lab) -> Result<String>);

const PAGES: [Page; 5] = [
    ("ipc", "docs/results/log-aggregator.md", ipc::measure),
    ("shmemq", "docs/results/shmemq.md", shmemq::measure),
    ("casq", "docs/results/cas-queue.md", casq::measure),
    ("eventbuf", "docs/results/atomic-state-machine.md", eventbuf::measure),
    ("sync", "docs/results/benchmark-patterns.md", sync::measure),
];

/// The directory of the programs, and the commands that were run.
pub struct Lab {
    programs: PathBuf,
    dir: PathBuf,
    rounds: u32,
    /// Every command, as one would type it.
    ran: Vec<String>,
    /// Warnings of the comparisons.
    warned: Vec<String>,
}

/// Runs the benchmark of the published numbers.
pub fn run(arguments: &[String]) -> Result<()> {
    let (mut lab, chosen) = prepare(arguments)?;
    let outcome = pages(&mut lab, &chosen);
    let _ = fs::remove_dir_all(&lab.dir);
    outcome
}

fn pages(lab: &mut Lab, chosen: &[String]) -> Result<()> {
    for (name, file, measure) in PAGES.iter().filter(|(name, ..)| chosen.iter().any(|it| it == name)) {
        say::note(format_args!("measuring for {file}"));
        (lab.ran, lab.warned) = (Vec::new(), Vec::new());
        let at = Circumstances::before();
        let tables = measure(lab)?;
        let at = at.after();
        let head = format!(
            "{} {}\n\nCommands, all by this one: {}.\n",
            at.sentence(&format!("seeds {name}")),
            processor(),
            lab.ran.iter().map(|line| format!("`{line}`")).collect::<Vec<_>>().join("; "),
        );
        marked::publish(file, &(head + &tables + &warnings(&lab.warned)))?;
    }
    Ok(())
}

/// Options: names of pages, all without any; `--rounds N`; `--programs DIR` for programs that were built already.
fn prepare(arguments: &[String]) -> Result<(Lab, Vec<String>)> {
    let (mut rounds, mut programs, mut chosen) = (5, None, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("cannot read `{word}`: a value is missing"));
        match word.as_str() {
            "--rounds" => rounds = value()?.parse().context("cannot read --rounds: it takes a number")?,
            "--programs" => programs = Some(PathBuf::from(value()?)),
            name if PAGES.iter().any(|(known, ..)| *known == name) => chosen.push(name.to_owned()),
            _ => bail!(
                "cannot heed `{word}`: the pages are ipc, shmemq, casq, eventbuf and sync; the options --rounds N and --programs DIR"
            ),
        }
    }
    if chosen.is_empty() {
        chosen = PAGES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    }
    let programs = ground::programs(programs)?;
    let dir = directory("seeds")?;
    Ok((Lab { programs, dir, rounds, ran: Vec::new(), warned: Vec::new() }, chosen))
}

impl Lab {
    /// Runs `pulse-trace bench`; options for the programs stand behind `--`.
    fn bench(&mut self, words: &[&str], options: &[&str]) -> Result<Comparison> {
        let file = self.dir.join("comparison.json");
        let rounds = self.rounds.to_string();
        let mut run = command(self.programs.join("pulse-trace"));
        run.arg("bench").args(words).args(["--rounds", &rounds]);
        let mut typed = format!("pulse-trace bench {} --rounds {rounds}", words.join(" "));
        run.arg("--json").arg(&file);
        if !options.is_empty() {
            run.arg("--").args(options);
            typed += &format!(" -- {}", options.join(" "));
        }
        self.ran.push(typed);
        capture(&mut run)?;
        let comparison = Comparison::read(&file)?;
        self.warned.extend(comparison.warnings());
        Ok(comparison)
    }

    /// Runs a bundled program by itself; its truth.
    fn truth(&mut self, program: &str, words: &[&str]) -> Result<Value> {
        self.ran.push(format!("{program} {}", words.join(" ")));
        read::truth(&capture(command(self.programs.join(program)).args(words))?)
    }

    /// Traces a bundled program from its first instruction; its truth, and what was seen.
    fn trace(&mut self, probes: &str, program: &str, words: &[&str]) -> Result<(Value, Value)> {
        let file = self.dir.join("session.json");
        let mut run = command(self.programs.join("pulse-trace"));
        run.args(["run", "--probes", probes, "--no-stacks", "--json"]).arg(&file);
        run.arg("--").arg(self.programs.join(program)).args(words);
        self.ran
            .push(format!("pulse-trace run --probes {probes} --no-stacks -- {program} {}", words.join(" ")));
        let said = capture(&mut run)?;
        Ok((read::truth(&said)?, read::json(&file)?))
    }
}

/// The processor's name as the kernel has it.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split_once(':').map(|(_, name)| format!("Processor: {}.", name.trim())).unwrap_or_default()
}

fn warnings(warned: &[String]) -> String {
    let mut seen: Vec<&String> = Vec::new();
    for text in warned {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    let lines: Vec<String> = seen.iter().map(|text| format!("- {text}")).collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("\nWarnings of these runs:\n\n{}\n", lines.join("\n"))
    }
}
