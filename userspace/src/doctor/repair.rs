//! Removes what a killed tool left inside of a target.

use kernel::inline::{self, InlineError};

use super::{Finding, Verdict};

const SUBJECT: &str = "counters inside";

/// Looks for counters that a tool left that was killed, and removes them.
#[must_use]
pub fn repair(pid: u32) -> Finding {
    match inline::repair(pid) {
        Ok(None) => {
            Finding::ok(SUBJECT, format!("process {pid} has none that were left"), "nothing was changed")
        }
        Ok(Some(done)) if done.memory_left => Finding::bad(
            SUBJECT,
            Verdict::Note,
            format!("{} instructions of process {pid} are the original ones again", done.restored),
            "the memory of the counters stays: something on a stack may lead back to it; it is harmless",
            "repeat it later",
        ),
        Ok(Some(done)) => Finding::ok(
            SUBJECT,
            format!(
                "those that were left in process {pid} are removed: {} instructions, and their memory",
                done.restored
            ),
            "the process is as it was",
        ),
        Err(InlineError::Owned { owner, .. }) => Finding::ok(
            SUBJECT,
            format!("process {pid} has those of a pulse-trace that runs (process {owner})"),
            "they are its own to remove; nothing was changed",
        ),
        Err(error) => Finding::bad(
            SUBJECT,
            Verdict::Fault,
            error.to_string(),
            "what is left inside of it goes on counting; it is harmless",
            "see above",
        ),
    }
}
