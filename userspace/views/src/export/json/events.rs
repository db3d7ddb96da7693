//! Events of probes that count them by kind.

use serde::{Deserialize, Serialize};

use super::{Hist, Lean, Stack};

/// Events of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// The probe that counts them.
    pub probe: String,
    /// Their kind.
    pub kind: String,
    /// The kind in words; empty where this version does not know it.
    pub meaning: String,
    /// Number of events, exact.
    pub count: u64,
    /// Times that they took, ns.
    pub time: Hist,
    /// Events without a histogram: they are in `count`, not in `time`.
    pub lean: Lean,
    /// Part of their time in which their threads were blocked, ns; 0 where scheduling was not followed.
    pub blocked_ns: u64,
    /// Part of it in which they waited for a CPU, ns.
    pub queued_ns: u64,
    /// Stacks of a sample of them.
    pub stacks: Vec<Stack>,
}
