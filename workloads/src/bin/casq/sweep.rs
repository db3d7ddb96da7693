//! The whole program: validate, run every case alternately, report.

use anyhow::Result;
use pulse_trace_workloads::clean;
use pulse_trace_workloads::contract::{self, Handshake, Progress, Truth, name_this_process, stopping};
use serde::Serialize;

use crate::args::Options;
use crate::case::{self, Case};
use crate::check::{self, Books};
use crate::report;
use crate::round::{Round, Stand};
use crate::stats::Run;
use pulse_trace_workloads::timer::Timer;

/// The family's own fields of the truth: sums over all runs, and the runs.
#[derive(Serialize)]
pub struct Sweep {
    pub timer: Timer,
    #[serde(flatten)]
    pub books: Books,
    pub runs: Vec<Run>,
}

pub fn run(options: &Options) -> Result<bool> {
    // It receives itself.
    name_this_process("casq-consumer");
    let cases = Case::all(options);
    case::validate(options, &cases)?;
    clean::sweep("casq");
    let mut handshake = Handshake::new(&options.common)?;
    if let Some(cpus) = &options.common.pin {
        cpus.pin(0)?;
    }
    let timer = Timer::calibrate();
    let mut meter = Progress::new();
    let mut stand = Stand { options, timer: &timer, handshake: &mut handshake, meter: &mut meter };
    let mut rounds: Vec<Vec<Round>> = cases.iter().map(|_| Vec::new()).collect();
    let mut good = vec![true; cases.len()];
    // Round by round, so that a disturbance of the machine meets all cases alike.
    'all: for nth in 0..options.common.rounds {
        for (which, case) in cases.iter().enumerate() {
            if stopping() {
                break 'all;
            }
            let round = stand.run(case, nth)?;
            good[which] &= check::holds(case, options, &round, stopping());
            rounds[which].push(round);
        }
    }
    drop(meter);
    let results = cases.iter().zip(rounds).zip(&good).filter(|((_, rounds), _)| !rounds.is_empty());
    let runs: Vec<Run> =
        results.map(|((case, rounds), holds)| Run::of(case, options, &timer, &rounds, *holds)).collect();
    let mut books = Books::default();
    runs.iter().for_each(|run| books.add(&run.books));
    let holds = good.iter().all(|good| *good);
    let sweep = Sweep { timer, books, runs };
    let names: Vec<String> = options.queue.iter().map(|queue| queue.name()).collect();
    let truth = Truth::new("casq", names.join(","), holds, sweep);
    if options.common.json {
        contract::print(&truth)?;
    } else {
        report::print(&truth, !options.no_draw)?;
    }
    Ok(holds)
}
