//! The rounds: every tool after the other, again and again, so that what else the machine does meets all of them.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{
    super::{
        readings::{self, Memory, Programs, Runs},
        running::{Bench, Running},
    },
    caller::Caller,
    peers::{PEERS, Peer, SYSCOUNT, Start},
};
use crate::say;

/// Calls of one sample of the statistics, and samples in one round.
const SAMPLE: u64 = 5_000;
const SAMPLES: usize = 40;

/// Measurements of one tool in one round.
pub struct Round {
    /// One call of the loop before the tool was started.
    pub untraced_ns: f64,
    /// One call of the loop under the tool, statistics off.
    pub traced_ns: f64,
    /// All BPF programs for one call of the loop, the cost of the statistics included.
    pub pair_ns: Option<f64>,
    /// Share of the programs' runs that other processes caused, in the samples that were used.
    pub foreign: f64,
    /// Calls made under the tool.
    pub made: u64,
    /// Of these, how many it counted.
    pub counted: Option<u64>,
    /// CPU time that the tool itself took for each of them, outside of its programs in the kernel.
    pub tool_ns: f64,
    /// Its memory after that.
    pub memory: Memory,
    /// Memory of its maps in the kernel.
    pub map_bytes: u64,
}

/// All rounds of one tool.
pub struct Row {
    /// The measured tool.
    pub peer: &'static Peer,
    /// One by one.
    pub rounds: Vec<Round>,
}

/// Measures all tools side by side.
pub fn measure(bench: &Bench, rounds: u32) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = PEERS.iter().map(|peer| Row { peer, rounds: Vec::new() }).collect();
    let mut caller = Caller::start()?;
    let bystander = Caller::start()?;
    for number in 1..=rounds {
        let since = Instant::now();
        for row in &mut rows {
            let mut once = || round(bench, row.peer, &mut caller, bystander.pid());
            // A peer that got stuck once is no reason to throw away all the others.
            let measured = once().or_else(|error| {
                say::note(format_args!("{}: {error:#}; once more", row.peer.name));
                once()
            });
            row.rounds.push(measured.with_context(|| format!("cannot measure {}", row.peer.name))?);
        }
        say::note(format_args!("round {number} of {rounds}: {}", say::elapsed(since)));
    }
    Ok(rows)
}

fn round(bench: &Bench, peer: &Peer, caller: &mut Caller, bystander: u32) -> Result<Round> {
    let untraced_ns = caller.calls(peer.calls)?.ns_per_call;
    let json = bench.json().display().to_string();
    let words = (peer.command)(&Start { caller: caller.pid(), bystander, json: &json });
    let tool = bench.start(&words, peer.ready)?;
    let cpu_before = readings::cpu_ns(tool.pid());
    let traced_ns = caller.calls(peer.calls)?.ns_per_call;
    let samples = statistics(bench, caller, &tool)?;
    let made = peer.calls + samples.len() as u64 * SAMPLE;
    let tool_ns = (readings::cpu_ns(tool.pid()) - cpu_before) as f64 / made as f64;
    let (memory, map_bytes) =
        (readings::memory(tool.pid()), readings::maps(tool.pid()).iter().map(|map| map.bytes).sum());
    let left = tool.stop()?;
    let counted = (peer.counted)(&left, caller.pid());
    // It counts all calls of the process: each order is one `read` and one `write` besides, and the first `read` began
    // before the tool was there.
    let orders = if peer.name == SYSCOUNT { 2 * (1 + samples.len() as u64) - 1 } else { 0 };
    let (pair_ns, foreign) = pair(&samples).map_or((None, 0.0), |(pair, foreign)| (Some(pair), foreign));
    Ok(Round {
        untraced_ns,
        traced_ns,
        pair_ns,
        foreign,
        made,
        counted: counted.map(|count| count.saturating_sub(orders).min(made)),
        tool_ns,
        memory,
        map_bytes,
    })
}

/// Runs of a tool's programs during each of several short loops; empty where it has no programs.
fn statistics(bench: &Bench, caller: &mut Caller, tool: &Running) -> Result<Vec<Vec<Runs>>> {
    let programs = Programs::of(tool.pid());
    if programs.runs().is_empty() {
        return Ok(Vec::new());
    }
    bench.statistics.switch(true)?;
    let sample = |_| -> Result<Vec<Runs>> {
        let before = programs.runs();
        caller.calls(SAMPLE).context("the loop has ended")?;
        Ok(readings::ran(&before, &programs.runs()))
    };
    let samples = (0..SAMPLES).map(sample).collect();
    bench.statistics.switch(false)?;
    samples
}

/// Time of all programs for one call, and the share of runs that others caused: the median of the quarter of samples
/// that others disturbed least.
fn pair(samples: &[Vec<Runs>]) -> Option<(f64, f64)> {
    let mut pairs: Vec<(f64, f64)> = samples.iter().filter_map(|sample| one_pair(sample)).collect();
    pairs.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
    pairs.truncate(pairs.len().div_ceil(4));
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    pairs.get(pairs.len() / 2).copied()
}

/// Programs that run at every call; each run of others is taken to cost as much.
fn one_pair(sample: &[Runs]) -> Option<(f64, f64)> {
    let every: Vec<&Runs> = sample.iter().filter(|runs| runs.count >= SAMPLE).collect();
    let most = every.iter().map(|runs| runs.count).max()?;
    let pair = every.iter().map(|runs| runs.time_ns as f64 / runs.count as f64).sum();
    Some((pair, (most - SAMPLE) as f64 / most as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(enter: u64, exit: u64, foreign: u64) -> Vec<Runs> {
        let count = SAMPLE + foreign;
        let runs = |ns| Runs { count, time_ns: ns * count };
        vec![Runs { count: 3, time_ns: 9000 }, runs(enter), runs(exit)]
    }

    #[test]
    fn samples_that_others_disturbed_do_not_count() {
        let samples = [sample(100, 110, 0), sample(30, 30, 4000), sample(20, 20, 9000), sample(25, 25, 5000)];
        assert_eq!(pair(&samples), Some((210.0, 0.0)));
        assert_eq!(pair(&[]), None);
        assert_eq!(pair(&[vec![Runs { count: 3, time_ns: 1 }]]), None);
    }
}
