//! From `main` to the exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::sys::signal;

/// Exit status when the program did its work but its own invariants do not hold.
pub const EXIT_UNTRUE: u8 = 1;
/// Exit status of a refusal: bad usage, a missing peer, no space.
pub const EXIT_REFUSED: u8 = 2;

/// Installs the stop signals, runs `body`, prints its error, and gives the exit status.
///
/// `body` answers whether the invariants of its truth hold (or, for `syncbench`, whether nothing got slower).
pub fn main(body: impl FnOnce() -> anyhow::Result<bool>) -> ExitCode {
    let outcome = signal::install().map_err(Into::into).and_then(|()| body());
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_UNTRUE),
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell anyone if standard error is gone too.
            let _ = writeln!(io::stderr().lock(), "error: {error:#}");
            ExitCode::from(EXIT_REFUSED)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
