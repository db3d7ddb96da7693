//! `casq`: many producers push into one queue in shared memory; every push is timed with the processor's own clock.

mod args;
mod board;
mod case;
mod check;
mod ledger;
mod message;
mod pause;
mod produce;
mod receive;
mod report;
mod round;
mod samples;
mod start;
mod stats;
mod sweep;
mod worker;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use pulse_trace_workloads::contract;

fn main() -> ExitCode {
    let cli = Cli::parse();
    contract::main(|| match &cli.command {
        Some(Command::Worker { job }) => worker::run(job),
        None => sweep::run(&cli.options),
    })
}
