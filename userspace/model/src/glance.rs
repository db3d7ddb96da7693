//! System calls since the last frame, in the few numbers that are cheap enough to be read ten times a second.
//!
//! A glance takes nothing: the frame that follows has all of it, with distributions and errors.

use super::frame::{Call, ProcessKey};

/// System calls since the last frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// Time at which they were read, ns since the session began.
    pub at_ns: u64,
    /// Time since the end of the last frame, ns.
    pub span_ns: u64,
    /// By call, all processes together.
    pub calls: Vec<(Call, Quick)>,
    /// By process, all calls together.
    pub processes: Vec<(ProcessKey, Quick)>,
}

/// Count and time of calls, the numbers that are quick to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quick {
    /// Number of calls that were counted.
    pub count: u64,
    /// Time of those that ended, ns.
    pub total_ns: u64,
}

impl Quick {
    /// Adds the numbers of other calls.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.total_ns += other.total_ns;
    }
}

impl Glance {
    /// Number of calls of all processes.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.processes.iter().map(|(_, quick)| quick.count).sum()
    }
}
