//! `logagg`: producers and an aggregator over one way of inter-process communication.

mod aggregator;
mod ledger;
mod lines;
mod message;
mod options;
mod pace;
mod producer;
mod report;
mod run;
mod runtime;
mod stages;
mod transport;

use std::process::ExitCode;

use clap::Parser;
use options::{Cli, Command};
use pulse_trace_workloads::contract;

fn main() -> ExitCode {
    let cli = Cli::parse();
    contract::main(|| match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Producer(args) => producer::run(&args),
        Command::Aggregator(args) => aggregator::run(&args),
    })
}
