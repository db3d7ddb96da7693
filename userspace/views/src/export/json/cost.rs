//! The ledger, and what the measurement cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::InlineCost;

/// `counted + lost + censored` is the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ledger {
    /// System calls that are in the numbers.
    pub counted: u64,
    /// Other events that are in the numbers, by what they are.
    #[serde(default)]
    pub events: BTreeMap<String, u64>,
    /// Events that are missing, by cause.
    pub lost: BTreeMap<String, u64>,
    /// Events that lie partly outside of the session, by kind.
    pub censored: BTreeMap<String, u64>,
    /// Events that are counted, but of which a detail is missing, by cause.
    pub degraded: BTreeMap<String, u64>,
    /// Whether nothing is lost and no detail is missing.
    pub complete: bool,
    /// `complete`; `partial`: every event is counted, and of some a detail is missing; `LOST`: events are missing.
    #[serde(default)]
    pub grade: String,
    /// The largest share of the events of one kind that is missing, or lacks a detail, percent; null where the ledger is
    /// complete, or the number of events is not known.
    #[serde(default)]
    pub share_percent: Option<f64>,
    /// Sizes of tables that were full, by the name that `--limit` knows them by.
    #[serde(default)]
    pub room: BTreeMap<String, u64>,
}

/// What the measurement itself cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Overhead {
    /// Each BPF program.
    pub programs: Vec<Program>,
    /// Programs and tool together, percent of one CPU; null without run statistics.
    pub cpu_percent: Option<f64>,
    /// Programs at system calls of the targets, percent of one CPU; null where system calls are not counted.
    #[serde(default)]
    pub target_calls_percent: Option<f64>,
    /// The same at system calls of all other processes.
    #[serde(default)]
    pub other_calls_percent: Option<f64>,
    /// How long the kernel's run statistics were on, ns.
    pub measured_ns: u64,
    /// What the statistics add to each run, ns; already taken off. Null where that could not be measured.
    pub empty_program_ns: Option<f64>,
    /// CPU time of the tool itself, ns.
    pub tool_cpu_ns: u64,
    /// Resident memory of the tool, bytes.
    pub tool_bytes: u64,
    /// Memory that the maps take in the kernel, bytes.
    pub kernel_bytes: u64,
    /// One hit of a probe in a target's own code, measured on this machine, ns; null where there was no such probe.
    #[serde(default)]
    pub uprobe_trap_ns: Option<f64>,
    /// Hits of those probes.
    #[serde(default)]
    pub uprobe_hits: Option<u64>,
    /// How long those probes were in, ns.
    #[serde(default)]
    pub uprobe_attached_ns: Option<u64>,
    /// By which factor those probes slowed the targets down, as far as hits and their cost tell; null where that cannot
    /// be said.
    #[serde(default)]
    pub slowdown_estimate: Option<f64>,
    /// What those probes were allowed to cost; null where there was none.
    #[serde(default)]
    pub budget: Option<CostBudget>,
    /// Of how many equal parts of the time one was looked at for how long mutexes are held; null where that was not asked for.
    #[serde(default)]
    pub hold_one_in: Option<u32>,
    /// Counters inside of processes; null where they were not asked for.
    #[serde(default)]
    pub inline: Option<InlineCost>,
}

/// What probes in a target's own code may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CostBudget {
    /// Largest share of the targets' CPU time, percent; null for any.
    pub limit_percent: Option<f64>,
    /// When the probes were taken out because they cost more, ns since 1970; null if they were not.
    pub detached_at_unix_ns: Option<u64>,
}

/// What one BPF program cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Runs while the statistics were on; null where they could not be switched on.
    pub events: Option<u64>,
    /// Time per run, net of what the statistics add; null without runs.
    pub ns_per_event: Option<f64>,
    /// Percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// Runs that the kernel skipped.
    pub missed: u64,
}
