//! The JSON export, schema `pulse-trace/1`: names are stable, adding is allowed, renaming is a new version.
//!
//! `docs/formats/json.md` explains each field; `docs/formats/pulse-trace-1.schema.json` is made from these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::session::Session;

/// Name and version of the format.
pub const SCHEMA: &str = "pulse-trace/1";

/// A whole export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Export {
    /// `pulse-trace/1`.
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// What was asked for.
    pub session: Info,
    /// Every process that was a target, by process id.
    pub processes: Vec<Process>,
    /// What was counted and what was not.
    pub ledger: Ledger,
    /// What the measurement itself cost.
    pub overhead: Overhead,
}

/// The program that made an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Host {
    /// Release of the kernel.
    pub kernel: String,
    /// Architecture as the kernel names it.
    pub arch: String,
    /// CPUs that were online.
    pub cpus: u32,
    /// Clock source.
    pub clock: String,
}

/// The session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Info {
    /// The command line.
    pub command: Vec<String>,
    /// Process ids that were asked for.
    pub targets: Vec<u32>,
    /// Start, ns since 1970.
    pub start_unix_ns: u64,
    /// Duration, ns.
    pub duration_ns: u64,
    /// The probes that ran.
    pub probes: Vec<String>,
    /// Whether calls were told apart by thread.
    pub per_thread: bool,
    /// Whether the session ended in order; false for the recording of a tool that was killed.
    pub finished: bool,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Process {
    /// Process id in the initial PID namespace.
    pub pid: u32,
    /// Its last name.
    pub comm: String,
    /// The process that forked it, where that was seen.
    pub parent: Option<u32>,
    /// Threads that were ever followed.
    pub threads: u32,
    /// When it joined the session, ns since 1970.
    pub start_unix_ns: u64,
    /// How it ended; null while it lives.
    pub exit: Option<Exit>,
    /// System calls of all its threads, by ABI and number.
    pub syscalls: Vec<Syscall>,
    /// The same by thread; absent where threads were not told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_thread: Option<Vec<Thread>>,
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exit {
    /// Status as `wait` reports it; null where the kernel does not tell.
    pub status: Option<u32>,
    /// The status in words.
    pub text: String,
    /// When, ns since 1970.
    pub unix_ns: u64,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Thread {
    /// Thread id.
    pub tid: u32,
    /// Its last name.
    pub comm: String,
    /// Its system calls.
    pub syscalls: Vec<Syscall>,
}

/// One kind of system call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Syscall {
    /// Its number.
    pub nr: u32,
    /// Which table the number belongs to.
    pub abi: Abi,
    /// Its name.
    pub name: String,
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
    /// Calls that were still running when the session ended; not in `count`.
    pub in_flight: u64,
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

/// A distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hist {
    /// What is distributed.
    pub unit: Unit,
    /// Number of values, exact.
    pub count: u64,
    /// Sum of the values, exact.
    pub sum: u64,
    /// Smallest value that was noted, null without values; see the largest.
    pub min: Option<u64>,
    /// Largest value that was noted: two calls that end at once on CPUs that share a histogram can hide one another.
    pub max: Option<u64>,
    /// Mean, exact but for its rounding.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p999: Option<u64>,
    /// A percentile differs from the true value by at most this share of it.
    pub max_relative_error: f64,
    /// Lower edge, upper edge (exclusive; null for the last bucket, which has none) and count; empty buckets are left
    /// out.
    pub buckets: Vec<(u64, Option<u64>, u64)>,
}

/// A unit of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// A number of things.
    Count,
}

/// `counted + lost + censored` is the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ledger {
    /// Events that are in the numbers.
    pub counted: u64,
    /// Events that are missing, by cause.
    pub lost: BTreeMap<String, u64>,
    /// Events that lie partly outside of the session, by kind.
    pub censored: BTreeMap<String, u64>,
    /// Events that are counted, but of which a detail is missing, by cause.
    pub degraded: BTreeMap<String, u64>,
    /// Whether nothing is lost and no detail is missing.
    pub complete: bool,
}

/// What the measurement itself cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Overhead {
    /// Each BPF program.
    pub programs: Vec<Program>,
    /// Programs and tool together, percent of one CPU; null without run statistics.
    pub cpu_percent: Option<f64>,
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

/// The export of a session as one line of JSON.
///
/// # Errors
/// Never for what a session can hold; the encoder's type says otherwise.
pub fn encode(session: &Session) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec(&Export::from(session))?;
    text.push(b'\n');
    Ok(text)
}
