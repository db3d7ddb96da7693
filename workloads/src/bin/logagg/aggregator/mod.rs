//! `logagg aggregator`: receives from all producers, writes the output file, and counts.

mod desk;
mod on_threads;
mod on_tokio;
mod ring;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pulse_trace_workloads::contract::{Handshake, Truth, cannot, name_this_process, print, stopping};
use pulse_trace_workloads::sys::fd;
use serde::{Deserialize, Serialize};

use super::ledger::Received;
use super::options::AggregatorArgs;
use super::report;
use super::transport::{Inlet, Role};
use desk::Desk;

/// After the last producer has gone, a link that is silent for so long is empty.
const GRACE: Duration = Duration::from_millis(100);
/// Receivers that have not ended by then are left behind: their producers live on after a stop.
const LIMIT: Duration = Duration::from_secs(5);
/// The same after Ctrl-C, when the producers may not have ended.
const LIMIT_WHEN_STOPPED: Duration = Duration::from_millis(700);
/// Time between two checks of an aggregator that ends by itself.
const TICK: Duration = Duration::from_millis(50);

/// An aggregator's record of its own work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AggregatorTruth {
    /// Address at which it received.
    pub address: String,
    /// Process id of the aggregator.
    pub pid: u32,
    /// Sums over all producers.
    #[serde(flatten)]
    pub received: Received,
    /// Messages the kernel says it threw away, where it counts them.
    pub kernel_drops: Option<u64>,
    /// CPU time of the process since it was ready.
    pub cpu_ns: u64,
    /// Reason for a failure.
    pub error: Option<String>,
}

/// First line of an aggregator with `--json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listening {
    /// Address at which producers find it.
    pub listening: String,
}

/// Conditions that may end the run.
struct Control {
    stop: Option<File>,
    /// A number of producers is expected; their end ends a run without a stop descriptor.
    expecting: bool,
    /// Then also: so long without a message. A link without connections cannot tell that a producer is gone.
    quiet: Option<Duration>,
}

impl Control {
    /// Longest wait for the receivers once the end was reported.
    fn limit(&self) -> Duration {
        if self.stop.is_none() && stopping() { LIMIT_WHEN_STOPPED } else { LIMIT }
    }
}

/// Runs the subcommand; answers whether every message seen arrived once and whole.
pub fn run(args: &AggregatorArgs) -> Result<bool> {
    name_this_process("logagg-aggr");
    let handshake = Handshake::new(&args.common)?;
    let stop = args.stop_fd.map(|number| {
        let remedy = "pass the number of an inherited, open descriptor";
        fd::adopt(number)
            .map(File::from)
            .map_err(|error| cannot(format_args!("use --stop-fd {number}"), error, remedy))
    });
    let mut control = Control { stop: stop.transpose()?, expecting: args.expect > 0, quiet: None };
    if let Some(cpus) = &args.common.pin {
        cpus.pin(0)?;
    }
    let desk = Arc::new(Desk::open(&args.output.output, args.append, args.expect, handshake)?);
    if args.link.stages && args.link.blocking {
        desk.note_all();
    }
    let tuning = args.link.tuning(0, false);
    let mut bound = args.link.variant.bind(&args.link.address(Role::Aggregator), &tuning)?;
    let address = bound.address.clone();
    if !matches!(bound.inlet, Inlet::Listener(_)) {
        control.quiet = Some(args.quiet);
    }
    // Held until the end of the run, however it ends.
    let _name = bound.name.take();
    announce(args, &address)?;
    let drops = || args.link.variant.kernel_drops(&address);
    let kernel_drops = if args.link.blocking {
        on_threads::serve(&desk, bound, tuning, &control, drops)?
    } else {
        on_tokio::serve(&desk, bound, tuning, &control, args.link.workers, drops)?
    };
    let cpu_ns = desk.cpu_ns();
    let (received, error) = desk.close();
    let holds = error.is_none() && is_clean(&received);
    let pid = std::process::id();
    let truth = AggregatorTruth { address, pid, received, kernel_drops, cpu_ns, error };
    report::aggregator(
        &Truth::new("logagg-aggregator", args.link.variant.name(), holds, truth),
        args.common.json,
    )?;
    Ok(holds)
}

/// Nothing came twice, damaged or cut off, and nothing is missing before the last message of a producer.
fn is_clean(got: &Received) -> bool {
    let gaps = got.producers.iter().any(|seen| seen.received != seen.next || seen.duplicated > 0);
    !gaps && got.malformed + got.corrupt + got.truncated == 0
}

fn announce(args: &AggregatorArgs, address: &str) -> Result<()> {
    if args.common.json {
        print(&Listening { listening: address.to_owned() })?;
    } else {
        report::listening(args.link.variant.name(), address, args.link.runtime())?;
    }
    Ok(())
}
