//! What this kernel, this user and this target allow, with the remedy for what they do not.

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

/// How bad a finding is.
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
    /// What was looked at.
    pub subject: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What follows from it.
    pub consequence: String,
    /// What to do about it; empty where nothing needs to be done.
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
