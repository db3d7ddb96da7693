//! `logagg run`: starts the processes, lets them work, and says what became of every message.

mod arguments;
mod child;
mod round;
mod truth;

use anyhow::Result;
use pulse_trace_workloads::clean;
use pulse_trace_workloads::contract::{Handshake, Refusal, Truth, cannot, stopping};

use super::options::{RunArgs, warmup};
use super::report;
pub use truth::{RunTruth, Sums};

/// Messages of a round of which may be noted where each was.
const MOST_NOTED: u64 = 100_000;

/// Runs the subcommand; answers whether every message is accounted for.
pub fn run(args: &RunArgs) -> Result<bool> {
    check(args)?;
    let mut handshake = Handshake::new(&args.common)?;
    clean::sweep("logagg");
    let mut truth = RunTruth::new(args);
    for _ in 0..args.common.rounds {
        match round::play(args, &mut handshake)? {
            Some(round) => truth.add(round),
            None => break,
        }
        if stopping() {
            break;
        }
    }
    let holds = truth.holds(args.link.variant.lossy(), stopping());
    report::run(&Truth::new("logagg", args.link.variant.name(), holds, truth), args.common.json)?;
    Ok(holds)
}

fn check(args: &RunArgs) -> Result<(), Refusal> {
    args.load.check(&args.link, args.producers)?;
    warmup(&args.common)?;
    if args.link.stages && (!args.link.blocking || args.load.batch > 1 || args.messages() > MOST_NOTED) {
        let cause = "that is noted with --blocking, without --batch, and for up to 100000 messages";
        return Err(cannot("note where each message is", cause, "leave --stages out, or change the load"));
    }
    if args.link.at.is_some() {
        let remedy = "leave --at out; it is for `logagg aggregator` and `logagg producer`";
        return Err(cannot("use --at here", "a run chooses a place no other run uses", remedy));
    }
    Ok(())
}
