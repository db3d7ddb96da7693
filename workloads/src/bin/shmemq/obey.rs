//! The other end of the coordinator's pipes: what a side process does from its first instruction.

use std::io::{self, BufRead};

use pulse_trace_workloads::contract::{Refusal, cannot, name_this_process, print, stopping, tie_to_parent};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::args::Args;
use crate::plan::{Plan, Role};
use crate::side::Said;
use crate::worker::play;

/// Reads the plan from standard input, plays, and speaks on standard output.
pub fn obey(args: &Args, role: Role) -> io::Result<()> {
    die_with(args.parent);
    name_this_process(&format!("shmemq-{}", role.name()));
    match obeyed(args, role) {
        Ok(None) => Ok(()),
        Ok(Some(said)) => print(&said),
        Err(refusal) => print(&Said::Refused(refusal.to_string())),
    }
}

fn obeyed(args: &Args, role: Role) -> Result<Option<Said>, Refusal> {
    if let Some(cpus) = &args.common.pin {
        cpus.pin(usize::from(role == Role::Client))?;
    }
    let Some(line) = order()? else { return Ok(None) };
    let plan: Plan = serde_json::from_str(&line)
        .map_err(|error| cannot("read the plan", error, "do not start a side by hand; use --role"))?;
    let mut start = || {
        print(&Said::Ready).map_err(deaf)?;
        let go = order()?.is_some() && !stopping();
        if go && role == Role::Server {
            print(&Said::Started).map_err(deaf)?;
        }
        Ok(go)
    };
    Ok(play(&plan, role, &mut start)?.map(|report| Said::Report(Box::new(report))))
}

/// One line from the coordinator; none when it wants no more.
fn order() -> Result<Option<String>, Refusal> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(deaf)?;
    Ok((!line.is_empty()).then_some(line))
}

fn deaf(error: io::Error) -> Refusal {
    cannot("talk to the coordinator", error, "keep it alive")
}

/// A side has nothing to clean up and may be blocked in a lock for ever: it dies at once with the coordinator.
fn die_with(parent: u32) {
    tie_to_parent(parent);
    // Refused only for a bad signal number, which SIGKILL is not.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}
