//! Orders of one side, as the coordinator (or the server) passes them on: one JSON line.

use std::path::PathBuf;
use std::time::Duration;

use pulse_trace_workloads::contract::Warmup;
use serde::{Deserialize, Serialize};

use crate::mutex::Mutex;
use crate::pingpong::Game;
use crate::queue::Geometry;

/// glibc's own limit of the spin, unless its tunable says otherwise.
pub const DEFAULT_SPIN_LIMIT: i32 = 100;

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Waits for a message, then replies
    Server,
    /// Sends a message, then waits for the reply
    Client,
}

impl Role {
    /// Name of the side, `server` or `client`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// All that both sides must agree on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The lock of both queues.
    pub mutex: Mutex,
    /// Size of the queues.
    pub geometry: Geometry,
    /// Round trips to make.
    pub repetitions: u64,
    /// `glibc.pthread.mutex_spin_count`, where it was set.
    pub spin_tunable: Option<i32>,
    /// Warm-up in round trips.
    pub warmup_operations: u64,
    /// Warm-up in nanoseconds, instead of the above.
    pub warmup_ns: Option<u64>,
    /// Attempts in vain before a yield.
    pub per_yield: u32,
    /// Time without progress before giving up.
    pub timeout_ns: u64,
    /// The client times every round trip of so many; 0 is none.
    pub time_every: u64,
    /// True when each side has the kernel count its futex calls.
    pub count_futex: bool,
    /// After so many messages the server dies holding the lock.
    pub crash_at: Option<u64>,
    /// The queue of messages to the server.
    pub to_server: PathBuf,
    /// The queue of messages to the client.
    pub to_client: PathBuf,
}

impl Plan {
    /// The game both sides play.
    pub fn game(&self) -> Game {
        Game {
            size: self.geometry.size,
            capacity: self.geometry.capacity,
            repetitions: self.repetitions,
            per_yield: self.per_yield,
            timeout: Duration::from_nanos(self.timeout_ns),
            time_every: self.time_every,
            crash_at: self.crash_at,
        }
    }

    /// The warm-up; none when there is none.
    pub fn warmup(&self) -> Option<Warmup> {
        match (self.warmup_ns, self.warmup_operations) {
            (Some(ns), _) => Some(Warmup::Time(Duration::from_nanos(ns))),
            (None, 0) => None,
            (None, operations) => Some(Warmup::Operations(operations)),
        }
    }

    /// The limit of the restated loops.
    pub fn spin_limit(&self) -> i32 {
        self.spin_tunable.unwrap_or(DEFAULT_SPIN_LIMIT)
    }
}
