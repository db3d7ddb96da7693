//! `pulse-trace report`

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use views::report;

use super::{dashboard, failure::Failure, options::ViewOptions, output, page::Page, print};

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
    /// Write one HTML file that holds everything: plots, tables, the ledger; it needs no network
    #[arg(long, value_name = "FILE", conflicts_with = "tui")]
    html: Option<PathBuf>,
    #[command(flatten)]
    view: ViewOptions,
}

impl Report {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if self.tui && dashboard::usable(true) {
            return dashboard::replay(&self.file, &self.view).map(|()| 0);
        }
        // Created first: a slip in a path is to be known at once.
        let page = self.html.as_deref().map(Page::create).transpose()?;
        let replay = output::replay(&self.file)?;
        if replay.cut || !replay.session.finished {
            // The numbers are good all the same; nothing is to be done about a terminal that is gone.
            let _ = writeln!(
                std::io::stderr().lock(),
                "pulse-trace: note: the recording ends early, as if pulse-trace had been killed; what follows is \
                 complete up to its last whole frame"
            );
        }
        if let Some(page) = page {
            page.write(&replay.session)?;
            return Ok(0);
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
