//! `pulse-trace run`

use std::{os::unix::process::ExitStatusExt as _, process::Stdio};

use clap::Args;
use kernel::{inline::Detail, target::Held};
use rustix::process::Signal;

use super::{
    beside::Beside,
    dashboard::{self, Wanted},
    failure::Failure,
    live,
    options::{Inline, TraceOptions},
};
use crate::session::Scope;

/// Start a command and trace it from its first instruction; its exit status is passed on
#[derive(Args)]
#[command(
    after_help = "Example: pulse-trace run -- ls -l\n\nUnder sudo the command runs as the user who typed it."
)]
pub struct Run {
    /// Trace only the command itself, not the processes that it starts
    #[arg(long)]
    no_children: bool,
    /// Count inside of the command, each time that glibc's pthread_mutex_lock, or a wait for a condition,
    /// takes a normal, error-checking or adaptive mutex: puts jumps to counters into its code once its libraries are
    /// loaded. With per-lock, every mutex has its own row too. Costs 1 to 7 ns each: loops that do
    /// little but lock took 0.9 to 1.7 times as long. Not counted: trylock, time limits, other kinds
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "per-kind")]
    inline: Option<Inline>,
    #[command(flatten)]
    options: TraceOptions,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<std::ffi::OsString>,
}

impl Run {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        self.options.validate()?;
        let inline = self.inline.map(Detail::from);
        live::validate_inline(&self.options, inline)?;
        let scope = if self.no_children { Scope::Targets } else { Scope::Children };
        // The command has the same terminal: a dashboard only if the user asks for it.
        let wanted = dashboard::wanted(&self.options, false);
        let (mut held, beside) = match wanted {
            Wanted::No => (Held::start(&self.command)?, None),
            Wanted::Yes => {
                let (beside, ends) = Beside::listen()?;
                (Held::start_among(&self.command, Stdio::null(), ends.output, ends.errors)?, Some(beside))
            }
        };
        let traced = live::trace_command(&self.options, scope, &mut held, inline, wanted);
        beside.iter().for_each(Beside::free);
        if let (Err(failure), None) = (&traced, held.released()) {
            // The command has not begun, and never will.
            held.signal(Signal::KILL);
            let _ = held.wait();
            return Err(Failure::new(failure.to_string(), failure.code()));
        }
        // Even where tracing has failed the command goes on, and its status is passed on.
        let ended = held.wait();
        if let Some(beside) = beside {
            beside.end();
        }
        if let Err(failure) = traced {
            super::say(&failure.to_string(), failure.code());
        }
        let status = ended.map_err(|cause| {
            Failure::usage(format!(
                "cannot learn how the command ended: {cause}; it ran to its end all the same"
            ))
        })?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(code.unwrap_or(1) as u8)
    }
}
