//! A whole session: what its header says and what all of its frames add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    counters::Counters,
    events::{EventName, EventStats},
    fold::fold_ended,
    frame::{Call, CallStats, Exit, Frame, Ledger, Overhead, ProcessFrame, ProcessKey, ThreadName},
    inline::{Inline, InlineKind},
    locks::{FutexStats, LockPlace, MutexFrame, MutexKind, MutexStats},
    merge::Entry,
    sched::SchedStats,
    text,
};

/// The data that is known when a session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the tool that made it.
    pub tool_version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture, as the kernel names it.
    pub arch: String,
    /// CPUs that are online.
    pub cpus: u32,
    /// The clock source behind the timestamps.
    pub clock: String,
    /// The command line.
    pub command: Vec<String>,
    /// Process ids that were asked for.
    pub targets: Vec<u32>,
    /// Wall clock at the start, ns since 1970.
    pub start_unix_ns: u64,
    /// Monotonic clock at the start, ns; frames count from here.
    pub start_mono_ns: u64,
    /// The probes that ran.
    pub probes: Vec<String>,
    /// True if calls are told apart by thread.
    pub per_thread: bool,
}

impl Header {
    /// Reports whether system calls were counted: where not, there are none to show, which is not to say that
    /// there were none.
    #[must_use]
    pub fn counts_calls(&self) -> bool {
        self.probes.is_empty() || self.probes.iter().any(|probe| probe == "syscalls")
    }

    /// Reports whether page faults were measured: where not, they are part of user code.
    #[must_use]
    pub fn measures_faults(&self) -> bool {
        self.probes.iter().any(|probe| probe == "faults")
    }
}

/// The sum of a session's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// The data that was known at the start.
    pub header: Header,
    /// Length of the session, ns.
    pub duration_ns: u64,
    /// Every process that was ever a target, in the order in which they joined.
    pub processes: BTreeMap<ProcessKey, Process>,
    /// Numbers of events that were counted and of those that were not.
    pub ledger: Ledger,
    /// Cost of the measurement itself.
    pub overhead: Overhead,
    /// Notes that the reader must know, each only once.
    pub notes: Vec<String>,
    /// True if its last frame was seen: a recording of a tool that was killed has none.
    pub finished: bool,
}

/// One process over a whole session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its last name.
    pub comm: String,
    /// The process that forked it, where that was seen.
    pub parent: Option<u32>,
    /// Threads that were ever followed.
    pub threads: u32,
    /// Its exit, if it ended.
    pub exit: Option<Exit>,
    /// Number of ended processes of this name that it stands for; 0 where it is one.
    pub folded: u64,
    /// System calls by thread; the key is `None` where threads are not told apart.
    pub syscalls: BTreeMap<(Option<u32>, Call), CallStats>,
    /// Scheduling, the process as a whole; `None` where the probe did not run.
    pub sched: Option<SchedStats>,
    /// Scheduling by thread.
    pub sched_threads: BTreeMap<u32, SchedStats>,
    /// Futexes by place, address and operation.
    pub futexes: BTreeMap<(LockPlace, u64, String), FutexStats>,
    /// Mutexes by place and address.
    pub mutexes: BTreeMap<(LockPlace, u64), Mutex>,
    /// Mutexes by kind, as counters inside of the process saw them.
    pub inline: BTreeMap<InlineKind, Inline>,
    /// Events by kind and, where threads are told apart, thread.
    pub events: BTreeMap<(EventName, Option<u32>), EventStats>,
    /// Performance counters; `None` where the process has none of its own.
    pub counters: Option<Counters>,
    /// Names of the threads that are told apart.
    pub thread_names: BTreeMap<u32, String>,
}

/// A mutex over a whole session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mutex {
    /// Runtime of the lock.
    pub runtime: String,
    /// The library's way to count spins, where it spins.
    pub generation: Option<String>,
    /// The kind, where it is known.
    pub kind: Option<MutexKind>,
    /// Counts, histograms and stacks.
    pub stats: MutexStats,
}

impl Mutex {
    /// Reports whether the places that tell of spins are on its way. Some locks do not spin, and of other runtimes only
    /// the beginning of the slow path is seen.
    #[must_use]
    pub fn counts_spins(&self) -> bool {
        self.generation.is_some() || self.stats.spin_count.count() > 0
    }
}

impl Session {
    /// A session before its first frame.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self { header, ..Self::default() }
    }

    /// Adds an interval.
    pub fn add(&mut self, frame: &Frame) {
        self.add_all_but_calls(frame);
        for process in &frame.processes {
            let mine = self.processes.entry(process.key).or_default();
            for call in &process.syscalls {
                mine.syscalls.entry(call.key()).or_default().merge(&call.stats);
            }
        }
        fold_ended(&mut self.processes);
    }

    /// Adds the system calls of several intervals, whose other parts have been added: far less work than one by one
    /// where there are many, because each of the session's histograms is touched once.
    pub fn add_calls_of<'a>(&mut self, frames: impl IntoIterator<Item = &'a Frame>) {
        let mut by_process: BTreeMap<ProcessKey, BTreeMap<_, Vec<&CallStats>>> = BTreeMap::new();
        for process in frames.into_iter().flat_map(|frame| &frame.processes) {
            let calls = by_process.entry(process.key).or_default();
            for call in &process.syscalls {
                calls.entry(call.key()).or_default().push(&call.stats);
            }
        }
        for (key, calls) in by_process {
            let mine = self.processes.entry(key).or_default();
            for (call, all) in calls {
                mine.syscalls.entry(call).or_default().merge(&CallStats::of_all(&all));
            }
        }
        fold_ended(&mut self.processes);
    }

    /// Adds everything of an interval but its system calls.
    pub fn add_all_but_calls(&mut self, frame: &Frame) {
        self.duration_ns = frame.at_ns;
        for process in &frame.processes {
            self.processes.entry(process.key).or_default().add_all_but_calls(process);
        }
        for note in &frame.notes {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
        self.ledger.merge(&frame.ledger);
        self.overhead.merge(&frame.overhead);
    }
}

impl Process {
    /// It as it is shown.
    #[must_use]
    pub fn shown(&self, key: ProcessKey) -> String {
        text::process(key.pid, &self.comm, self.folded)
    }

    fn add_all_but_calls(&mut self, frame: &ProcessFrame) {
        self.comm.clone_from(&frame.comm);
        self.parent = frame.parent.or(self.parent);
        self.threads = frame.threads.max(self.threads);
        self.exit = frame.exit.or(self.exit);
        for call in &frame.syscalls {
            if let Some(ThreadName { tid, comm }) = &call.thread {
                self.thread_names.insert(*tid, comm.clone());
            }
        }
        if let Some(counters) = &frame.counters {
            self.counters.get_or_insert_default().merge(counters);
        }
        self.add_sched(frame);
        self.add_locks(frame);
        for event in &frame.events {
            if let Some(ThreadName { tid, comm }) = &event.thread {
                self.thread_names.insert(*tid, comm.clone());
            }
            let (name, tid) = event.key();
            self.events.entry((name.clone(), tid)).or_default().merge(&event.stats);
        }
    }

    fn add_sched(&mut self, frame: &ProcessFrame) {
        for sched in &frame.sched {
            if let Some(ThreadName { tid, comm }) = &sched.thread {
                self.thread_names.insert(*tid, comm.clone());
            }
            let known = match sched.key() {
                None => self.sched.get_or_insert_default(),
                Some(tid) => self.sched_threads.entry(tid).or_default(),
            };
            known.merge(&sched.stats);
        }
    }

    fn add_locks(&mut self, frame: &ProcessFrame) {
        for futex in &frame.futexes {
            let (place, address, op) = futex.key();
            self.futexes.entry((place.clone(), address, op.to_owned())).or_default().merge(&futex.stats);
        }
        self.fold_futexes();
        for mutex in &frame.mutexes {
            let MutexFrame { runtime, generation, kind, stats, .. } = mutex;
            let (place, address) = mutex.key();
            let known = self.mutexes.entry((place.clone(), address)).or_default();
            known.runtime.clone_from(runtime);
            known.generation.clone_from(generation);
            known.kind = kind.or(known.kind);
            known.stats.merge(stats);
        }
        for inline in &frame.inline {
            self.inline.entry(inline.key()).or_default().add(inline);
        }
    }

    /// System calls, all threads together.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<Call, CallStats> {
        let mut calls: BTreeMap<Call, CallStats> = BTreeMap::new();
        for ((_, call), stats) in &self.syscalls {
            calls.entry(*call).or_default().merge(stats);
        }
        calls
    }
}
