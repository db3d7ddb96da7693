//! `pulse-trace probes`

use std::num::NonZeroU32;

use clap::Args;
use model::probes::ALL;
use probes::Choice;

use super::{failure::Failure, options::id, print, sites};

/// List the probes: what they show, their hooks, needs and measured cost
#[derive(Args)]
pub struct Probes {
    /// Print the places in the code of a process that the probe mutex would use, and what they cost, and touch none
    #[arg(long, requires = "pids")]
    plan: bool,
    /// The process
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = id, allow_hyphen_values = true, requires = "plan")]
    pids: Vec<u32>,
    /// As if that was asked for: the places of --mutex-spin-time, too
    #[arg(long, requires = "plan")]
    mutex_spin_time: bool,
    /// As if that was asked for: the places of --mutex-total, too
    #[arg(long, requires = "plan")]
    mutex_total: bool,
    /// As if that was asked for: the places of --mutex-hold, too
    #[arg(long, requires = "plan", conflicts_with = "mutex_total")]
    mutex_hold: bool,
}

impl Probes {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if self.plan {
            let choice = Choice {
                spin_time: self.mutex_spin_time,
                total: self.mutex_total,
                hold: self.mutex_hold.then_some(NonZeroU32::MIN),
            };
            let plans = self.pids.iter().map(|pid| sites::plan(*pid, choice));
            print(&plans.collect::<Result<Vec<_>, _>>()?.join("\n"))?;
            return Ok(0);
        }
        let mut text = String::new();
        for spec in ALL {
            let default = if spec.default { " (default)" } else { "" };
            text += &format!("{}{default}: {}\n", spec.name, spec.summary);
            text += &format!("  hooks  {}\n", spec.places());
            text += &format!("  needs  {}\n", spec.needs);
            text += &format!("  cost   {}\n", spec.cost);
        }
        print(&text)?;
        Ok(0)
    }
}
