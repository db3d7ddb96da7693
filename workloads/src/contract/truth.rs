//! The truth: what a program knows of its own run, as one JSON line.

use std::io::{self, Write};

use serde::Serialize;

use super::stopping;

/// The head all truths share; the family's own fields follow beside it.
#[derive(Debug, Serialize)]
pub struct Truth<D: Serialize> {
    /// Name and version of this form.
    pub schema: &'static str,
    /// The program: `logagg`, `shmemq`, ...
    pub family: &'static str,
    /// Variant of the program that was run.
    pub variant: String,
    /// A stop was asked for before the work was complete.
    pub interrupted: bool,
    /// True when the run's own invariants hold.
    pub holds: bool,
    /// The family's own fields.
    #[serde(flatten)]
    pub detail: D,
}

impl<D: Serialize> Truth<D> {
    /// A truth of the present schema; `interrupted` is read from the stop flag.
    pub fn new(family: &'static str, variant: impl Into<String>, holds: bool, detail: D) -> Self {
        let variant = variant.into();
        Self { schema: "pulse-trace-truth/1", family, variant, interrupted: stopping(), holds, detail }
    }
}

/// Prints one value as one JSON line on standard output.
///
/// # Errors
///
/// Standard output is closed or full.
pub fn print(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}
