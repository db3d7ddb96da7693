//! `pulse-trace report`

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::{dashboard, failure::Failure, options::ViewOptions, output, print};
use crate::report;

/// Print the report of a recording, with the same numbers as on the day it was made
#[derive(Args)]
#[command(after_help = "Example: pulse-trace report session.rec --sort p99 --histograms")]
pub struct Report {
    /// The recording
    file: PathBuf,
    /// Show threads apart, if the recording has them
    #[arg(long)]
    threads: bool,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
    /// Open the dashboard on the recording
    #[arg(long, conflicts_with = "json")]
    tui: bool,
    #[command(flatten)]
    view: ViewOptions,
}

impl Report {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if self.tui && dashboard::usable(true) {
            return dashboard::replay(&self.file, &self.view).map(|()| 0);
        }
        let replay = output::replay(&self.file)?;
        if replay.cut || !replay.session.finished {
            // The numbers are good all the same; nothing is to be done about a terminal that is gone.
            let _ = writeln!(
                std::io::stderr().lock(),
                "pulse-trace: note: the recording ends early, as if pulse-trace had been killed; what follows is \
                 complete up to its last whole frame"
            );
        }
        let text = if self.json {
            output::encode(&replay.session)?
        } else {
            report::render(&replay.session, &self.view.report(self.threads))
        };
        print(&text)?;
        Ok(0)
    }
}
