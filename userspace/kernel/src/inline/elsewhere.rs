//! Machines other than x86-64: counters are never put into a process.

use std::{convert::Infallible, fs::File, io, sync::Arc};

use super::{About, Counts, Detail, Everything, Helper, InlineError, Removal};

/// Counters in a process; there are none here.
pub struct Patch {
    none: Infallible,
    /// Properties of the counters.
    pub about: About,
}

impl Patch {
    /// Refuses to put counters into a process.
    ///
    /// # Errors
    /// Always: the counters are x86-64 code.
    pub fn put_in(pid: u32, _: Detail) -> Result<Self, InlineError> {
        Err(InlineError::refused(pid, "the counters are x86-64 code", "use `--probes futex`"))
    }

    /// Refuses to put counters into a program that has just begun.
    ///
    /// # Errors
    /// Always: the counters are x86-64 code.
    pub fn put_in_loaded(pid: u32, detail: Detail) -> Result<Self, InlineError> {
        Self::put_in(pid, detail)
    }

    /// Refuses counters that a helper has put in.
    pub(super) fn of_helper(about: About, _: File, _: Arc<Helper>) -> Result<Self, InlineError> {
        Self::put_in(about.pid, Detail::Kinds)
    }

    /// Descriptor of the shared memory.
    pub(super) fn counters_file(&self) -> io::Result<File> {
        match self.none {}
    }

    /// Counts of the process.
    ///
    /// # Errors
    /// Never: no value of this type exists.
    pub fn read(&self) -> io::Result<Counts> {
        match self.none {}
    }

    /// Counts of the process and of its forked children.
    ///
    /// # Errors
    /// Never: no value of this type exists.
    pub fn read_all(&self) -> io::Result<Everything> {
        match self.none {}
    }

    /// The process that counts under a number.
    #[must_use]
    pub fn process(&self, _: u16, _: u32) -> Option<u32> {
        match self.none {}
    }

    /// Kind of a mutex, from its memory.
    #[must_use]
    pub fn kind(&self, _: u64) -> Option<u32> {
        match self.none {}
    }

    /// True if another program has removed the counters.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        match self.none {}
    }

    /// Removes the counters: there are none.
    ///
    /// # Errors
    /// Never: no value of this type exists.
    pub fn remove(&mut self) -> Result<Removal, InlineError> {
        match self.none {}
    }
}

/// Refuses to run a command to its first instruction.
///
/// # Errors
/// Always: the counters are x86-64 code.
pub fn bring_to_entry(pid: u32) -> Result<bool, InlineError> {
    Err(InlineError::refused(pid, "the counters are x86-64 code", "use `--probes futex`"))
}

/// Removes the counters that a killed tool has left in a process: there are none.
///
/// # Errors
/// Never: there is nothing to remove.
pub fn repair(_: u32) -> Result<Option<Removal>, InlineError> {
    Ok(None)
}

/// Addresses of replaced instructions: there are none.
#[must_use]
pub fn replaced(_: u32) -> Vec<u64> {
    Vec::new()
}
