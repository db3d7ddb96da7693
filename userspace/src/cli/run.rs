//! `pulse-trace run`

use std::os::unix::process::ExitStatusExt as _;

use clap::Args;

use super::{
    failure::Failure,
    live,
    options::{Inline, TraceOptions},
};
use crate::{inline::Detail, session::Scope, target::Held};

/// Start a command and trace it from its first instruction; its exit status is passed on
#[derive(Args)]
#[command(
    after_help = "Example: pulse-trace run -- ls -l\n\nUnder sudo the command runs as the user who typed it."
)]
pub struct Run {
    /// Trace only the command itself, not the processes that it starts
    #[arg(long)]
    no_children: bool,
    /// Count inside of the command, at full speed, each time that glibc's pthread_mutex_lock, or a wait for a condition,
    /// takes a normal, error-checking or adaptive mutex: puts jumps to counters into its code once its libraries are
    /// loaded. With per-lock, every mutex has its own row too. Not counted: trylock, time limits, other kinds
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
        let mut held = Held::start(&self.command)?;
        live::trace_command(&self.options, scope, &mut held, inline)?;
        let status = held.wait().map_err(|cause| {
            Failure::usage(format!(
                "cannot learn how the command ended: {cause}; it ran to its end all the same"
            ))
        })?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(code.unwrap_or(1) as u8)
    }
}
