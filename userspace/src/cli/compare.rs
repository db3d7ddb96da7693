//! `pulse-trace compare`

use std::path::PathBuf;

use clap::Args;
use views::compare::{self, CompareError, Given, Matching};

use super::{
    failure::Failure,
    side_by_side::{Form, Shown},
};

/// Print recordings or JSON exports side by side
#[derive(Args)]
#[command(after_help = "Files with the same label are rounds of one variant:\n  \
    pulse-trace compare old=1.json old=2.json new=3.json new=4.json --fail-if 'write.p99 > +10%'\n\n\
    Processes are compared by name. Exit codes: 0 compared; 1 a --fail-if was crossed; 2 bad usage or a bad file.")]
pub struct Compare {
    /// Recordings (--record) or exports (--json), each may have a label before it: LABEL=FILE
    #[arg(required = true, value_name = "[LABEL=]FILE")]
    files: Vec<String>,
    /// Compare processes of this name; NAME=OTHER takes OTHER for the same
    #[arg(long = "match", value_name = "NAME[=OTHER]")]
    matches: Vec<String>,
    /// Compare all processes of a file as one
    #[arg(long, conflicts_with = "matches")]
    match_all: bool,
    /// The label that differences are to; that of the first file, if none is named
    #[arg(long, value_name = "LABEL")]
    reference: Option<String>,
    /// Write the comparison as JSON to FILE; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

impl Compare {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if self.files.len() < 2 {
            return Err(Failure::usage("cannot compare: a single file was named; name two or more"));
        }
        let shown = Shown::create(self.json.as_deref(), &self.form)?;
        let given: Vec<Given> = self.files.iter().map(|word| given(word)).collect();
        let matching =
            Matching { names: self.matches.iter().map(|word| names(word)).collect(), all: self.match_all };
        let command = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let comparison = compare::of_files(&given, &matching, self.reference.as_deref(), command)?;
        if let Some(name) =
            self.reference.filter(|name| comparison.columns.iter().all(|it| it.label != *name))
        {
            let known: Vec<&str> = comparison.columns.iter().map(|column| column.label.as_str()).collect();
            return Err(Failure::usage(format!(
                "cannot refer to {name:?}: there is no such label; take one of {}",
                known.join(", ")
            )));
        }
        shown.finish(&comparison, &self.form)
    }
}

/// A label stands before the first `=`, unless the whole is the name of a file.
fn given(word: &str) -> Given {
    match word.split_once('=') {
        Some((label, path)) if !label.is_empty() && !PathBuf::from(word).exists() => {
            Given { label: Some(label.to_owned()), path: path.into() }
        }
        _ => Given { label: None, path: word.into() },
    }
}

fn names(word: &str) -> (String, Vec<String>) {
    let name = word.split('=').next().unwrap_or_default().to_owned();
    (name, word.split('=').map(str::to_owned).collect())
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        Self::usage(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_stands_before_the_first_sign() {
        assert_eq!(given("old=a=b.json"), Given { label: Some("old".to_owned()), path: "a=b.json".into() });
        assert_eq!(given("a.json"), Given { label: None, path: "a.json".into() });
        assert_eq!(names("a=b"), ("a".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
    }
}
