//! `cargo xtask bench NAME`: measurements that are no tests, because their result is a number.

mod believe;
mod compare;
mod dashboard;
mod ground;
mod inline;
mod locks;
mod marked;
mod overhead;
pub mod readings;
pub mod running;
mod sched;
mod seeds;
mod spins;
mod spread;

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::say;

/// Name, what it measures, and how; it calls `setup::ensure` when it builds.
type Bench = (&'static str, &'static str, fn(&[String]) -> Result<()>);

/// Every benchmark, one row each.
const BENCHES: &[Bench] = &[
    (
        "overhead",
        "what tracing system calls costs, beside its peers: [--rounds N] [--tool FILE]",
        overhead::run,
    ),
    (
        "locks",
        "what watching locks costs, beside other ways to do it: [--rounds N] [--tool FILE]",
        locks::run,
    ),
    (
        "dashboard",
        "what the dashboard costs and how fast it answers, in about two minutes: [--tool FILE]",
        dashboard::run,
    ),
    (
        "inline",
        "what counting inside of a process costs, and whether it is true: [--rounds N] [--tool FILE]",
        inline::run,
    ),
    ("sched", "what tracing the scheduler costs, beside its peers: [--rounds N] [--tool FILE]", sched::run),
    (
        "believe",
        "whether comparisons claim what is not, and find what is: [--same N] [--different N] [--programs DIR]",
        believe::run,
    ),
    ("compare", "what comparing two recordings of 100 MB takes: [--programs DIR]", compare::run),
    (
        "seeds",
        "the published tables: [ipc] [shmemq] [casq] [eventbuf] [sync] [--rounds N] [--programs DIR]",
        seeds::run,
    ),
];

/// Runs the verb `bench`.
pub fn run(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        say::out(list());
        return Ok(());
    };
    let Some((_, _, measure)) = BENCHES.iter().find(|(known, ..)| known == name) else {
        bail!("cannot run benchmark `{name}`: there is none of that name; {}", list());
    };
    measure(rest)
}

fn list() -> String {
    let mut text = String::from("the benchmarks are:");
    for (name, measures, _) in BENCHES {
        let _ = write!(text, "\n  {name:<12} {measures}");
    }
    text
}
