//! `pulse-trace __generate`: completions and manual page, for packages.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

use super::{Cli, failure::Failure};

/// Write shell completions and the manual page into a directory
#[derive(Args)]
pub struct Generate {
    /// Directory that exists
    directory: PathBuf,
}

impl Generate {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let failed = |cause: std::io::Error| {
            let directory = self.directory.display();
            Failure::usage(format!(
                "cannot write into {directory}: {cause}; name a directory that can be written"
            ))
        };
        for shell in Shell::value_variants() {
            clap_complete::generate_to(*shell, &mut Cli::command(), "pulse-trace", &self.directory)
                .map_err(failed)?;
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
        fs::write(self.directory.join("pulse-trace.1"), page).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(failed)?;
        Ok(0)
    }
}
