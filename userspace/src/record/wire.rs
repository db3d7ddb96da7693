//! The records as they stand in the file. The model stays free of what a file format needs, and the reverse.

use std::collections::BTreeMap;

use pulse_trace_common::hist;
use serde::{Deserialize, Serialize};

use crate::model::{
    frame::{self, CallFrame, CallStats, ProcessFrame, ProcessKey, ThreadName},
    session,
};

/// A line: one of its parts is there. A line of which none is known comes from a later addition and is passed over.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    pub schema: String,
    pub geometry: Geometry,
    pub tool_version: String,
    pub kernel: String,
    pub arch: String,
    pub cpus: u32,
    pub clock: String,
    pub command: Vec<String>,
    pub targets: Vec<u32>,
    pub start_unix_ns: u64,
    pub start_mono_ns: u64,
    pub probes: Vec<String>,
    pub per_thread: bool,
}

/// What the bucket numbers mean.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    pub sub_buckets: u64,
    pub max_bits: u32,
}

/// Some processes of a frame that is too large for one line; the frame itself follows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    pub sequence: u64,
    pub processes: Vec<Process>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Frame {
    pub sequence: u64,
    pub at_ns: u64,
    pub span_ns: u64,
    pub processes: Vec<Process>,
    pub ledger: Ledger,
    pub overhead: Overhead,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct End {
    /// Frames in the recording.
    pub frames: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub joined_ns: u64,
    pub comm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    pub threads: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    pub syscalls: Vec<Syscall>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exit {
    pub status: Option<u32>,
    pub at_ns: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Syscall {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub compat: bool,
    pub nr: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub lean: Lean,
    #[serde(default, skip_serializing_if = "is_default")]
    pub untimed: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreturned: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub in_flight: u64,
    /// Pairs of errno and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<(u32, u64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thread {
    pub tid: u32,
    pub comm: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hist {
    pub sum: u64,
    pub min: Option<u64>,
    pub max: Option<u64>,
    /// Pairs of bucket number and count.
    pub buckets: Vec<(u16, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lean {
    pub count: u64,
    pub sum_ns: u64,
    pub max_ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Ledger {
    pub counted: u64,
    pub lost: BTreeMap<String, u64>,
    pub censored: BTreeMap<String, u64>,
    pub degraded: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Overhead {
    pub programs: Vec<Program>,
    pub measured_ns: u64,
    pub kernel_bytes: u64,
    pub tool_cpu_ns: u64,
    pub tool_bytes: u64,
    pub empty_program_ns: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub events: Option<u64>,
    pub run_ns: Option<u64>,
    pub missed: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Geometry {
    /// That of this program.
    pub const OURS: Self = Self { sub_buckets: hist::SUB_BUCKETS, max_bits: hist::MAX_BITS };
}

/// A value in the file that no session can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Impossible(pub &'static str);

/// No interval of a session comes near: what a forged file says above it would only make sums overflow.
const LARGEST_COUNT: u64 = 1 << 50;
const LARGEST_TIME_NS: u64 = 1 << 60;

impl From<&session::Header> for Header {
    fn from(header: &session::Header) -> Self {
        Self {
            schema: super::SCHEMA.to_owned(),
            geometry: Geometry::OURS,
            tool_version: header.tool_version.clone(),
            kernel: header.kernel.clone(),
            arch: header.arch.clone(),
            cpus: header.cpus,
            clock: header.clock.clone(),
            command: header.command.clone(),
            targets: header.targets.clone(),
            start_unix_ns: header.start_unix_ns,
            start_mono_ns: header.start_mono_ns,
            probes: header.probes.clone(),
            per_thread: header.per_thread,
        }
    }
}

impl From<Header> for session::Header {
    fn from(header: Header) -> Self {
        Self {
            tool_version: header.tool_version,
            kernel: header.kernel,
            arch: header.arch,
            cpus: header.cpus,
            clock: header.clock,
            command: header.command,
            targets: header.targets,
            start_unix_ns: header.start_unix_ns,
            start_mono_ns: header.start_mono_ns,
            probes: header.probes,
            per_thread: header.per_thread,
        }
    }
}

impl From<&ProcessFrame> for Process {
    fn from(process: &ProcessFrame) -> Self {
        Self {
            pid: process.key.pid,
            joined_ns: process.key.joined_ns,
            comm: process.comm.clone(),
            parent: process.parent,
            threads: process.threads,
            exit: process.exit.map(|exit| Exit { status: exit.status, at_ns: exit.at_ns }),
            syscalls: process.syscalls.iter().map(Syscall::from).collect(),
        }
    }
}

impl TryFrom<Process> for ProcessFrame {
    type Error = Impossible;

    fn try_from(process: Process) -> Result<Self, Impossible> {
        Ok(Self {
            key: ProcessKey { pid: process.pid, joined_ns: process.joined_ns },
            comm: process.comm,
            parent: process.parent,
            threads: process.threads,
            exit: process.exit.map(|exit| frame::Exit { status: exit.status, at_ns: exit.at_ns }),
            syscalls: process.syscalls.into_iter().map(CallFrame::try_from).collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }
}

impl From<&CallFrame> for Syscall {
    fn from(call: &CallFrame) -> Self {
        let CallStats { latency, lean, .. } = &call.stats;
        Self {
            thread: call.thread.as_ref().map(|thread| Thread { tid: thread.tid, comm: thread.comm.clone() }),
            compat: call.call.abi == frame::Abi::Compat,
            nr: call.call.nr,
            latency: Hist {
                sum: latency.sum,
                min: latency.min,
                max: latency.max,
                buckets: latency.buckets().to_vec(),
            },
            lean: Lean { count: lean.count, sum_ns: lean.sum_ns, max_ns: lean.max_ns },
            untimed: call.stats.untimed,
            unreturned: call.stats.unreturned,
            in_flight: call.stats.in_flight,
            errors: call.stats.errors.iter().map(|(errno, count)| (*errno, *count)).collect(),
        }
    }
}

impl TryFrom<Syscall> for CallFrame {
    type Error = Impossible;

    fn try_from(call: Syscall) -> Result<Self, Impossible> {
        let counts = [call.lean.count, call.untimed, call.unreturned, call.in_flight];
        let errors = call.errors.iter().map(|(_, count)| *count);
        if counts.into_iter().chain(errors).any(|count| count > LARGEST_COUNT) {
            return Err(Impossible("a count is too large"));
        }
        if call.lean.sum_ns > LARGEST_TIME_NS {
            return Err(Impossible("a time is too long"));
        }
        let abi = if call.compat { frame::Abi::Compat } else { frame::Abi::Native };
        let lean = call.lean;
        Ok(Self {
            thread: call.thread.map(|thread| ThreadName { tid: thread.tid, comm: thread.comm }),
            call: frame::Call { abi, nr: call.nr },
            stats: CallStats {
                latency: distribution(call.latency)?,
                lean: frame::Lean { count: lean.count, sum_ns: lean.sum_ns, max_ns: lean.max_ns },
                untimed: call.untimed,
                unreturned: call.unreturned,
                errors: call.errors.into_iter().collect(),
                in_flight: call.in_flight,
            },
        })
    }
}

fn distribution(values: Hist) -> Result<crate::model::hist::Hist, Impossible> {
    let mut latency = crate::model::hist::Hist::default();
    if values.sum > LARGEST_TIME_NS {
        return Err(Impossible("a time is too long"));
    }
    for (bucket, count) in values.buckets {
        if usize::from(bucket) > hist::CLAMPED {
            return Err(Impossible("a bucket lies outside of the histogram"));
        }
        if count > LARGEST_COUNT {
            return Err(Impossible("a count is too large"));
        }
        latency.add(bucket, count);
    }
    if values.min > values.max {
        return Err(Impossible("a minimum is above its maximum"));
    }
    (latency.sum, latency.min, latency.max) = (values.sum, values.min, values.max);
    Ok(latency)
}

impl From<&frame::Ledger> for Ledger {
    fn from(ledger: &frame::Ledger) -> Self {
        Self {
            counted: ledger.counted,
            lost: ledger.lost.clone(),
            censored: ledger.censored.clone(),
            degraded: ledger.degraded.clone(),
        }
    }
}

impl TryFrom<Ledger> for frame::Ledger {
    type Error = Impossible;

    fn try_from(ledger: Ledger) -> Result<Self, Impossible> {
        let slots = [&ledger.lost, &ledger.censored, &ledger.degraded];
        let counts = slots.into_iter().flat_map(BTreeMap::values).copied().chain([ledger.counted]);
        if counts.into_iter().any(|count| count > LARGEST_COUNT) {
            return Err(Impossible("a count of the ledger is too large"));
        }
        let Ledger { counted, lost, censored, degraded } = ledger;
        Ok(Self { counted, lost, censored, degraded, ..Self::default() })
    }
}

impl From<&frame::Overhead> for Overhead {
    fn from(overhead: &frame::Overhead) -> Self {
        let program = |program: &frame::ProgramCost| Program {
            name: program.name.clone(),
            events: program.events,
            run_ns: program.run_ns,
            missed: program.missed,
        };
        Self {
            programs: overhead.programs.iter().map(program).collect(),
            measured_ns: overhead.measured_ns,
            kernel_bytes: overhead.kernel_bytes,
            tool_cpu_ns: overhead.tool_cpu_ns,
            tool_bytes: overhead.tool_bytes,
            empty_program_ns: overhead.empty_program_ns,
        }
    }
}

impl TryFrom<Overhead> for frame::Overhead {
    type Error = Impossible;

    fn try_from(overhead: Overhead) -> Result<Self, Impossible> {
        let counts = overhead.programs.iter().flat_map(|it| [it.events.unwrap_or(0), it.missed]);
        let times = overhead.programs.iter().filter_map(|it| it.run_ns);
        let times = times.chain([overhead.measured_ns, overhead.tool_cpu_ns]);
        if counts.into_iter().any(|count| count > LARGEST_COUNT) {
            return Err(Impossible("a count of the overhead is too large"));
        }
        if times.into_iter().any(|time| time > LARGEST_TIME_NS) {
            return Err(Impossible("a time of the overhead is too long"));
        }
        let program = |it: Program| frame::ProgramCost {
            name: it.name,
            events: it.events,
            run_ns: it.run_ns,
            missed: it.missed,
        };
        Ok(Self {
            programs: overhead.programs.into_iter().map(program).collect(),
            measured_ns: overhead.measured_ns,
            kernel_bytes: overhead.kernel_bytes,
            tool_cpu_ns: overhead.tool_cpu_ns,
            tool_bytes: overhead.tool_bytes,
            empty_program_ns: overhead.empty_program_ns,
            traps: None,
        })
    }
}
