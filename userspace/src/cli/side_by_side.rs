//! What `bench` and `compare` have in common: the forms in which a comparison is shown, and what makes it fail.

use std::{io::Write as _, path::Path};

use clap::Args;

use super::{
    failure::{CHECK, Failure},
    options::terminal_width,
    print,
};
use crate::{
    compare::{Threshold, csv, json::Comparison, markdown, text},
    files::{self, OutputFile},
};

/// How a comparison is shown.
#[derive(Args)]
pub struct Form {
    /// Print Markdown instead of the table
    #[arg(long)]
    markdown: bool,
    /// Print comma-separated values instead of the table
    #[arg(long, conflicts_with = "markdown")]
    csv: bool,
    /// Show every row, and every difference with its interval
    #[arg(long)]
    all: bool,
    /// Draw the distributions of the N most important quantities over each other
    #[arg(long, value_name = "N", default_value_t = 1)]
    histograms: usize,
    /// Exit with 1 if a difference crosses this, e.g. 'write.p99 > +10%'; an undecided one does not
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Threshold>,
}

/// Where a comparison goes.
pub struct Shown {
    file: Option<OutputFile>,
    to_stdout: bool,
}

impl Shown {
    /// Creates the file first: a slip in its path must not cost a benchmark.
    pub fn create(json: Option<&Path>) -> Result<Self, Failure> {
        let to_stdout = json.is_some_and(|path| path.as_os_str() == "-");
        let path = json.filter(|_| !to_stdout);
        Ok(Self { file: path.map(files::create).transpose().map_err(Failure::usage)?, to_stdout })
    }

    /// Shows it; the exit code.
    pub fn finish(self, comparison: &Comparison, form: &Form) -> Result<u8, Failure> {
        let mut json = serde_json::to_vec(comparison)
            .map_err(|cause| Failure::usage(format!("cannot write JSON: {cause}; leave --json out")))?;
        json.push(b'\n');
        if let Some(mut file) = self.file {
            file.put(&json).map_err(Failure::usage)?;
        }
        let options = text::Options { width: terminal_width(), all: form.all, histograms: form.histograms };
        let shown = match (self.to_stdout, form.markdown, form.csv) {
            (true, ..) => String::from_utf8_lossy(&json).into_owned(),
            (_, true, _) => markdown(comparison),
            (_, _, true) => csv(comparison),
            _ => text::render(comparison, options),
        };
        print(&shown)?;
        let mut code = 0;
        for threshold in &form.fail_if {
            for crossed in threshold.crossed(comparison).map_err(Failure::usage)? {
                // The exit code says it too.
                let _ = writeln!(std::io::stderr().lock(), "pulse-trace: crossed: {crossed}");
                code = CHECK;
            }
        }
        Ok(code)
    }
}
