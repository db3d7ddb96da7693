//! The JSON export, schema `pulse-trace/1`: names are stable, adding is allowed, renaming is a new version.
//!
//! `docs/formats/json.md` explains each field; `docs/formats/pulse-trace-1.schema.json` is made from these types.

mod calls;
mod cost;
mod counters;
mod events;
mod hist;
mod inline;
mod locks;
mod sched;

pub use calls::{Abi, Lean, Syscall};
pub use cost::{CostBudget, Ledger, Overhead, Program};
pub use counters::Counters;
pub use events::Event;
pub use hist::{Hist, Unit};
pub use inline::{Inline, InlineCost};
pub use locks::{Futex, Holder, Mutex, Place, Seen, SharedObject, SpinMean, Stack, Waits};
use model::session::Session;
pub use sched::{Blocked, Budget, CpuShare, RunQueue, Sched, SchedThread, Waker, WakerContext};
use serde::{Deserialize, Serialize};

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
    /// What the reader must know: what a probe refused, and why.
    #[serde(default)]
    pub notes: Vec<String>,
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
    /// How many ended processes of this name it stands for, beyond those that have rows of their own; absent where it is
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded: Option<u64>,
    /// When it joined the session, ns since 1970.
    pub start_unix_ns: u64,
    /// How it ended; null while it lives.
    pub exit: Option<Exit>,
    /// System calls of all its threads, by ABI and number.
    pub syscalls: Vec<Syscall>,
    /// The same by thread; absent where threads were not told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_thread: Option<Vec<Thread>>,
    /// Scheduling; null where the probe did not run.
    #[serde(default)]
    pub sched: Option<Sched>,
    /// Futexes, by place and operation.
    #[serde(default)]
    pub futex: Vec<Futex>,
    /// Mutexes as probes on the contended path saw them.
    #[serde(default)]
    pub mutex: Vec<Mutex>,
    /// Mutexes by kind, as counters inside of the process saw them (`--inline`).
    #[serde(default)]
    pub inline: Vec<Inline>,
    /// Events by kind, of probes that count such; empty where none of them ran.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Performance counters; null where the process has none of its own: they were not wanted, or a process that forked it
    /// has them.
    #[serde(default)]
    pub counters: Option<Counters>,
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

/// The export of a session as one line of JSON.
///
/// # Errors
/// Never for what a session can hold; the encoder's type says otherwise.
pub fn encode(session: &Session) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec(&Export::from(session))?;
    text.push(b'\n');
    Ok(text)
}
