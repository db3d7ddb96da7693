//! Where the machine code is another one than x86-64: nothing is ever put into a process.

use std::{convert::Infallible, fs::File, io, sync::Arc};

use super::{About, Counts, Detail, Everything, Helper, InlineError, Removal};

/// Counters in a process; there are none here.
pub struct Patch {
    none: Infallible,
    /// What there is to know of them.
    pub about: About,
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

    /// Those that a helper has put in.
    pub(super) fn of_helper(about: About, _: File, _: Arc<Helper>) -> Result<Self, InlineError> {
        Self::put_in(about.pid, Detail::Kinds)
    }

    /// The shared memory.
    pub(super) fn counters_file(&self) -> io::Result<File> {
        match self.none {}
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

    /// Whether another program has taken them out.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
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
