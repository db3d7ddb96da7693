//! `pulse-trace probes`

use clap::Args;

use super::failure::Failure;

/// Probes
#[derive(Args)]
pub struct Probes {}

impl Probes {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        Ok(0)
    }
}
