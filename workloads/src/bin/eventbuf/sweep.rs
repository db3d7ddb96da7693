//! The whole program: validate, run every case alternately, report.

use anyhow::Result;
use pulse_trace_workloads::contract::{self, Handshake, Progress, Truth, stopping};
use pulse_trace_workloads::packed::Tally;
use pulse_trace_workloads::timer::Timer;
use serde::Serialize;

use crate::args::{Options, name};
use crate::bench::{self, Round};
use crate::case::{self, Case};
use crate::report;
use crate::stats::Run;

/// The family's own fields of the truth: sums over all runs, and the runs.
#[derive(Serialize)]
pub struct Sweep {
    pub timer: Timer,
    pub endpoints: u32,
    pub capacity: u16,
    pub threshold: u8,
    pub cooldown_ms: u16,
    pub drain_every: u32,
    pub offered: u64,
    #[serde(flatten)]
    pub tally: Tally,
    pub left: u64,
    pub runs: Vec<Run>,
}

pub fn run(options: &Options) -> Result<bool> {
    case::validate(options)?;
    let cases = Case::all(options);
    let mut handshake = Handshake::new(&options.common)?;
    if let Some(cpus) = &options.common.pin {
        // The main thread only waits: this is to refuse a wrong list before the work.
        cpus.pin(0)?;
    }
    let timer = Timer::calibrate();
    let mut meter = Progress::new();
    let total = cases.len() as u64 * u64::from(options.common.rounds);
    let mut rounds: Vec<Vec<Round>> = cases.iter().map(|_| Vec::new()).collect();
    // Round by round, so that a disturbance of the machine meets all cases alike.
    'all: for nth in 0..options.common.rounds {
        for (which, case) in cases.iter().enumerate() {
            if stopping() {
                break 'all;
            }
            meter.show("runs", u64::from(nth) * cases.len() as u64 + which as u64, total);
            rounds[which].push(bench::run(case, options, &mut handshake)?);
        }
    }
    drop(meter);
    let done = cases.iter().zip(&rounds).filter(|(_, rounds)| !rounds.is_empty());
    let runs: Vec<Run> = done.map(|(case, rounds)| Run::of(case, &timer, rounds)).collect();
    let mut tally = Tally::default();
    runs.iter().for_each(|run| tally.add(&run.tally));
    let holds = runs.iter().all(|run| run.holds);
    let sweep = Sweep {
        timer,
        endpoints: options.endpoints,
        capacity: options.capacity,
        threshold: options.threshold,
        cooldown_ms: options.cooldown,
        drain_every: options.drain_every,
        offered: runs.iter().map(|run| run.offered).sum(),
        tally,
        left: runs.iter().map(|run| run.left).sum(),
        runs,
    };
    let names: Vec<String> = options.implementation.iter().map(name).collect();
    let truth = Truth::new("eventbuf", names.join(","), holds, sweep);
    if options.common.json {
        contract::print(&truth)?;
    } else {
        report::print(&truth, options)?;
    }
    Ok(holds)
}
