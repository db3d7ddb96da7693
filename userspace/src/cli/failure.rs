//! Failures of the program, and the exit code that says so.

use std::fmt;

use kernel::{LoadError, inline::InlineError, target::TargetError};

use crate::session::SessionError;

/// A check failed.
pub const CHECK: u8 = 1;
/// Bad usage or a bad file.
pub const USAGE: u8 = 2;
/// A privilege is missing.
pub const PRIVILEGE: u8 = 3;
/// The kernel lacks something.
pub const KERNEL: u8 = 4;
/// The command of `run` was found but cannot be executed; as shells have it.
pub const CANNOT_EXECUTE: u8 = 126;

/// A failure of a command: a sentence and an exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// One with a code of its own.
    pub fn new(message: impl Into<String>, code: u8) -> Self {
        Self { message: message.into(), code }
    }

    /// Bad usage or a bad file.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(message.to_string(), USAGE)
    }

    /// Its exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::usage(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::usage(error)
    }
}

impl From<InlineError> for Failure {
    fn from(error: InlineError) -> Self {
        let code = if error.is_permission() { PRIVILEGE } else { USAGE };
        Self::new(error.to_string(), code)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        if error.is_permission() {
            return Self::new(error.privilege_sentence(), PRIVILEGE);
        }
        Self::new(error.to_string(), KERNEL)
    }
}
