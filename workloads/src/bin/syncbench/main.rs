//! `syncbench`: how many nanoseconds the operations take that concurrent programs are made of, how sure that is, and
//! whether it got slower.

mod baseline;
mod cli;
mod details;
mod fairness;
mod host;
mod measure;
mod report;
mod session;
mod settings;
mod starved;
mod stats;
mod truth;
mod units;
mod verdict;

use std::process::ExitCode;

fn main() -> ExitCode {
    pulse_trace_workloads::contract::main(session::run)
}
