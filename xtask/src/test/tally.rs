//! Counts of passed, failed and skipped tests, over all runs.

use std::{collections::BTreeMap, fmt::Write as _, time::Instant};

use anyhow::Result;

use crate::say;

/// The sum over all runs.
#[derive(Default)]
pub struct Tally {
    passed: usize,
    failures: Vec<String>,
    skips: BTreeMap<String, String>,
}

/// Output of one `cargo test`, line by line.
#[derive(Default)]
pub struct Lines {
    passed: usize,
    failures: Vec<String>,
    skips: BTreeMap<String, String>,
    /// Names since the last `failures:`.
    listed: Option<Vec<String>>,
}

impl Tally {
    /// Runs something that passes or fails as a whole. It is no test: it counts only when it fails.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        say::title(name);
        let since = Instant::now();
        match run() {
            Ok(()) => say::note(format_args!("{name}: ok, {}", say::elapsed(since))),
            Err(error) => {
                say::note(format_args!("{name}: {error:#}"));
                self.failures.push(name.to_owned());
            }
        }
    }

    /// Counts a test.
    pub fn test(&mut self, name: &str, verdict: Result<(), String>) {
        match verdict {
            Ok(()) => self.passed += 1,
            Err(why) => {
                say::note(format_args!("{name}: {why}"));
                self.failures.push(name.to_owned());
            }
        }
    }

    /// Notes a test that could not run.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.skips.insert(name.to_owned(), reason.to_owned());
    }

    /// Adds a run of `cargo test`. One that failed without naming a test did not even compile, or crashed.
    pub fn add(&mut self, run: &str, lines: Lines, succeeded: bool) {
        // To the harness a skipped test is one that passed.
        self.passed += lines.passed.saturating_sub(lines.skips.len());
        if !succeeded && lines.failures.is_empty() {
            self.failures.push(format!("{run} (did not come to an end)"));
        }
        self.failures.extend(lines.failures.into_iter().map(|test| format!("{run}: {test}")));
        self.skips.extend(lines.skips);
    }

    /// Number of failures; `strict` adds the skipped tests.
    pub fn failed(&self, strict: bool) -> usize {
        self.failures.len() + if strict { self.skips.len() } else { 0 }
    }

    /// Skips, failures and, alone on the last line, the numbers.
    pub fn summary(&self, strict: bool) -> String {
        let mut text = String::new();
        if !self.skips.is_empty() {
            let meaning = if strict { ", which PULSE_REQUIRE=all forbids" } else { "" };
            let _ = writeln!(text, "{} skipped{meaning}:", self.skips.len());
            for (test, reason) in &self.skips {
                let _ = writeln!(text, "  SKIP {test}: {reason}");
            }
        }
        if !self.failures.is_empty() {
            let _ = writeln!(text, "failed:");
            for failure in &self.failures {
                let _ = writeln!(text, "  {failure}");
            }
        }
        let _ = write!(text, "{} passed, {} failed", self.passed, self.failed(strict));
        text
    }
}

impl Lines {
    /// Takes in one line of a test run's output.
    pub fn take(&mut self, line: &str) {
        if let Some(numbers) = line.strip_prefix("test result: ") {
            self.passed += number_before(numbers, " passed").unwrap_or(0);
            let failed = number_before(numbers, " failed").unwrap_or(0);
            let mut names = self.listed.take().unwrap_or_default();
            names.resize(failed, "a test that was not named".to_owned());
            self.failures.append(&mut names);
        } else if let Some((test, reason)) = skip_marker(line) {
            self.skips.insert(test.to_owned(), reason.to_owned());
        } else if line == "failures:" {
            // Comes twice: above what the tests printed, and above the list of their names.
            self.listed = Some(Vec::new());
        } else if let (Some(listed), Some(test)) = (&mut self.listed, line.strip_prefix("    ")) {
            listed.push(test.to_owned());
        }
    }
}

/// `SKIP test: reason`, on a line of its own or behind the name that the harness printed.
fn skip_marker(line: &str) -> Option<(&str, &str)> {
    let marker =
        line.strip_prefix("SKIP ").or_else(|| line.split_once(" ... SKIP ").map(|(_, marker)| marker))?;
    let (test, reason) = marker.split_once(": ")?;
    (!test.contains(' ')).then_some((test, reason))
}

fn number_before(text: &str, unit: &str) -> Option<usize> {
    text.split_once(unit)?.0.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "running 4 tests
test a ... ok
test b ... SKIP b: the kernel has no kprobes
ok
test c ... FAILED
test d - (line 3) ... FAILED

failures:

---- c stdout ----
    left

failures:
    c
    d - (line 3)

test result: FAILED. 2 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s";

    fn lines(text: &str) -> Lines {
        let mut lines = Lines::default();
        text.lines().for_each(|line| lines.take(line));
        lines
    }

    #[test]
    fn runs_are_summed_and_skips_are_no_passes() {
        let mut tally = Tally::default();
        tally.add("x", lines(RUN), false);
        let summary = tally.summary(false);
        assert_eq!(summary.lines().last(), Some("6 passed, 2 failed"));
        assert!(
            summary.contains("  SKIP b: the kernel has no kprobes") && summary.contains("  x: d - (line 3)")
        );
    }

    #[test]
    fn a_skip_fails_where_everything_is_required() {
        let mut tally = Tally::default();
        tally.add("x", lines("SKIP b: no such tool\ntest result: ok. 1 passed; 0 failed;"), true);
        assert_eq!(tally.failed(false), 0);
        assert_eq!(tally.summary(true).lines().last(), Some("0 passed, 1 failed"));
    }

    #[test]
    fn a_run_that_crashes_and_a_step_that_fails_count() {
        let mut tally = Tally::default();
        tally.add("x", lines("error: could not compile"), false);
        tally.step("y", || anyhow::bail!("no"));
        tally.step("z", || Ok(()));
        assert_eq!(tally.summary(false).lines().last(), Some("0 passed, 2 failed"));
    }

    #[test]
    fn only_markers_are_skips() {
        assert_eq!(skip_marker("SKIP a::b: no root"), Some(("a::b", "no root")));
        assert_eq!(skip_marker("test a::b ... SKIP a::b: no: root"), Some(("a::b", "no: root")));
        assert_eq!(skip_marker("SKIP this line: it is prose"), None);
        assert_eq!(skip_marker("say SKIP a: b"), None);
    }
}
