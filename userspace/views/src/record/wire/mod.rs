//! The records as they stand in the file. The model stays free of what a file format needs, and the reverse.

mod calls;
mod cost;
mod counters;
mod futex;
mod hist;
mod inline;
mod limits;
mod mutex;
mod place;
mod sched;

pub use calls::Syscall;
use cost::{Ledger, Overhead};
pub use counters::Counters;
pub use futex::Futex;
pub use hist::Geometry;
pub use inline::Inline;
pub use limits::Impossible;
use model::{
    events::EventFrame,
    frame::{self, ProcessFrame, ProcessKey},
    session,
};
pub use mutex::Mutex;
pub use sched::Sched;
use serde::{Deserialize, Serialize};

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sched: Vec<Sched>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub futexes: Vec<Futex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutexes: Vec<Mutex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inline: Vec<Inline>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventFrame>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exit {
    pub status: Option<u32>,
    pub at_ns: u64,
}

/// Bytes that a text takes in a line, at most: a control character becomes six.
fn text_weight(text: &str) -> usize {
    6 * text.len() + 3
}

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

impl Process {
    /// Identity of a process, without its counts.
    pub fn head(process: &ProcessFrame) -> Self {
        Self {
            pid: process.key.pid,
            joined_ns: process.key.joined_ns,
            comm: process.comm.clone(),
            parent: process.parent,
            threads: process.threads,
            exit: process.exit.map(|exit| Exit { status: exit.status, at_ns: exit.at_ns }),
            syscalls: Vec::new(),
            sched: Vec::new(),
            futexes: Vec::new(),
            mutexes: Vec::new(),
            inline: Vec::new(),
            events: Vec::new(),
            counters: None,
        }
    }

    /// Bytes that its head takes in a line, at most.
    pub fn head_weight(&self) -> usize {
        300 + text_weight(&self.comm)
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
            syscalls: all(process.syscalls)?,
            sched: all(process.sched)?,
            futexes: all(process.futexes)?,
            mutexes: all(process.mutexes)?,
            inline: all(process.inline)?,
            events: process.events,
            counters: process.counters.map(TryInto::try_into).transpose()?,
        })
    }
}

fn all<W, M: TryFrom<W, Error = Impossible>>(read: Vec<W>) -> Result<Vec<M>, Impossible> {
    read.into_iter().map(M::try_from).collect()
}

impl From<&frame::Frame> for Frame {
    /// Without processes: they are spread over as many lines as they need.
    fn from(frame: &frame::Frame) -> Self {
        Self {
            sequence: frame.sequence,
            at_ns: frame.at_ns,
            span_ns: frame.span_ns,
            processes: Vec::new(),
            ledger: (&frame.ledger).into(),
            overhead: (&frame.overhead).into(),
            notes: frame.notes.clone(),
        }
    }
}

impl Frame {
    /// The frame, with the processes that were collected for it.
    pub fn with(self, processes: Vec<ProcessFrame>) -> Result<frame::Frame, Impossible> {
        Ok(frame::Frame {
            sequence: self.sequence,
            at_ns: self.at_ns,
            span_ns: self.span_ns,
            processes,
            ledger: self.ledger.try_into()?,
            overhead: self.overhead.try_into()?,
            notes: self.notes,
        })
    }
}
