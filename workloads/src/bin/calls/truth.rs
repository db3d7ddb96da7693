//! The program's own record of its calls.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use pulse_trace_workloads::{
    contract::{self, Truth},
    sys::usage::Usage,
};
use serde::Serialize;

use crate::{args::Args, worker::Made};

/// Calls, sleeps and blocked reads that were made, with their times.
#[derive(Debug, Default)]
pub struct Truths {
    /// The calls of a known number.
    pub made: Made,
    /// Time that the calls took, ns.
    pub elapsed_ns: u64,
    /// CPU time, context switches and page faults of this process from the go on, as the kernel counts them.
    pub usage: Usage,
    /// Each sleep, ns.
    pub naps_ns: Vec<u64>,
    /// Each blocked read, ns.
    pub reads_ns: Vec<u64>,
}

/// The fields of the JSON line.
#[derive(Serialize)]
struct Detail<'a> {
    pid: u32,
    threads: u32,
    children: u32,
    rounds: u32,
    /// Calls by name, all workers and programs together.
    calls: BTreeMap<String, u64>,
    /// Failed calls by name and error.
    errors: BTreeMap<String, BTreeMap<&'static str, u64>>,
    elapsed_ns: u64,
    /// Time of one call, loop included, where one thread made all of them.
    ns_per_call: Option<f64>,
    /// CPU time, switches and page faults of this process from the go on, as `getrusage` has them.
    usage: Usage,
    naps_ns: &'a [u64],
    reads_ns: &'a [u64],
}

/// Prints the truth, as a table or as JSON; whether every call ended as it must.
pub fn print(args: &Args, truths: &Truths) -> anyhow::Result<bool> {
    let holds = truths.made.odd == 0;
    let detail = detail(args, truths);
    if args.common.json {
        contract::print(&Truth::new("calls", variant(args), holds, detail))?;
    } else {
        table(&detail)?;
    }
    Ok(holds)
}

fn variant(args: &Args) -> &'static str {
    match (args.children, args.threads) {
        (0, 1) => "alone",
        (0, _) => "threads",
        _ => "children",
    }
}

fn detail<'a>(args: &Args, truths: &'a Truths) -> Detail<'a> {
    let mut calls = BTreeMap::new();
    let mut errors: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for (kind, made) in args.kinds().into_iter().zip(&truths.made.each) {
        let count = made + args.before;
        calls.insert(kind.name(), count);
        if let Some(errno) = kind.errno() {
            errors.entry(kind.name()).or_default().insert(errno, count);
        }
    }
    let total: u64 = truths.made.each.iter().sum();
    let alone = args.children == 0 && args.threads == 1 && args.rate.is_none() && total > 0;
    Detail {
        pid: std::process::id(),
        threads: args.threads,
        children: args.children,
        rounds: args.common.rounds,
        calls,
        errors,
        elapsed_ns: truths.elapsed_ns,
        ns_per_call: alone.then(|| truths.elapsed_ns as f64 / total as f64),
        usage: truths.usage,
        naps_ns: &truths.naps_ns,
        reads_ns: &truths.reads_ns,
    }
}

fn table(detail: &Detail<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:<22} {:>12}  error", "call", "made")?;
    for (name, count) in &detail.calls {
        let errno = detail.errors.get(name).and_then(|errors| errors.keys().next()).unwrap_or(&"");
        writeln!(out, "{:<22} {:>12}  {errno}", name, count)?;
    }
    for (what, times) in [("nanosleep", detail.naps_ns), ("readv", detail.reads_ns)] {
        if !times.is_empty() {
            let (median, high) = (quantile(times, 0.5), quantile(times, 0.99));
            writeln!(out, "{what:<22} {:>12}  p50 {median} ns, p99 {high} ns", times.len())?;
        }
    }
    if let Some(ns) = detail.ns_per_call {
        writeln!(out, "{ns:.1} ns per call")?;
    }
    Ok(())
}

/// The smallest value that at least this share of all values does not exceed.
fn quantile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let values: Vec<u64> = (1..=200).rev().collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [100, 198, 200]);
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
