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
    say, setup, workspace,
};

const TIMES: u32 = 10;

/// The verb.
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
    thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        scope.spawn(|| builds(&over));
        // The others would never hear of the end.
        let rounds = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            for round in 1..=times {
                cargo_tests::privileged(&mut tally, &format!("kernel tests, round {round}"), filter);
            }
        }));
        over.store(true, Relaxed);
        rounds.unwrap_or_else(|cause| panic::resume_unwind(cause));
    });
    conclude(&tally, since)
}

/// Builds the tool anew until the end, in a directory of its own.
fn builds(over: &AtomicBool) {
    let Ok(target) = workspace::target().map(|target| target.join("soak")) else { return };
    while !over.load(Relaxed) {
        let own = |verb: &str| {
            let mut cargo = cargo([verb, "--quiet", "--package", "pulse-trace", "--target-dir"]);
            capture(cargo.arg(&target))
        };
        if let Err(error) = own("clean").and_then(|_| own("check")) {
            return say::note(format_args!("{error:#}; going on without builds beside"));
        }
    }
}
