//! `pulse-trace selftest`

use clap::Args;

use super::failure::Failure;

/// Selftest
#[derive(Args)]
pub struct Selftest {}

impl Selftest {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        Ok(0)
    }
}
