//! `pulse-trace export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use views::{
    export::{csv, folded},
    files,
};

use super::{failure::Failure, output, print};

/// Write a recording in a form that other programs read
#[derive(Args)]
#[command(after_help = "Example: pulse-trace export session.rec --to folded | flamegraph.pl > locks.svg")]
pub struct Export {
    /// The recording
    file: PathBuf,
    /// The form
    #[arg(long, value_name = "FORM")]
    to: Form,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Collapsed stacks of every lock, for flame graphs
    Folded,
    /// One row for each call of each process, and one for each lock
    Csv,
    /// The whole session, as `report --json` prints it
    Json,
}

impl Export {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let session = output::replay(&self.file)?.session;
        let text = match self.to {
            Form::Folded => folded::folded(&session),
            Form::Csv => csv::csv(&session),
            Form::Json => output::encode(&session)?,
        };
        if text.is_empty() {
            return Err(Failure::usage(format!(
                "cannot export stacks of {}: it has none; record with --probes futex or mutex, and without --no-stacks",
                self.file.display()
            )));
        }
        match &self.output {
            Some(path) if path.as_os_str() != "-" => {
                files::create(path).and_then(|mut file| file.put(text.as_bytes())).map_err(Failure::usage)?;
            }
            _ => print(&text)?,
        }
        Ok(0)
    }
}
