//! Scheduling of a process or a thread, and the budget of its time.

mod file;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    frame::{Call, ThreadName},
    hist::Hist,
    text,
    valid::{count, is_default, time},
};

/// A process in an interval, or one of its threads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchedFrame {
    /// The thread; `None` for the process as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    /// Counts, histograms and budget.
    #[serde(flatten)]
    pub stats: SchedStats,
}

crate::read_beside! {
    SchedFrame needs {} has { thread: Option<ThreadName> } beside stats;
    Self { thread, stats }
}

/// Scheduling events, and the use of the time.
///
/// A process has everything. A thread has counts and budget; distributions, CPUs and wakers only where threads
/// are told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedStats {
    /// Times that it gave the CPU up because it had to wait.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub voluntary: u64,
    /// Times that the CPU was taken from it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub involuntary: u64,
    /// Times that it went on on another CPU than before.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub migrations: u64,
    /// From being woken to running, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub wakeup_to_run: Hist,
    /// From being preempted to running again, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub preempted_to_run: Hist,
    /// Uninterrupted stretches on a CPU, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub on_cpu: Hist,
    /// Stretches off the CPU, for any reason, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub off_cpu: Hist,
    /// Time on each CPU, by the CPU's number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "file::cpus")]
    pub cpus: BTreeMap<u32, CpuShare>,
    /// Wakers, each with the times from its wakeups until it ran, ns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "file::wakers")]
    pub wakers: BTreeMap<Waker, Hist>,
    /// Its time by use.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "file::read_budget")]
    pub budget: Budget,
}

/// Time on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuShare {
    /// Stretches that ended there.
    pub stretches: u64,
    /// Time of those stretches, ns.
    pub ns: u64,
}

/// Source of wakeups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waker {
    /// Context in which the wakeup was made.
    pub context: WakerContext,
    /// Id of a target; 0 for an interrupt, and for all processes of another program.
    pub pid: u32,
    /// Name of the process; empty for an interrupt, and for the programs beyond the most frequent.
    pub comm: String,
}

/// The context in which a wakeup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WakerContext {
    /// A task, in its own context.
    Task,
    /// An interrupt; the task below has nothing to do with it.
    Interrupt(Interrupt),
    /// The task that was running, or an interrupt on top of it: only in recordings of version 1.0 on
    /// kernels before 5.15.
    Unknown,
}

/// The purpose of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interrupt {
    /// An expired timer.
    Timer,
    /// A block device.
    Block,
    /// A network device or its softirq.
    Network,
    /// Another one, or not known.
    Other,
}

impl Interrupt {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Timer, Self::Block, Self::Network, Self::Other];

    /// The interrupt of a word.
    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Block => "block",
            Self::Network => "network",
            Self::Other => "other",
        }
    }
}

impl Waker {
    /// It as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.context {
            WakerContext::Interrupt(kind) => format!("interrupt ({})", kind.word()),
            WakerContext::Task if self.pid == 0 && self.comm.is_empty() => "other programs".to_owned(),
            WakerContext::Task => text::process(self.pid, &self.comm, 0),
            WakerContext::Unknown => format!("{} or an interrupt", text::process(self.pid, &self.comm, 0)),
        }
    }
}

/// Place in which blocked time was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In this system call.
    Call(Call),
    /// Outside of any call: a page fault.
    Outside,
    /// In calls for which a thread had no place left to tell them apart.
    Other,
}

/// Blocked time in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Times that it blocked there and was woken.
    pub count: u64,
    /// Blocked time, ns.
    pub ns: u64,
}

/// Wall-clock time and where it went. The parts add up to the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The whole: for a process the sum over its threads.
    #[serde(deserialize_with = "time")]
    pub wall_ns: u64,
    /// Running outside of system calls: user code, and page faults where they are not measured.
    #[serde(deserialize_with = "time")]
    pub user_ns: u64,
    /// Running in page faults outside of system calls; 0 where they are not measured.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "time")]
    pub faults_ns: u64,
    /// Running inside of system calls.
    #[serde(deserialize_with = "time")]
    pub kernel_ns: u64,
    /// Woken, and waiting for a CPU.
    #[serde(deserialize_with = "time")]
    pub woken_ns: u64,
    /// Preempted, and waiting for a CPU.
    #[serde(deserialize_with = "time")]
    pub preempted_ns: u64,
    /// Waiting for something else, by the call that it waited in.
    #[serde(with = "file::blocked")]
    pub blocked: BTreeMap<Place, Blocked>,
    /// Stopped by a signal or a tracer, or frozen.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "time")]
    pub stopped_ns: u64,
    /// Time of which it cannot be said.
    #[serde(deserialize_with = "time")]
    pub unknown_ns: u64,
}

impl Budget {
    /// Time on a CPU.
    #[must_use]
    pub fn on_cpu_ns(&self) -> u64 {
        self.user_ns + self.faults_ns + self.kernel_ns
    }

    /// Time spent waiting for a CPU.
    #[must_use]
    pub fn run_queue_ns(&self) -> u64 {
        self.woken_ns + self.preempted_ns
    }

    /// Time spent waiting for anything else.
    #[must_use]
    pub fn blocked_ns(&self) -> u64 {
        self.blocked.values().map(|blocked| blocked.ns).sum()
    }

    /// Sum of the parts, ns.
    #[must_use]
    pub fn parts_ns(&self) -> u64 {
        self.on_cpu_ns() + self.run_queue_ns() + self.blocked_ns() + self.stopped_ns + self.unknown_ns
    }

    /// Adds another interval, or another thread.
    pub fn merge(&mut self, other: &Self) {
        self.wall_ns += other.wall_ns;
        self.user_ns += other.user_ns;
        self.faults_ns += other.faults_ns;
        self.kernel_ns += other.kernel_ns;
        self.woken_ns += other.woken_ns;
        self.preempted_ns += other.preempted_ns;
        self.stopped_ns += other.stopped_ns;
        self.unknown_ns += other.unknown_ns;
        for (place, blocked) in &other.blocked {
            let mine = self.blocked.entry(*place).or_default();
            mine.count += blocked.count;
            mine.ns += blocked.ns;
        }
    }
}

impl SchedStats {
    /// Adds another interval, or another thread.
    pub fn merge(&mut self, other: &Self) {
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
        self.migrations += other.migrations;
        let hists = [
            (&mut self.wakeup_to_run, &other.wakeup_to_run),
            (&mut self.preempted_to_run, &other.preempted_to_run),
            (&mut self.on_cpu, &other.on_cpu),
            (&mut self.off_cpu, &other.off_cpu),
        ];
        hists.into_iter().for_each(|(mine, theirs)| mine.merge(theirs));
        for (cpu, share) in &other.cpus {
            let mine = self.cpus.entry(*cpu).or_default();
            mine.stretches += share.stretches;
            mine.ns += share.ns;
        }
        for (waker, latency) in &other.wakers {
            self.wakers.entry(waker.clone()).or_default().merge(latency);
        }
        self.budget.merge(&other.budget);
    }

    /// Times that it left a CPU.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.voluntary + self.involuntary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_budgets_still_add_up() {
        let place = Place::Outside;
        let one = Budget {
            wall_ns: 100,
            user_ns: 6,
            faults_ns: 4,
            kernel_ns: 20,
            woken_ns: 5,
            preempted_ns: 15,
            blocked: [(place, Blocked { count: 2, ns: 40 })].into(),
            stopped_ns: 3,
            unknown_ns: 7,
        };
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.parts_ns(), sum.wall_ns), (200, 200));
        assert_eq!((sum.on_cpu_ns(), sum.run_queue_ns(), sum.blocked_ns()), (60, 40, 80));
        assert_eq!(sum.blocked[&place].count, 4);
    }
}
