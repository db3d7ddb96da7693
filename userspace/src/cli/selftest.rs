//! `pulse-trace __selftest`: what the kernel matrix runs.

use std::path::PathBuf;

use clap::Args;

use super::{
    failure::{CHECK, Failure},
    print,
};
use crate::selftest;

/// Load every program on this kernel and hold its counts against a program with known ones
#[derive(Args)]
pub struct Selftest {
    /// The program `contend`, to hold what is seen of locks against it too
    contend: Option<PathBuf>,
}

impl Selftest {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let outcome = selftest::run(self.contend.as_deref());
        print(&(outcome.lines.join("\n") + "\n"))?;
        Ok(if outcome.passed { 0 } else { CHECK })
    }
}
