//! `cargo xtask real [NAME...]`: programs that other people wrote, under load, with bpftrace beside on the same window.
//!
//! The targets stand still while both tracers attach and while both detach, so both see the same calls, and every count
//! of every call of every process has to be equal.

mod load;
mod subjects;
mod tracers;
mod window;

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{process, say, test::tools, workspace};
use subjects::SUBJECTS;
pub use subjects::Subject;
use window::Seen;

/// For all programs together. One takes 3 to 8 s.
const LIMIT: Duration = Duration::from_secs(300);

/// A program under load.
pub enum Outcome {
    /// It ran; an error where the tracers differ.
    Ran(Result<(), String>),
    /// It cannot run here, for this reason.
    Skipped(String),
}

/// The programs of these names, or all.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Subject>> {
    let unknown = names.iter().find(|name| SUBJECTS.iter().all(|subject| subject.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
        bail!("cannot trace `{name}`: the programs are {}", known.join(", "));
    }
    let is_named = |subject: &&Subject| names.is_empty() || names.iter().any(|name| name == subject.name);
    Ok(SUBJECTS.iter().filter(is_named).collect())
}

/// Traces each program, and prints a table.
pub fn trace(chosen: &[&'static Subject]) -> Vec<(&'static str, Outcome)> {
    tools::ensure_servers();
    let since = Instant::now();
    let mut table = String::from(
        "| program | processes | calls | lost | equal | queued | first finding |\n| --- | --- | --- | --- | --- | --- | --- |",
    );
    let mut outcomes = Vec::new();
    for subject in chosen {
        let outcome = if since.elapsed() > LIMIT {
            Outcome::Ran(Err(format!("not tried: the others took {} s", LIMIT.as_secs())))
        } else if let Some(reason) = missing(subject) {
            Outcome::Skipped(reason)
        } else {
            say::note(format_args!("{} under load, beside bpftrace", subject.name));
            Outcome::Ran(tried(subject, &mut table))
        };
        outcomes.push((subject.name, outcome));
    }
    say::out(table);
    outcomes
}

/// The reason why a program cannot be tried here.
fn missing(subject: &Subject) -> Option<String> {
    if !process::is_root() {
        return Some("loading BPF programs and stopping other users' processes need root".into());
    }
    let needed = ["bpftrace"].iter().chain(subject.programs);
    let missing: Vec<&str> =
        needed.copied().filter(|program| subjects::installed(program).is_none()).collect();
    (!missing.is_empty()).then(|| format!("{} is not installed", missing.join(", ")))
}

fn tried(subject: &Subject, table: &mut String) -> Result<(), String> {
    let seen = observed(subject).map_err(|error| format!("{error:#}"))?;
    let differences = seen.differences();
    let _ = write!(
        table,
        "\n| {} | {} | {} | {} | {} | {} | {} |",
        subject.name,
        seen.processes,
        seen.theirs.values().sum::<u64>(),
        seen.lost,
        if differences.is_empty() { "yes" } else { "no" },
        seen.queued.values().map(|share| format!("{share:.0}%")).collect::<Vec<_>>().join(" "),
        seen.finding.as_deref().unwrap_or("none")
    );
    if seen.theirs.is_empty() {
        return Err("bpftrace saw no call at all".into());
    }
    if differences.is_empty() {
        return Ok(());
    }
    let some: Vec<&str> = differences.iter().take(8).map(String::as_str).collect();
    Err(format!("{} counts differ, {} lost: {}", differences.len(), seen.lost, some.join("; ")))
}

/// Starts a program in a directory of its own and looks at it under load.
fn observed(subject: &Subject) -> Result<Seen> {
    let dir = std::env::temp_dir().join(format!("pulse-trace-real-{}-{}", subject.name, std::process::id()));
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let seen = (subject.start)(&dir).and_then(|mut server| window::observe(&mut server, subject.load, &dir));
    // PostgreSQL's files belong to another user, whom root outranks.
    let _ = fs::remove_dir_all(&dir);
    seen.with_context(|| format!("cannot trace {} of {}", subject.name, workspace::relative(&dir)))
}
