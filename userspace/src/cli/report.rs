//! `pulse-trace report`

use std::path::PathBuf;

use clap::Args;

use super::{failure::Failure, options::ViewOptions};

/// Print the report of a recording
#[derive(Args)]
pub struct Report {
    /// The recording
    file: PathBuf,
    #[command(flatten)]
    view: ViewOptions,
}

impl Report {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        Ok(0)
    }
}
