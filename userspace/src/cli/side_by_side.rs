//! Common parts of `bench` and `compare`: the forms in which a comparison is shown, and what makes it fail.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use model::stats;
use views::{
    compare::{Threshold, csv, json::Comparison, markdown, text},
    export::html,
    files::{self, OutputFile},
};

use super::{
    failure::{CHECK, Failure},
    options::terminal_width,
    page::Page,
    print,
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
    /// Write one page that shows it all into FILE, and needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show every row, and every difference with its interval
    #[arg(long)]
    all: bool,
    /// Draw the distributions of the N most important quantities over each other
    #[arg(long, value_name = "N", default_value_t = 1)]
    histograms: usize,
    /// Exit with 1 if a difference is beyond this, e.g. 'write.p99 > +10%': rounds must exclude that it is 10 % or less
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Threshold>,
}

impl Form {
    /// Refuses conditions that take more rounds than are to be run.
    pub fn validate(&self, rounds: u32, variants: usize) -> Result<(), Failure> {
        let least = stats::least_rounds_of_gates(self.fail_if.len() * variants.saturating_sub(1));
        // A single round goes by the difference itself.
        if self.fail_if.is_empty() || variants < 2 || rounds == 1 || rounds as usize >= least {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "cannot check --fail-if: {rounds} rounds of each are too few to cross it; take --rounds {least}"
        )))
    }
}

/// Outputs of a comparison.
pub struct Shown {
    file: Option<OutputFile>,
    to_stdout: bool,
    page: Option<Page>,
}

impl Shown {
    /// Creates the file first: a slip in its path must not cost a benchmark.
    pub fn create(json: Option<&Path>, form: &Form) -> Result<Self, Failure> {
        let to_stdout = json.is_some_and(|path| path.as_os_str() == "-");
        let path = json.filter(|_| !to_stdout);
        let page = form.html.as_deref().map(Page::create).transpose()?;
        Ok(Self { file: path.map(files::create).transpose().map_err(Failure::usage)?, to_stdout, page })
    }

    /// Shows it; the exit code.
    pub fn finish(self, comparison: &Comparison, form: &Form) -> Result<u8, Failure> {
        let json = encode(comparison)?;
        if let Some(mut file) = self.file {
            file.put(&json).map_err(Failure::usage)?;
        }
        if let Some(file) = self.page {
            file.put(&page(comparison, &json)?)?;
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
            let checked = threshold.check(comparison, form.fail_if.len()).map_err(Failure::usage)?;
            if !checked.crossed.is_empty() {
                code = CHECK;
            }
            let crossed = checked.crossed.into_iter().map(|crossed| format!("crossed: {crossed}"));
            for line in crossed.chain(checked.notes) {
                // The exit code says it too.
                let _ = writeln!(std::io::stderr().lock(), "pulse-trace: {line}");
            }
        }
        Ok(code)
    }
}

/// Distributions of a variant that a page keeps where all would be too many.
const MOST_HISTOGRAMS: usize = 8;

/// The page; where it would be too large, only the distributions that took the most time are on it.
fn page(comparison: &Comparison, json: &[u8]) -> Result<String, Failure> {
    let whole = html::page(&String::from_utf8_lossy(json), &[], &[]);
    if whole.len() <= html::LARGEST {
        return Ok(whole);
    }
    let mut less = comparison.clone();
    for column in &mut less.columns {
        column.histograms.sort_by_key(|it| (it.key != "latency", std::cmp::Reverse(it.values.sum)));
        column.histograms.truncate(MOST_HISTOGRAMS);
    }
    let json = encode(&less)?;
    let remark =
        format!("Only the {MOST_HISTOGRAMS} distributions that took the most time are here; --json has all.");
    Ok(html::page(&String::from_utf8_lossy(&json), &[], &[remark]))
}

fn encode(comparison: &Comparison) -> Result<Vec<u8>, Failure> {
    let mut json = serde_json::to_vec(comparison)
        .map_err(|cause| Failure::usage(format!("cannot write JSON: {cause}; leave --json out")))?;
    json.push(b'\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_that_take_more_rounds_are_refused_before_any_is_run() {
        let refused = |rounds: u32, variants: usize, conditions: usize| {
            let fail_if = vec!["wall > +5%".parse().unwrap(); conditions];
            let form = Form { markdown: false, csv: false, html: None, all: false, histograms: 1, fail_if };
            form.validate(rounds, variants).err().map(|failure| failure.to_string())
        };
        assert!(refused(2, 2, 1).unwrap().ends_with("take --rounds 3"));
        assert!(refused(3, 2, 2).unwrap().ends_with("take --rounds 4"));
        assert!(refused(3, 3, 1).unwrap().ends_with("take --rounds 4"));
        // A single round goes by the difference, a single variant has none, and without a condition nothing is tested.
        for (rounds, variants, conditions) in [(3, 2, 1), (1, 2, 1), (2, 1, 1), (2, 2, 0)] {
            assert_eq!(refused(rounds, variants, conditions), None, "{rounds} {variants} {conditions}");
        }
    }
}
