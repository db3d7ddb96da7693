//! What a thread waits for, and who could end that.

use serde::Serialize;

/// How sure it is who could end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The kernel says so.
    Known,
    /// Memory of the process says so, and its code waits where that is meant.
    Read,
    /// Memory of the process looks like it.
    Claimed,
}

/// Beginning of the name of a futex whose maker is not known.
pub const FUTEX: &str = "futex 0x";

/// Place of threads of which not even the call can be read.
pub const UNSEEN: &str = "calls that cannot be seen";

/// What may end a wait besides the threads that are known to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Besides {
    /// Nothing: a lock, or the end of a thread.
    Nothing,
    /// What cannot be seen from outside: a signal handler, a descriptor on its way to another process.
    Unseen,
    /// Also a time limit, a device, the network, or what is not known.
    Anything,
}

/// A wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it waits for, in words.
    pub object: String,
    /// What has to happen.
    pub until: &'static str,
    /// Threads that could end it, any of them; empty where none is known.
    pub enders: Vec<u32>,
    /// How that is known.
    pub certainty: Certainty,
    /// What may end it besides.
    pub besides: Besides,
    /// True if a thread without work waits so: it is told only where it can never end.
    pub is_idle: bool,
    /// What such threads are counted under, where that is not the object.
    pub idle_in: Option<String>,
}

impl Edge {
    /// A wait of which it is not known who could end it.
    pub fn unknown(object: impl Into<String>, until: &'static str) -> Self {
        Self {
            object: object.into(),
            until,
            enders: Vec::new(),
            certainty: Certainty::Claimed,
            besides: Besides::Anything,
            is_idle: false,
            idle_in: None,
        }
    }

    /// A wait of which the kernel tells who could end it.
    pub fn known(object: impl Into<String>, until: &'static str, enders: Vec<u32>, besides: Besides) -> Self {
        Self { enders, certainty: Certainty::Known, besides, ..Self::unknown(object, until) }
    }

    /// What a thread without work is counted under.
    pub fn place(&self) -> &str {
        self.idle_in.as_deref().unwrap_or(&self.object)
    }

    /// A wait for work.
    pub fn idle(object: impl Into<String>) -> Self {
        Self { is_idle: true, ..Self::unknown(object, "there is work") }
    }
}
