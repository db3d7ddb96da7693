//! Performance counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Performance counters of a process. A number that is not known is null, never 0; `not_supported` and `refused` say why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counters {
    /// Time on a CPU, ns, all threads together.
    pub task_clock_ns: Option<u64>,
    /// Times that a thread left its CPU.
    pub context_switches: Option<u64>,
    /// Times that a thread came back on another CPU.
    pub migrations: Option<u64>,
    /// Page faults of all kinds.
    pub page_faults: Option<u64>,
    /// Page faults served from memory.
    pub minor_faults: Option<u64>,
    /// Page faults that had to wait for a disk.
    pub major_faults: Option<u64>,
    /// Processor cycles.
    pub cycles: Option<u64>,
    /// Cycles in which the front end delivered nothing.
    pub stalled_cycles_frontend: Option<u64>,
    /// Cycles in which the back end could take nothing.
    pub stalled_cycles_backend: Option<u64>,
    /// Instructions.
    pub instructions: Option<u64>,
    /// Branches.
    pub branches: Option<u64>,
    /// Mispredicted branches.
    pub branch_misses: Option<u64>,
    /// Loads from the first level of the data cache.
    pub l1_dcache_loads: Option<u64>,
    /// Those that it had not.
    pub l1_dcache_load_misses: Option<u64>,
    /// Loads from the last cache.
    pub llc_loads: Option<u64>,
    /// Those that it had not.
    pub llc_load_misses: Option<u64>,
    /// Counters that were running for a part of the time only, by the names above, with that share (0 to 1); the numbers
    /// above are scaled up accordingly.
    pub counted_share: BTreeMap<String, f64>,
    /// Counters that this machine or kernel does not have, with the reason.
    pub not_supported: BTreeMap<String, String>,
    /// Counters that exist but could not be had, with the reason.
    pub refused: BTreeMap<String, String>,
    /// Whether processes that this one forked during the session are in its numbers; those have none of their own.
    pub with_children: bool,
}
