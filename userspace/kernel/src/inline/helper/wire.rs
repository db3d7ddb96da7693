//! Messages between the tool and its helper.

use binary::channel::Cause;
use serde::{Deserialize, Serialize};

use crate::inline::{About, Detail, InlineError, Removal};

/// Request of the tool.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Put counters into a process.
    PutIn { pid: u32, detail: Detail, loaded: bool },
    /// Remove the counters at an address of a process.
    Remove { pid: u32, base: u64 },
}

/// Answer of the helper.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The counters are in; their descriptor comes with the message.
    PutIn(About),
    /// The counters are removed.
    Removed(Removal),
    /// The request failed.
    Failed(Failed),
}

/// An [`InlineError`] without the process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failed {
    Refused { reason: String, remedy: String },
    Owned { owner: u32 },
    Permission(Cause),
    Step { step: String, cause: Cause },
    Gone,
}

impl From<&InlineError> for Failed {
    fn from(error: &InlineError) -> Self {
        match error {
            InlineError::Refused { reason, remedy, .. } => {
                Self::Refused { reason: reason.clone(), remedy: remedy.clone().into_owned() }
            }
            InlineError::Owned { owner, .. } => Self::Owned { owner: *owner },
            InlineError::Permission { cause, .. } => Self::Permission(cause.into()),
            InlineError::Step { step, cause, .. } => {
                Self::Step { step: step.clone().into_owned(), cause: cause.into() }
            }
            InlineError::Gone(_) => Self::Gone,
        }
    }
}

impl Failed {
    /// Makes the error of a process from it.
    pub fn into_error(self, pid: u32) -> InlineError {
        match self {
            Self::Refused { reason, remedy } => InlineError::Refused { pid, reason, remedy: remedy.into() },
            Self::Owned { owner } => InlineError::Owned { pid, owner },
            Self::Permission(cause) => InlineError::Permission { pid, cause: cause.into() },
            Self::Step { step, cause } => InlineError::Step { pid, step: step.into(), cause: cause.into() },
            Self::Gone => InlineError::Gone(pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use binary::channel::Channel;

    use super::*;

    #[test]
    fn every_error_arrives_as_it_was() {
        let (one, other) = Channel::pair().unwrap();
        let mut other = Channel::over(other);
        let errors = [
            InlineError::refused(7, "it is not dumpable", "leave it"),
            InlineError::Owned { pid: 7, owner: 9 },
            InlineError::Permission { pid: 7, cause: io::Error::from_raw_os_error(1) },
            InlineError::Step { pid: 7, step: "writing code".into(), cause: io::Error::other("torn") },
            InlineError::Gone(7),
        ];
        for error in errors {
            one.send(&Reply::Failed((&error).into()), &[]).unwrap();
            let Some((Reply::Failed(failed), _)) = other.receive().unwrap() else { panic!("{error}") };
            assert_eq!(failed.into_error(7).to_string(), error.to_string());
        }
    }
}
