//! `pulse-trace attach`

use clap::Args;
use kernel::{
    inline::Detail,
    target::{Selection, resolve},
};

use super::{
    dashboard,
    failure::Failure,
    live,
    options::{Inline, TraceOptions, id},
};
use crate::session::Scope;

/// Trace running processes until Ctrl-C, the end of --duration, or their own
#[derive(Args)]
#[command(after_help = "Example: pulse-trace attach -p 1234 -d 5s --histograms")]
pub struct Attach {
    /// Process to trace, with all its threads; repeat it or separate several by commas
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = id, allow_hyphen_values = true)]
    pids: Vec<u32>,
    /// Thread to trace alone
    #[arg(short, long = "tid", value_name = "TID", value_delimiter = ',', value_parser = id, allow_hyphen_values = true)]
    tids: Vec<u32>,
    /// Trace the processes that have this name now
    #[arg(long, value_name = "NAME")]
    comm: Vec<String>,
    /// Trace processes that descend from the targets too: those that there are, and those to come from their first
    /// instruction on
    #[arg(long)]
    children: bool,
    /// Trace every process but pulse-trace itself, each thread from its first system call on
    #[arg(short, long, conflicts_with_all = ["pids", "tids", "comm", "children"])]
    all: bool,
    /// Count inside of the targets, each time that glibc's pthread_mutex_lock, or a wait for a condition,
    /// takes a normal, error-checking or adaptive mutex: puts jumps to counters into their code, and takes them out at
    /// the end. With per-lock, every mutex has its own row too. Costs 1 to 7 ns each: loops that do
    /// little but lock took 0.9 to 1.7 times as long. Not counted: trylock, time limits, other kinds
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "per-kind", conflicts_with_all = ["tids", "all"])]
    inline: Option<Inline>,
    #[command(flatten)]
    options: TraceOptions,
}

impl Attach {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        self.options.validate()?;
        let inline = self.inline.map(Detail::from);
        live::validate_inline(&self.options, inline)?;
        let mut selection = Selection { pids: self.pids, tids: self.tids, comms: self.comm };
        let is_open = selection == Selection::default();
        if is_open && !self.all && dashboard::can_ask(&self.options) {
            match dashboard::ask(&self.options)? {
                Some(pid) => selection.pids.push(pid),
                None => return Ok(0),
            }
        } else if is_open && !self.all {
            return Err(Failure::usage(
                "cannot attach: no target was given; name one with -p PID, -t TID or --comm NAME, or take --all",
            ));
        }
        let targets = resolve(&selection)?;
        let scope = match (self.all, self.children) {
            (true, _) => Scope::Everybody,
            (_, true) => Scope::Children,
            _ => Scope::Targets,
        };
        live::trace_targets(&self.options, scope, &targets, inline)?;
        Ok(0)
    }
}
