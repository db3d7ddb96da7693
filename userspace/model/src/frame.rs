//! One interval of one session: the waist through which every number passes on its way from a probe to a screen or a
//! file. Counts are those of the interval; adding up all frames of a session gives the session.

mod overhead;

use std::collections::BTreeMap;

pub use overhead::{Overhead, ProgramCost, Slowdown, Traps};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    counters::Counters,
    events::EventFrame,
    hist::{Hist, Largest},
    inline::InlineFrame,
    locks::{FutexFrame, MutexFrame},
    sched::SchedFrame,
    valid::{self, LARGEST_COUNT, Numbers, count, is_default, read_pairs, time, write_pairs},
};

/// A process, for as long as the machine runs: an id alone is reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Process id in the initial PID namespace.
    pub pid: u32,
    /// Time at which it joined the session, ns of the monotonic clock.
    pub joined_ns: u64,
}

/// Data of one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Number within the session, from 0.
    pub sequence: u64,
    /// End of the interval, in ns since the session began.
    pub at_ns: u64,
    /// Length of the interval, ns.
    pub span_ns: u64,
    /// Targets in which anything happened, and those that are new or changed.
    pub processes: Vec<ProcessFrame>,
    /// Numbers of events that were counted and of those that were not.
    pub ledger: Ledger,
    /// Cost of the measurement itself.
    pub overhead: Overhead,
    /// Notes that the reader must know about this interval: refusals of probes, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Data of one process in an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProcessFrame {
    /// Key of the process.
    #[serde(flatten)]
    pub key: ProcessKey,
    /// Its name at the end of the interval.
    pub comm: String,
    /// The process that forked it, where that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// Threads that were ever followed, up to now.
    pub threads: u32,
    /// Its exit, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Performance counters, where the process has counters of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// System calls, by thread where threads are told apart.
    pub syscalls: Vec<CallFrame>,
    /// Scheduling: the process as a whole, and each thread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sched: Vec<SchedFrame>,
    /// Futexes, one entry for each address and operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub futexes: Vec<FutexFrame>,
    /// Mutexes, one entry for each lock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mutexes: Vec<MutexFrame>,
    /// Mutexes by kind, where counters inside of the process were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inline: Vec<InlineFrame>,
    /// Events by kind, of all probes that count such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventFrame>,
}

crate::read_beside! {
    ProcessFrame needs { comm: String, threads: u32, syscalls: Vec<CallFrame> }
    has {
        parent: Option<u32>, exit: Option<Exit>, sched: Vec<SchedFrame>, futexes: Vec<FutexFrame>,
        mutexes: Vec<MutexFrame>, inline: Vec<InlineFrame>, events: Vec<EventFrame>, counters: Option<Counters>
    }
    beside key;
    Self {
        key, comm, parent, threads, exit, syscalls, sched, futexes, mutexes, inline, events, counters,
    }
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Status as `wait` reports it; `None` where this kernel does not tell.
    pub status: Option<u32>,
    /// Time of the exit, in ns since the session began.
    pub at_ns: u64,
}

/// ABI through which a system call was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum Abi {
    /// The kernel's own.
    #[default]
    Native,
    /// The 32-bit one: i386 on x86-64, arm on aarch64.
    Compat,
}

impl From<bool> for Abi {
    fn from(is_compat: bool) -> Self {
        if is_compat { Self::Compat } else { Self::Native }
    }
}

impl From<Abi> for bool {
    fn from(abi: Abi) -> Self {
        abi == Abi::Compat
    }
}

/// A kind of system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The ABI whose table the number belongs to.
    #[serde(rename = "compat", default, skip_serializing_if = "is_default")]
    pub abi: Abi,
    /// Number of the call in its ABI.
    pub nr: u32,
    /// The operation, an argument, where each has counters of its own; [`Call::OTHER`] for all that have none.
    #[serde(rename = "op", default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
}

impl Call {
    /// All operations without a counter of their own.
    pub const OTHER: u32 = u32::MAX;

    /// A call, all operations together.
    #[must_use]
    pub const fn whole(abi: Abi, nr: u32) -> Self {
        Self { abi, nr, operation: None }
    }
}

/// Data of one kind of system call in an interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallFrame {
    /// The thread, where threads are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    /// The system call and its operation.
    #[serde(flatten)]
    pub call: Call,
    /// Counts, times and errors.
    #[serde(flatten)]
    pub stats: CallStats,
}

crate::read_beside! {
    CallFrame needs { nr: u32 } has { thread: Option<ThreadName>, compat: Abi, op: Option<u32> } beside stats;
    Self { thread, call: Call { abi: compat, nr, operation: op }, stats }
}

/// A thread and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ThreadName {
    /// Thread id in the initial PID namespace.
    pub tid: u32,
    /// Its name when last looked at.
    pub comm: String,
}

/// Numbers of one kind of system call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallStats {
    /// Latencies, where a histogram was to be had.
    #[serde(skip_serializing_if = "is_default")]
    pub latency: Hist,
    /// Calls that ended after the histogram pool had run out: only count, total and maximum are known.
    #[serde(skip_serializing_if = "is_default")]
    pub lean: Lean,
    /// Calls that ended, without a latency, for a reason that the ledger names.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub untimed: u64,
    /// Calls that can never end: `exit`, or the thread was killed in them.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub unreturned: u64,
    /// Failed calls by errno.
    #[serde(
        skip_serializing_if = "is_default",
        serialize_with = "write_pairs",
        deserialize_with = "read_pairs"
    )]
    pub errors: BTreeMap<u32, u64>,
    /// Part of the total time in which the calls were blocked, ns; 0 where scheduling is not followed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "time")]
    pub blocked_ns: u64,
    /// Part of it in which they waited for a CPU, ns.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "time")]
    pub queued_ns: u64,
    /// Calls that were running when the session ended (set in its last frame only).
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub in_flight: u64,
}

/// Calls without a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lean {
    /// Number of calls.
    #[serde(deserialize_with = "count")]
    pub count: u64,
    /// Their total time.
    #[serde(deserialize_with = "time")]
    pub sum_ns: u64,
    /// Longest time, ns.
    pub max_ns: u64,
    /// `max_ns` is only a bound above the longest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_is_bound: bool,
}

impl Lean {
    /// The longest, if there are any.
    #[must_use]
    pub fn longest(&self) -> Option<Largest> {
        (self.count > 0).then_some(Largest { value: self.max_ns, exact: !self.max_is_bound })
    }

    /// Adds the numbers of other calls.
    fn merge(&mut self, other: &Self) {
        let longest = self.longest().max(other.longest());
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = longest.map_or(0, |it| it.value);
        self.max_is_bound = longest.is_some_and(|it| !it.exact);
    }
}

impl CallStats {
    /// Calls that were counted: those that ended and those that never will.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.latency.count() + self.lean.count + self.untimed + self.unreturned
    }

    /// Total time of the calls that ended.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.latency.sum + self.lean.sum_ns
    }

    /// Shares of the total time that the calls were blocked and waited for a CPU; `None` where neither is known.
    #[must_use]
    pub fn off_cpu_shares(&self) -> Option<[f64; 2]> {
        let (parts, total) = ([self.blocked_ns, self.queued_ns], self.total_ns());
        let known = parts != [0, 0] && total > 0;
        // Of an interval, a call's blocked time may be seen a moment before the call.
        known.then(|| parts.map(|ns| (ns as f64 / total as f64).min(1.0)))
    }

    /// Part of the total time that was spent on a CPU; all of it where nothing is known of the parts.
    #[must_use]
    pub fn on_cpu_ns(&self) -> u64 {
        self.total_ns().saturating_sub(self.blocked_ns + self.queued_ns)
    }

    /// The longest call.
    #[must_use]
    pub fn longest(&self) -> Option<Largest> {
        self.latency.largest().max(self.lean.longest())
    }

    /// Its time, ns.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        self.longest().map(|longest| longest.value)
    }

    /// Number of calls that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The sum of many.
    #[must_use]
    pub fn of_all(all: &[&Self]) -> Self {
        if let [one] = all {
            return (*one).clone();
        }
        let mut sum = Self { latency: Hist::of_all(all.iter().map(|it| &it.latency)), ..Self::default() };
        all.iter().for_each(|other| sum.merge_counts(other));
        sum
    }

    /// Adds another interval, or another thread.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.merge_counts(other);
    }

    /// Everything but the latencies.
    fn merge_counts(&mut self, other: &Self) {
        self.lean.merge(&other.lean);
        self.untimed += other.untimed;
        self.unreturned += other.unreturned;
        self.blocked_ns += other.blocked_ns;
        self.queued_ns += other.queued_ns;
        self.in_flight += other.in_flight;
        for (errno, count) in &other.errors {
            *self.errors.entry(*errno).or_default() += count;
        }
    }

    /// Reports whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0 && self.in_flight == 0
    }
}

/// `counted + lost + censored` is the truth. Names are those of [`pulse_trace_common::loss::Slot`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// System calls that are in the numbers.
    #[serde(deserialize_with = "ledger_count")]
    pub counted: u64,
    /// Other events that are in the numbers, by what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "ledger_count")]
    pub events: BTreeMap<String, u64>,
    /// Events that are missing from them.
    #[serde(deserialize_with = "ledger_count")]
    pub lost: BTreeMap<String, u64>,
    /// Events that lie partly outside of the session.
    #[serde(deserialize_with = "ledger_count")]
    pub censored: BTreeMap<String, u64>,
    /// Events that are counted, but of which a detail is missing.
    #[serde(deserialize_with = "ledger_count")]
    pub degraded: BTreeMap<String, u64>,
    /// Sizes of tables that were full, by the name of the option that sets them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "ledger_count")]
    pub room: BTreeMap<String, u64>,
}

fn ledger_count<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    valid::up_to(LARGEST_COUNT, "a count of the ledger is too large", input)
}

impl Ledger {
    /// Reports whether nothing was lost and no detail is missing.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.lost.values().chain(self.degraded.values()).all(|count| *count == 0)
    }

    /// Runs of programs that the kernel left out.
    #[must_use]
    pub fn runs_left_out(&self) -> u64 {
        let of = |book: &BTreeMap<String, u64>, name| book.get(name).copied().unwrap_or(0);
        of(&self.degraded, "recursion_misses") + 2 * of(&self.lost, "calls_left_out")
    }

    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.counted += other.counted;
        let pairs = [
            (&mut self.events, &other.events),
            (&mut self.lost, &other.lost),
            (&mut self.censored, &other.censored),
            (&mut self.degraded, &other.degraded),
        ];
        for (mine, theirs) in pairs {
            for (name, count) in theirs {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
        self.room.extend(other.room.iter().map(|(name, size)| (name.clone(), *size)));
    }
}
