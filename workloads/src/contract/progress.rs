//! Progress of a long run: on standard error, and only when that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

/// One line that is written over; cheap to call in a loop that is not measured.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    terminal: bool,
    last: Instant,
}

impl Progress {
    /// Silent unless standard error is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self { shown: false, terminal: io::stderr().is_terminal(), last: Instant::now() }
    }

    /// True when the progress is shown on a terminal.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.terminal
    }

    /// Shows `done` of `total`, at most five times a second.
    pub fn show(&mut self, what: &str, done: u64, total: u64) {
        if !self.terminal || self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        // Progress is a courtesy: a closed standard error must not end the run.
        let _ = write!(io::stderr().lock(), "\r\x1b[K{what}: {done} of {total} ({percent} %)");
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
