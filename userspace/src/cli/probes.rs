//! `pulse-trace probes`

use clap::Args;

use super::{failure::Failure, print};
use crate::probes::ALL;

/// List the probes: what they show, their hooks, needs and measured cost
#[derive(Args)]
pub struct Probes {}

impl Probes {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut text = String::new();
        for spec in ALL {
            let default = if spec.default { " (default)" } else { "" };
            text += &format!("{}{default}: {}\n", spec.name, spec.summary);
            text += &format!("  hooks  {}\n", spec.hooks.join(", "));
            text += &format!("  needs  {}\n", spec.needs);
            text += &format!("  cost   {}\n", spec.cost);
        }
        print(&text)?;
        Ok(0)
    }
}
