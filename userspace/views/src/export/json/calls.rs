//! System calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Hist;

/// One kind of system call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Syscall {
    /// Its number.
    pub nr: u32,
    /// Which table the number belongs to.
    pub abi: Abi,
    /// Its name; behind a colon the operation, where each has a row: `futex:WAIT`.
    pub name: String,
    /// Its name without the operation; empty in files of older versions, which have none.
    #[serde(default)]
    pub call: String,
    /// Calls that ended, and calls that never will.
    pub count: u64,
    /// Failed calls by the name of the error.
    pub errors: BTreeMap<String, u64>,
    /// How long calls took.
    pub latency: Hist,
    /// Calls without a histogram: they are in `count`, not in `latency`.
    pub lean: Lean,
    /// Calls that ended without a latency, because the clock ran backwards; in `count`, not in `latency`.
    pub untimed: u64,
    /// Calls that never return, because the thread ended in them; in `count`, not in `latency`.
    pub unreturned: u64,
    /// Time in which the calls of `latency` and `lean` were blocked, ns; 0 where scheduling was not followed.
    #[serde(default)]
    pub blocked_ns: u64,
    /// Time in which they waited for a CPU, ns.
    #[serde(default)]
    pub queued_ns: u64,
    /// Calls that were still running when the session ended; not in `count`.
    pub in_flight: u64,
}

impl Syscall {
    /// Its name without the operation.
    #[must_use]
    pub fn whole(&self) -> &str {
        if self.call.is_empty() { &self.name } else { &self.call }
    }
}

/// The table of a system call's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Abi {
    /// The kernel's own.
    Native,
    /// The 32-bit one.
    Compat,
}

/// Calls of which only count, sum and maximum are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lean {
    /// How many.
    pub count: u64,
    /// Their total time, ns.
    pub sum_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
}
