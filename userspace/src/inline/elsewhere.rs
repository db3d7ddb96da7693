//! Where the machine code is another one than x86-64: nothing is ever put into a process.

use std::{convert::Infallible, io, time::Duration};

use super::{Counts, Detail, Everything, InlineError, Removal};
use crate::locate::site::Generation;

/// Counters in a process; there are none here.
pub struct Patch {
    none: Infallible,
    /// How long the process stood still for it.
    pub stopped: Duration,
    /// How its library's spin counts.
    pub generation: Option<Generation>,
    /// What is not counted, and why.
    pub left_out: Vec<String>,
    /// Whether counters of a tool that was killed were found and removed first.
    pub repaired: bool,
    /// What the process calls itself.
    pub own_id: u32,
}

impl Patch {
    /// Puts them in.
    ///
    /// # Errors
    /// Always.
    pub fn put_in(pid: u32, _: Detail) -> Result<Self, InlineError> {
        Err(InlineError::refused(pid, "the counters are x86-64 code", "use `--probes futex`"))
    }

    /// Puts counters into a program that has just begun.
    ///
    /// # Errors
    /// Always.
    pub fn put_in_loaded(pid: u32, detail: Detail) -> Result<Self, InlineError> {
        Self::put_in(pid, detail)
    }

    /// What was counted.
    ///
    /// # Errors
    /// Never.
    pub fn read(&self) -> io::Result<Counts> {
        match self.none {}
    }

    /// The same of others too.
    ///
    /// # Errors
    /// Never.
    pub fn read_all(&self) -> io::Result<Everything> {
        match self.none {}
    }

    /// The process that counts under a number.
    #[must_use]
    pub fn process(&self, _: u16, _: u32) -> Option<u32> {
        match self.none {}
    }

    /// What the memory of a mutex says of its kind.
    #[must_use]
    pub fn kind(&self, _: u64) -> Option<u32> {
        match self.none {}
    }

    /// Takes them out.
    ///
    /// # Errors
    /// Never.
    pub fn remove(&mut self) -> Result<Removal, InlineError> {
        match self.none {}
    }
}

/// Brings a command to its first instruction.
///
/// # Errors
/// Always.
pub fn bring_to_entry(pid: u32) -> Result<bool, InlineError> {
    Err(InlineError::refused(pid, "the counters are x86-64 code", "use `--probes futex`"))
}

/// Removes what was left in a process: nothing.
///
/// # Errors
/// Never.
pub fn repair(_: u32) -> Result<Option<Removal>, InlineError> {
    Ok(None)
}

/// Where instructions were replaced: nowhere.
#[must_use]
pub fn replaced(_: u32) -> Vec<u64> {
    Vec::new()
}
