//! `pulse-trace why`

use std::{thread, time::Duration};

use clap::Args;
use kernel::target::{self, Selection};
use model::units::parse_duration;

use super::{failure::Failure, options::id, print};

/// Tell who waits for whom at this moment: deadlocks, convoys, and what the threads that hold up others do
#[derive(Args)]
#[command(
    after_help = "Looks twice from outside, by /proc and the memory of the processes: nothing is traced, stopped or \
                        changed. Exits with 1 if a deadlock was found."
)]
pub struct Why {
    /// Processes
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = id, allow_hyphen_values = true)]
    pids: Vec<u32>,
    /// Processes of this name, as in /proc/PID/comm
    #[arg(long = "comm", value_name = "NAME")]
    comms: Vec<String>,
    /// With all descendants
    #[arg(long)]
    children: bool,
    /// All processes
    #[arg(long, conflicts_with_all = ["pids", "comms", "children"])]
    all: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Look again and again, after this time each
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_hyphen_values = true)]
    watch: Option<Duration>,
}

impl Why {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        loop {
            let picture = why::look(&self.chosen()?).map_err(|error| Failure::usage(error.to_string()))?;
            let text = if self.json {
                let json = serde_json::to_string(&picture);
                json.map_err(|cause| Failure::usage(format!("cannot write JSON: {cause}; leave --json out")))?
                    + "\n"
            } else {
                why::render(&picture)
            };
            print(&text)?;
            match self.watch {
                Some(time) => thread::sleep(time),
                None => return Ok(u8::from(!picture.deadlocks.is_empty())),
            }
        }
    }

    /// The processes to look at.
    fn chosen(&self) -> Result<Vec<u32>, Failure> {
        let failed = |error: target::TargetError| Failure::usage(error.to_string());
        if self.all {
            let own = target::family(std::process::id());
            let all = target::processes().map_err(failed)?.into_iter();
            return Ok(all.filter(|pid| !own.contains(pid) && of_user(*pid)).collect());
        }
        if self.pids.is_empty() && self.comms.is_empty() {
            return Err(Failure::usage(
                "cannot look: no process was named; name some with -p PID or --comm NAME, or take --all"
                    .to_owned(),
            ));
        }
        let selection = Selection { pids: self.pids.clone(), tids: Vec::new(), comms: self.comms.clone() };
        let pinned = target::resolve(&selection).map_err(failed)?;
        let pids = pinned.iter().map(|pinned| pinned.pid);
        Ok(if self.children { pids.flat_map(target::family).collect() } else { pids.collect() })
    }
}

/// True for a process that is no thread of the kernel.
fn of_user(pid: u32) -> bool {
    target::stat(pid).is_some_and(|stat| !stat.is_kernel_thread())
}
