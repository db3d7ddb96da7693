//! A side as the coordinator sees it: a process that speaks one JSON line at a time.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use pulse_trace_workloads::contract::{Refusal, cannot};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::plan::{Plan, Role};
use crate::report::Report;

/// Message from a side to the coordinator.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// It is set up and warm.
    Ready,
    /// It is in its loop.
    Started,
    /// It is done.
    Report(Box<Report>),
    /// It cannot go on.
    Refused(String),
    /// It has closed its end: it is gone, or about to be.
    Silence,
}

/// A running side. Dropping it ends it.
#[derive(Debug)]
pub struct Side {
    /// Server or client.
    pub role: Role,
    child: Child,
    orders: Option<ChildStdin>,
}

impl Side {
    /// Starts a side and tells it the plan; what it says arrives at `events`.
    pub fn start(
        role: Role,
        plan: &Plan,
        args: &Args,
        events: Sender<(Role, Said)>,
    ) -> Result<Self, Refusal> {
        let failed = |error: io::Error| {
            cannot(format_args!("start the {}", role.name()), error, "see `ulimit -u` and /proc")
        };
        let mut child = command(role, plan, args).and_then(|mut command| command.spawn()).map_err(failed)?;
        let voice = child.stdout.take();
        let mut side = Self { role, orders: child.stdin.take(), child };
        thread::spawn(move || {
            for line in voice.map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                let said =
                    serde_json::from_str(&line).unwrap_or_else(|error| Said::Refused(error.to_string()));
                // The receiver is gone when the coordinator has given up on this pair.
                let _ = events.send((role, said));
            }
            let _ = events.send((role, Said::Silence));
        });
        side.tell(&serde_json::to_string(plan).map_err(io::Error::from).map_err(failed)?);
        Ok(side)
    }

    /// Sends one line. A side that has died is noticed by its silence, not here.
    pub fn tell(&mut self, line: &str) {
        if let Some(orders) = &mut self.orders {
            let _ = writeln!(orders, "{line}");
        }
    }

    /// Asks it to end: between two messages, or while it waits for an order.
    pub fn ask_to_stop(&mut self) {
        self.orders = None;
        self.signal(Signal::TERM);
    }

    /// Asks once more. Each signal is heeded once and then kills: this is another one than the first.
    pub fn wake(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        // Not yet waited for, so the pid is still its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it now.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for its end and tells how it ended, where that was not of its own will.
    pub fn fate(&mut self) -> Option<String> {
        self.orders = None;
        match self.child.wait() {
            Ok(status) if status.success() => None,
            Ok(status) => Some(in_words(status)),
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => String::from("ended"),
    }
}

fn command(role: Role, plan: &Plan, args: &Args) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--worker", role.name(), "--parent", &std::process::id().to_string()]);
    if let Some(cpus) = &args.common.pin {
        command.args(["--pin", &cpus.to_string()]);
    }
    if let Some(limit) = plan.spin_tunable {
        command.env("GLIBC_TUNABLES", tunables(std::env::var("GLIBC_TUNABLES").ok(), limit));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

/// The C library reads its tunables once, at the start of a program; those set already stay.
fn tunables(present: Option<String>, limit: i32) -> String {
    let ours = format!("glibc.pthread.mutex_spin_count={limit}");
    match present.filter(|present| !present.is_empty()) {
        Some(present) => format!("{present}:{ours}"),
        None => ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spin_limit_joins_other_tunables() {
        assert_eq!(tunables(None, 7), "glibc.pthread.mutex_spin_count=7");
        assert_eq!(tunables(Some("a.b=1".into()), 7), "a.b=1:glibc.pthread.mutex_spin_count=7");
    }
}
