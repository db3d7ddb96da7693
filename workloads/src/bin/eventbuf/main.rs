//! `eventbuf`: the same event buffers bit-packed into one atomic word, and behind a mutex, measured side by side.

mod args;
mod bench;
mod case;
mod nodes;
mod report;
mod stats;
mod sweep;
mod worker;

use std::process::ExitCode;

use args::Options;
use clap::Parser;
use pulse_trace_workloads::contract;

fn main() -> ExitCode {
    let options = Options::parse();
    contract::main(|| sweep::run(&options))
}
