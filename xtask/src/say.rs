//! Talking to the person at the terminal: results on standard output, everything else on standard error.

use std::{
    fmt::Display,
    io::{self, Write},
    time::{Duration, Instant},
};

/// A line of result. A reader that has gone is no reason to stop.
pub fn out(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A line about what is going on.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Announces a part of a longer verb.
pub fn title(text: impl Display) {
    note(format_args!("\n== {text}"));
}

/// A duration as people say it.
pub fn elapsed(since: Instant) -> String {
    human(since.elapsed())
}

fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_readable() {
        assert_eq!(human(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(human(Duration::from_secs(125)), "2 min 5 s");
    }
}
