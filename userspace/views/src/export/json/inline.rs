//! Mutexes as counters inside of a process saw them.

use serde::{Deserialize, Serialize};

use super::Hist;

/// All mutexes of one kind: every acquisition, uncontended ones included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inline {
    /// `adaptive` or `normal`, error-checking ones included.
    pub kind: String,
    /// How the library counts spins, where it spins: equal counts of different generations are not equal times.
    pub generation: Option<String>,
    /// Acquisitions.
    pub acquisitions: u64,
    /// Those that found it taken.
    pub contended: u64,
    /// Those that gave up spinning; null for a kind that does not spin.
    pub gave_up_spinning: Option<u64>,
    /// Those that called the kernel to wait.
    pub went_to_kernel: u64,
    /// Iterations of the spin loop, as the library counts them; null for a kind that does not spin.
    pub spin_count: Option<Hist>,
}

/// What it took to put counters into processes and to take them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InlineCost {
    /// Longest time that a process stood still while they were put in, ns.
    pub put_in_ns: u64,
    /// The same while they were taken out, ns.
    pub taken_out_ns: u64,
    /// Programs with counters; a process that becomes another program counts again.
    #[serde(default)]
    pub programs: u64,
    /// Those of them that got theirs while running: started by a target, or by `exec` in one.
    #[serde(default)]
    pub late: u64,
    /// Most CPU time that one of those had used before, ns; its acquisitions in that time are not counted.
    #[serde(default)]
    pub late_cpu_ns: u64,
    /// Programs that could not be given counters: nothing of them is counted.
    #[serde(default)]
    pub left_alone: u64,
}
