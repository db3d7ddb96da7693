//! `pulse-trace export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use views::{
    export::{csv, folded, hlog},
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
    /// Every distribution as an interval log of HdrHistogram, for its tools
    Hlog,
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
            Form::Hlog => hlog::hlog(&session).map_err(Failure::usage)?,
            Form::Json => output::encode(&session)?,
        };
        if text.is_empty() {
            let (what, remedy) = match self.to {
                Form::Hlog => ("distributions", "record while something is traced"),
                _ => ("stacks", "record with --probes futex or mutex, and without --no-stacks"),
            };
            let file = self.file.display();
            return Err(Failure::usage(format!("cannot export {what} of {file}: it has none; {remedy}")));
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
