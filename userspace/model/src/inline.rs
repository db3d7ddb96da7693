//! Locks as counters inside of the process saw them: every acquisition.

use serde::{Deserialize, Serialize};

use super::{
    hist::Hist,
    valid::{count, is_default, time},
};

/// Beginning of the notes about code that stays in a target.
pub const LEFT_INSIDE: &str = "inline: left inside: ";

/// Kinds of mutexes that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InlineKind {
    /// Those that spin before they wait.
    Adaptive,
    /// Normal and error-checking ones, which wait at once.
    Normal,
}

impl InlineKind {
    /// As people name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Normal => "normal",
        }
    }
}

/// All mutexes of one kind in one process, in an interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InlineFrame {
    /// Kind of the mutexes.
    pub kind: InlineKind,
    /// The library's way to count spins, where it spins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// Counts and spin histogram.
    #[serde(flatten)]
    pub stats: InlineStats,
}

crate::read_beside! {
    InlineFrame needs { kind: InlineKind } has { generation: Option<String> } beside stats;
    Self { kind, generation, stats }
}

/// Numbers of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InlineStats {
    /// Acquisitions, contended or not.
    #[serde(deserialize_with = "count")]
    pub acquisitions: u64,
    /// Those that found it taken.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub contended: u64,
    /// Those that gave up spinning.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub gave_up: u64,
    /// Those that called the kernel to wait.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub went_to_kernel: u64,
    /// Iterations of the spin loop, as the library counts them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spins: Hist,
}

/// The same over a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inline {
    /// As in [`InlineFrame`].
    pub generation: Option<String>,
    /// As in [`InlineFrame`].
    pub stats: InlineStats,
}

impl InlineStats {
    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.acquisitions += other.acquisitions;
        self.contended += other.contended;
        self.gave_up += other.gave_up;
        self.went_to_kernel += other.went_to_kernel;
        self.spins.merge(&other.spins);
    }
}

impl Inline {
    /// Adds an interval.
    pub fn add(&mut self, frame: &InlineFrame) {
        self.generation.clone_from(&frame.generation);
        self.stats.merge(&frame.stats);
    }
}

/// Cost of putting the counters in and taking them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineCost {
    /// Longest time that a process stood still while they were put in, ns.
    #[serde(deserialize_with = "time")]
    pub put_in_ns: u64,
    /// The same while they were taken out; 0 while they are in, and where the process had ended.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "time")]
    pub taken_out_ns: u64,
    /// Programs with counters; a process that becomes another program counts again.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub programs: u64,
    /// Those of them that got theirs while running: started by a target, or by `exec` in one.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub late: u64,
    /// Most CPU time that one of those had used before, ns.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "time")]
    pub late_cpu_ns: u64,
    /// Programs that could not be given counters.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "count")]
    pub left_alone: u64,
}

impl InlineCost {
    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.put_in_ns = self.put_in_ns.max(other.put_in_ns);
        self.taken_out_ns = self.taken_out_ns.max(other.taken_out_ns);
        self.programs += other.programs;
        self.late += other.late;
        self.late_cpu_ns = self.late_cpu_ns.max(other.late_cpu_ns);
        self.left_alone += other.left_alone;
    }
}
