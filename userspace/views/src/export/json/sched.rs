//! Scheduling.

use serde::{Deserialize, Serialize};

use super::Hist;

/// What the scheduler did with a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sched {
    /// Times that a thread gave the CPU up because it had to wait.
    pub switches_voluntary: u64,
    /// Times that the CPU was taken from a thread.
    pub switches_involuntary: u64,
    /// Times that a thread went on on another CPU than before.
    pub migrations: u64,
    /// From being woken to running.
    pub wakeup_to_run: Hist,
    /// From being preempted to running again.
    pub preempted_to_run: Hist,
    /// Uninterrupted stretches on a CPU.
    pub on_cpu: Hist,
    /// Stretches off the CPU, for any reason.
    pub off_cpu: Hist,
    /// Where it ran.
    pub cpus: Vec<CpuShare>,
    /// Who woke it, the most frequent first.
    pub wakers: Vec<Waker>,
    /// Where its time went: the sum over its threads.
    pub budget: Budget,
    /// Each thread.
    pub threads: Vec<SchedThread>,
}

/// What the scheduler did with a thread. Distributions are there where threads were told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SchedThread {
    /// Thread id.
    pub tid: u32,
    /// Its last name.
    pub comm: String,
    /// Times that it gave the CPU up because it had to wait.
    pub switches_voluntary: u64,
    /// Times that the CPU was taken from it.
    pub switches_involuntary: u64,
    /// Times that it went on on another CPU than before.
    pub migrations: u64,
    /// Where its time went.
    pub budget: Budget,
    /// From being woken to running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakeup_to_run: Option<Hist>,
    /// From being preempted to running again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted_to_run: Option<Hist>,
    /// Uninterrupted stretches on a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_cpu: Option<Hist>,
    /// Stretches off the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_cpu: Option<Hist>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<CpuShare>,
    /// Who woke it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wakers: Vec<Waker>,
}

/// What ran on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuShare {
    /// Its number.
    pub cpu: u32,
    /// Stretches that ended there.
    pub stretches: u64,
    /// Their time.
    pub ns: u64,
}

/// Who woke a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waker {
    /// Id of a target; 0 for an interrupt, and for all processes of another program.
    pub pid: u32,
    /// Name of the process; empty for an interrupt, and for the programs beyond the most frequent.
    pub comm: String,
    /// The context in which it did.
    pub context: WakerContext,
    /// Kind of an interrupt: `timer`, `block`, `network` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<String>,
    /// How often.
    pub count: u64,
    /// How long it then took until the woken one ran.
    pub latency: Hist,
}

/// The context in which a wakeup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WakerContext {
    /// A task.
    Task,
    /// An interrupt.
    Interrupt,
    /// The task that was running, or an interrupt on top of it: only from recordings of older versions.
    Unknown,
}

/// Wall-clock time and where it went: the parts add up to `wall_ns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Budget {
    /// The whole.
    pub wall_ns: u64,
    /// Running outside of system calls: user code, and page faults where they are not measured.
    pub user_ns: u64,
    /// Running in page faults outside of system calls; 0 where they are not measured.
    #[serde(default)]
    pub faults_ns: u64,
    /// Running inside of system calls.
    pub kernel_ns: u64,
    /// Waiting for a CPU.
    pub run_queue_ns: RunQueue,
    /// Waiting for something else, the longest first.
    pub blocked: Vec<Blocked>,
    /// Stopped by a signal or a tracer, or frozen.
    #[serde(default)]
    pub stopped_ns: u64,
    /// Time of which it cannot be said.
    pub unknown_ns: u64,
}

/// Time spent waiting for a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunQueue {
    /// After having been woken.
    pub woken: u64,
    /// After having been preempted.
    pub preempted: u64,
}

/// Blocked time in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blocked {
    /// The system call; `outside` of any (a page fault), or `other` calls, for which there was no place left.
    pub place: String,
    /// Times that it blocked there and was woken.
    pub count: u64,
    /// For how long.
    pub ns: u64,
}
