//! Runs `cargo test`, shows its output as it comes, and reads it along.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::tally::{Lines, Tally};
use crate::{
    process::{self, cargo},
    say, workspace,
};

/// Unit, contract and golden tests, as the caller.
pub fn unprivileged(tally: &mut Tally) {
    let mut test = cargo(["test", "--workspace", "--exclude", workspace::EBPF, "--no-fail-fast"]);
    read_along(tally, "unprivileged tests", test.args(["--", "--show-output"]));
}

/// The unit tests of every library, as the caller.
pub fn units(tally: &mut Tally) {
    let mut test = cargo(["test", "--workspace", "--exclude", workspace::EBPF, "--lib", "--no-fail-fast"]);
    read_along(tally, "unit tests", test.args(["--", "--show-output"]));
}

/// Every interleaving of the lock-free parts of the workloads, explored with other atomics in their place.
pub fn interleavings(tally: &mut Tally) {
    let mut test =
        cargo(["test", "--package", "pulse-trace-workloads", "--lib", "--release", "--target-dir"]);
    match workspace::target() {
        Ok(target) => test.arg(target.join("loom")),
        Err(error) => return tally.test("interleavings", Err(format!("{error:#}"))),
    };
    read_along(tally, "interleavings", test.env("RUSTFLAGS", "--cfg loom").arg("loom_"));
}

/// The tests that load BPF programs, which plain `cargo test` leaves out, or those of them that a filter names: built
/// as the caller, run as root, one at a time.
pub fn privileged(tally: &mut Tally, name: &str, filter: &[String]) {
    if !workspace::root().join("userspace/tests/kernel/main.rs").is_file() {
        tally.test(name, Err("userspace/tests/kernel/main.rs is missing: there is nothing to run".into()));
        return;
    }
    let as_root = match process::as_root() {
        Ok(words) => words,
        Err(error) => return tally.skip(name, &format!("{error:#}")),
    };
    let mut test = cargo(["test", "--package", "pulse-trace", "--test", "kernel"]);
    if !as_root.is_empty() {
        let words: Vec<String> = as_root.iter().map(|word| format!("'{word}'")).collect();
        test.arg("--config").arg(format!("target.'cfg(unix)'.runner = [{}]", words.join(", ")));
    }
    read_along(tally, name, test.args(["--", "--test-threads=1", "--show-output"]).args(filter));
}

fn read_along(tally: &mut Tally, name: &str, test: &mut Command) {
    say::title(name);
    say::note(format_args!("$ {}", process::shown(test)));
    let since = Instant::now();
    match streamed(test, |line| say::out(line), |line| say::note(line)) {
        Ok((lines, succeeded)) => tally.add(name, lines, succeeded),
        Err(error) => tally.test(name, Err(format!("{error:#}"))),
    }
    say::note(format_args!("{name}: {}", say::elapsed(since)));
}

/// Runs a command, hands on each line of its streams and reads them.
fn streamed(
    command: &mut Command,
    out: impl FnMut(&str),
    err: impl FnMut(&str) + Send + 'static,
) -> Result<(Lines, bool)> {
    let shown = process::shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let stderr = child.stderr.take().context("standard error is not piped")?;
    let stdout = child.stdout.take().context("standard output is not piped")?;
    let errors = thread::spawn(move || each_line(stderr, err));
    let printed = each_line(stdout, out);
    let mut lines = Lines::default();
    printed.iter().for_each(|line| lines.take(line));
    let errors = errors.join().unwrap_or_default();
    errors.iter().filter(|line| line.starts_with("SKIP ")).for_each(|line| lines.take(line));
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    Ok((lines, status.success()))
}

/// Hands on every line of a stream and keeps it. Tests may print bytes that are no text.
fn each_line(stream: impl Read, mut hand_on: impl FnMut(&str)) -> Vec<String> {
    let mut kept = Vec::new();
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        hand_on(&text);
        kept.push(text);
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_are_read() {
        let script =
            "echo 'test result: ok. 3 passed; 0 failed;'; echo 'SKIP a: no' >&2; printf 'x\\377'; exit 1";
        let (lines, succeeded) = streamed(Command::new("sh").args(["-c", script]), |_| {}, |_| {}).unwrap();
        let mut tally = Tally::default();
        tally.add("x", lines, true);
        assert!(!succeeded);
        assert!(tally.summary(false).ends_with("2 passed, 0 failed"));
    }
}
