//! `pulse-trace doctor`

use clap::Args;

use super::{failure::Failure, options::id, print};
use crate::doctor::{Finding, Verdict, examine, examine_target, repair};

/// Tell what this kernel, this user and a target allow, and what to do about the rest
#[derive(Args)]
#[command(after_help = "Exits with 1 if something was found that keeps pulse-trace from working.")]
pub struct Doctor {
    /// Look at this process too
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = id, allow_hyphen_values = true)]
    pids: Vec<u32>,
    /// Remove from it what a killed `attach --inline` left inside
    #[arg(long, requires = "pids")]
    repair: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut findings = examine();
        findings.extend(self.pids.iter().flat_map(|pid| examine_target(*pid)));
        if self.repair {
            findings.extend(self.pids.iter().map(|pid| repair(*pid)));
        }
        let text = if self.json {
            let json = serde_json::to_string_pretty(&findings);
            json.map_err(|cause| Failure::usage(format!("cannot write JSON: {cause}; leave --json out")))?
                + "\n"
        } else {
            findings.iter().map(line).collect()
        };
        print(&text)?;
        Ok(u8::from(findings.iter().any(|finding| finding.verdict == Verdict::Fault)))
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Ok => "ok   ",
        Verdict::Note => "note ",
        Verdict::Fault => "FAULT",
    };
    let mut line = format!("{mark} {:<20} {}\n", finding.subject, finding.finding);
    line += &format!("{:26} {}\n", "", finding.consequence);
    if !finding.remedy.is_empty() {
        line += &format!("{:26} remedy: {}\n", "", finding.remedy);
    }
    line
}
