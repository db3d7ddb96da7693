//! `pulse-trace bench`

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use model::{stats, units};

use super::{
    failure::Failure,
    side_by_side::{Form, Shown},
};
use crate::bench::{self, BenchError, Job, Plan, Progress, Suite, commands};

/// Traced rounds of each variant, if a verdict takes no more.
const ROUNDS: u32 = 5;

/// Run variants in turn, trace each, and print them side by side
#[derive(Args)]
#[command(after_help = "Suites: ipc, shmemq, casq, eventbuf, sync; or cmd for any commands.\n\n\
    Examples:\n  pulse-trace bench ipc --variants pipe,tcp -- --messages 200\n  \
    pulse-trace bench cmd -- 'sort a.txt' -- 'sort -S 1M a.txt'\n\n\
    Ctrl-C ends it and shows what was done until then; so does a program that fails, with exit code 2.")]
pub struct Bench {
    /// What to run
    suite: String,
    /// Variants of the suite, in the order in which they are shown
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    variants: Vec<String>,
    /// Traced rounds of each variant; 5 if not given, and as many as a verdict takes where that is more: 6 from 8
    /// variants on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Seed of the order of rounds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The variant that differences are to; the first one, if none is named
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
    /// Do not run each variant once before anything counts
    #[arg(long)]
    no_warmup: bool,
    /// Let commands count all the same when they end with another status than 0 (cmd only)
    #[arg(long)]
    ignore_failure: bool,
    /// Probes to use
    #[arg(long, value_name = "NAMES", default_value = "auto", value_delimiter = ',')]
    probes: Vec<String>,
    /// Also measure the processes of each name apart, such as the producers and the aggregator of logagg
    #[arg(long)]
    by_name: bool,
    /// Write the whole comparison, every round included, as JSON to FILE; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
    /// Options for the programs of a suite; for `cmd` the commands, each in one word, with -- between them
    #[arg(last = true, value_name = "OPTIONS")]
    rest: Vec<OsString>,
}

impl Bench {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let plan = self.plan()?;
        self.form.validate(plan.rounds, plan.jobs.len())?;
        let shown = Shown::create(self.json.as_deref(), &self.form)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
                Failure::usage(format!(
                    "cannot start the event loop: {cause}; see whether the limit of open files is reached"
                ))
            })?;
        let mut progress = Line { visible: std::io::stderr().is_terminal(), width: 0 };
        let ended = runtime.block_on(bench::bench(&plan, &mut progress));
        progress.clear();
        let ended = ended?;
        let code = shown.finish(&ended.comparison, &self.form)?;
        ended.failure.map_or(Ok(code), |failure| Err(failure.into()))
    }

    fn plan(&self) -> Result<Plan, Failure> {
        for name in self.probes.iter().filter(|name| *name != model::probes::AUTO) {
            model::probes::named(name).map_err(Failure::usage)?;
        }
        let (mut jobs, per) = self.jobs()?;
        jobs.iter_mut().for_each(|job| job.by_name = self.by_name);
        let reference = match &self.reference {
            None => 0,
            Some(name) => jobs.iter().position(|job| job.label == *name).ok_or_else(|| {
                Failure::usage(format!(
                    "cannot refer to {name:?}: it is not among the variants; name one of them"
                ))
            })?,
        };
        Ok(Plan {
            title: format!("bench {}", self.suite),
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            rounds: self.rounds.unwrap_or_else(|| usual_rounds(jobs.len())),
            jobs,
            reference,
            warm_up: !self.no_warmup,
            seed: self.seed,
            probes: self.probes.clone(),
            per,
        })
    }

    fn jobs(&self) -> Result<(Vec<Job>, Option<String>), Failure> {
        if self.suite == "cmd" {
            let lines: Vec<OsString> = self.rest.iter().filter(|word| *word != "--").cloned().collect();
            if lines.is_empty() || !self.variants.is_empty() {
                return Err(Failure::usage(
                    "cannot run commands: write them behind --, each in one word: bench cmd -- 'CMD A' -- 'CMD B'",
                ));
            }
            return Ok((commands(&lines, self.ignore_failure), None));
        }
        let found = Suite::ALL.iter().find(|(name, _)| *name == self.suite);
        let (_, suite) = found.ok_or_else(|| {
            let known: Vec<&str> = Suite::ALL.iter().map(|(name, _)| *name).collect();
            Failure::usage(format!(
                "cannot run {:?}: there is no such suite; take {}, or cmd for commands",
                self.suite,
                known.join(", ")
            ))
        })?;
        Ok((suite.jobs(&self.variants, &self.rest)?, Some(suite.per().to_owned())))
    }
}

fn usual_rounds(variants: usize) -> u32 {
    ROUNDS.max(stats::least_rounds(variants.saturating_sub(1)) as u32)
}

/// One line on a terminal that is written over.
struct Line {
    visible: bool,
    width: usize,
}

impl Line {
    fn write(&mut self, text: &str) {
        if self.visible {
            let width = self.width.max(text.chars().count());
            self.width = text.chars().count();
            // Nothing is to be done about a terminal that is gone.
            let _ = write!(std::io::stderr().lock(), "\r{text:<width$}\r");
        }
    }

    fn clear(&mut self) {
        self.write("");
    }
}

impl Progress for Line {
    fn next(&mut self, done: usize, all: usize, label: &str, left: Option<Duration>) {
        let left = left
            .map(|left| format!(", about {} left", units::time(left.as_nanos() as u64)))
            .unwrap_or_default();
        self.write(&format!("round {} of {all}{left}: {}", done + 1, model::text::printable(label)));
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Load(error) => error.into(),
            BenchError::Round { error, .. } if matches!(*error, BenchError::Load(_)) => (*error).into(),
            other => Self::usage(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_five_or_as_many_as_a_verdict_takes() {
        assert_eq!([1, 2, 7, 8, 24, 25].map(usual_rounds), [5, 5, 5, 6, 6, 7]);
    }
}
