//! `cargo xtask soak [TIMES [FILTER...]]`: the kernel tests again and again, beside a busy loop on each CPU and builds.

use std::{
    hint, panic,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::{cargo_tests, conclude, libraries, tally::Tally, tools};
use crate::{
    build,
    process::{capture, cargo},
    setup, workspace,
};

const TIMES: u32 = 10;

/// Runs the verb `soak`.
pub fn run(arguments: &[String]) -> Result<()> {
    let (times, filter) = match arguments.split_first() {
        Some((times, filter)) => {
            let number = times.parse().ok().filter(|times| *times > 0);
            (number.with_context(|| format!("cannot soak `{times}` times: give a number first"))?, filter)
        }
        None => (TIMES, arguments),
    };
    let since = Instant::now();
    setup::ensure()?;
    tools::ensure(tools::ALL);
    libraries::ensure();
    build::binaries(false)?;
    let mut tally = Tally::default();
    let over = AtomicBool::new(false);
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let built = thread::scope(|scope| {
        let ends = Ends(&over);
        for _ in 0..cpus {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        let builds = scope.spawn(|| builds(&over));
        for round in 1..=times {
            cargo_tests::privileged(&mut tally, &format!("kernel tests, round {round}"), filter);
        }
        drop(ends);
        builds.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
    });
    tally.test("builds beside", built.map_err(|error| format!("{error:#}")));
    conclude(&tally, since)
}

/// Ends the load, also where a round panics: the scope waits for it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Builds the tool anew until the end, in a directory of its own.
fn builds(over: &AtomicBool) -> Result<()> {
    let target = workspace::target()?.join("soak");
    while !over.load(Relaxed) {
        for verb in ["clean", "check"] {
            let mut cargo = cargo([verb, "--quiet", "--package", "pulse-trace", "--target-dir"]);
            capture(cargo.arg(&target))?;
        }
    }
    Ok(())
}
