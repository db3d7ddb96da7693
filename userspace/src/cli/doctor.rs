//! `pulse-trace doctor`

use clap::Args;

use super::failure::Failure;

/// Doctor
#[derive(Args)]
pub struct Doctor {}

impl Doctor {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        Ok(0)
    }
}
