//! Benchmarks side by side: every round of every variant is run apart, in a seeded random order, traced, and compared.

mod anatomy;
mod machine;
mod order;
mod process;
mod round;
mod run;
mod said;
mod suite;
mod truth;
mod wall;

use kernel::{LoadError, target::TargetError};
pub use run::{Ended, Plan, Progress, bench};
pub use suite::{Job, Suite, commands};

use crate::session::SessionError;

/// Reason for the failure of a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The program of a suite is not there.
    #[error(
        "cannot run the suite: its program {0} is neither beside pulse-trace nor in PATH; build it with `cargo xtask build --release`"
    )]
    NoProgram(&'static str),
    /// A variant was asked for that the suite does not have.
    #[error("cannot run variant {name:?}: {cause}; the suite has {known}")]
    Variant {
        /// Name that was asked for.
        name: String,
        /// Fault of that name.
        cause: String,
        /// Names that exist, in words.
        known: String,
    },
    /// A program did not do what it should.
    #[error("cannot run {label}: {cause}; run it alone to see why: {command}")]
    Program {
        /// Label of the variant.
        label: String,
        /// Description of the failure.
        cause: String,
        /// Command that was run.
        command: String,
    },
    /// A round failed.
    #[error("{error} (round {round} of {all})")]
    Round {
        /// Number of the round, from 1, warm-ups included.
        round: usize,
        /// Of how many.
        all: usize,
        /// Failure of the round.
        #[source]
        error: Box<BenchError>,
    },
    /// It cannot be traced.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The program could not be started or followed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The kernel side cannot be set up as wanted.
    #[error("cannot trace: {0}; leave --probes at its default")]
    Setup(String),
    /// The event loop cannot work.
    #[error("cannot wait for events: {0}; see whether the limit of open files is reached (`ulimit -n`)")]
    Events(std::io::Error),
}
