//! `pulse-trace generate`

use clap::Args;

use super::failure::Failure;

/// Generate
#[derive(Args)]
pub struct Generate {}

impl Generate {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        Ok(0)
    }
}
