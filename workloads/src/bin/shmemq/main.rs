//! `shmemq`: ping-pong between two processes over two queues in shared memory, under a lock of choice.

mod args;
mod by_hand;
mod cell;
mod coordinator;
mod link;
mod locks;
mod memory;
mod message;
mod mutex;
mod obey;
mod pair;
mod patience;
mod pingpong;
mod plan;
mod queue;
mod report;
mod side;
mod table;
mod truth;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use pulse_trace_workloads::contract;

fn main() -> ExitCode {
    let mut args = args::Args::parse();
    args.place_sides();
    contract::main(|| match (args.worker, args.role, &args.name) {
        (Some(role), ..) => Ok(obey::obey(&args, role).map(|()| true)?),
        (None, Some(role), Some(name)) => by_hand::run(&args, role, name),
        _ => coordinator::run(&args),
    })
}
