//! Abilities of this kernel, this user and this target, with the remedy for what they lack.

mod code;
mod foreign;
mod kernel;
mod lockdown;
mod repair;
mod sites;
mod target;
mod user;

pub use repair::repair;
use serde::Serialize;
pub use target::examine as examine_target;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something is less good, or not available; tracing works.
    Note,
    /// Tracing does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Subject of the check.
    pub subject: &'static str,
    /// Severity of the finding.
    pub verdict: Verdict,
    /// Result of the check.
    pub finding: String,
    /// Consequence for tracing.
    pub consequence: String,
    /// Remedy; empty where nothing needs to be done.
    pub remedy: String,
}

impl Finding {
    fn ok(subject: &'static str, finding: impl Into<String>, consequence: &str) -> Self {
        Self {
            subject,
            verdict: Verdict::Ok,
            finding: finding.into(),
            consequence: consequence.to_owned(),
            remedy: String::new(),
        }
    }

    fn bad(
        subject: &'static str,
        verdict: Verdict,
        finding: impl Into<String>,
        consequence: &str,
        remedy: &str,
    ) -> Self {
        Self {
            subject,
            verdict,
            finding: finding.into(),
            consequence: consequence.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

/// Looks at the machine and the user.
#[must_use]
pub fn examine() -> Vec<Finding> {
    let mut findings = kernel::examine();
    findings.extend(user::examine());
    findings
}
