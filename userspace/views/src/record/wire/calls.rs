//! Wire format of system calls.

use model::{
    frame::{self, CallFrame, CallStats, Lean, ThreadName},
    hist::Hist,
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::{
    hist::weight,
    limits::{Impossible, counts, times},
    text_weight,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Syscall {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub compat: bool,
    pub nr: u32,
    /// The operation, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency: Hist,
    #[serde(default, skip_serializing_if = "is_default")]
    pub lean: Lean,
    #[serde(default, skip_serializing_if = "is_default")]
    pub untimed: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreturned: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocked_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub queued_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub in_flight: u64,
    /// Pairs of errno and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<(u32, u64)>,
}

impl Syscall {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        let name = self.thread.as_ref().map_or(0, |thread| text_weight(&thread.comm));
        460 + name + weight(&self.latency) + self.errors.len() * 36
    }
}

impl From<&CallFrame> for Syscall {
    fn from(call: &CallFrame) -> Self {
        let CallStats { latency, lean, .. } = &call.stats;
        Self {
            thread: call.thread.clone(),
            compat: call.call.abi == frame::Abi::Compat,
            nr: call.call.nr,
            op: call.call.operation,
            latency: latency.clone(),
            lean: *lean,
            untimed: call.stats.untimed,
            unreturned: call.stats.unreturned,
            blocked_ns: call.stats.blocked_ns,
            queued_ns: call.stats.queued_ns,
            in_flight: call.stats.in_flight,
            errors: call.stats.errors.iter().map(|(errno, count)| (*errno, *count)).collect(),
        }
    }
}

impl TryFrom<Syscall> for CallFrame {
    type Error = Impossible;

    fn try_from(call: Syscall) -> Result<Self, Impossible> {
        counts([call.untimed, call.unreturned, call.in_flight])?;
        counts(call.errors.iter().map(|(_, count)| *count))?;
        times([call.blocked_ns, call.queued_ns])?;
        let abi = if call.compat { frame::Abi::Compat } else { frame::Abi::Native };
        Ok(Self {
            thread: call.thread,
            call: frame::Call { abi, nr: call.nr, operation: call.op },
            stats: CallStats {
                latency: call.latency,
                lean: call.lean,
                untimed: call.untimed,
                unreturned: call.unreturned,
                blocked_ns: call.blocked_ns,
                queued_ns: call.queued_ns,
                errors: call.errors.into_iter().collect(),
                in_flight: call.in_flight,
            },
        })
    }
}
