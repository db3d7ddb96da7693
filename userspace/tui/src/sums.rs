//! Sums of an interval, all shown processes together: small enough to be kept for every frame of the last
//! minutes, and to be added up anew for every screen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use model::{
    events::EventName,
    fold::{self, Account},
    frame::{Call, CallStats, Exit, Frame, Ledger, Overhead, ProcessFrame, ProcessKey},
    inline::{InlineKind, InlineStats},
    locks::{FutexStats, LockPlace, MutexKind, MutexStats, Verdict, waits},
    sched::{Budget, SchedStats},
    session::{Process, Session},
    text,
};

/// The sum over some processes and some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Length of the interval, ns.
    pub span_ns: u64,
    /// System calls, by call and operation.
    pub calls: BTreeMap<Call, CallStats>,
    /// Scheduling; `None` where no such probe ran.
    pub sched: Option<SchedStats>,
    /// Locks, by process and place.
    pub locks: BTreeMap<LockKey, Lock>,
    /// Mutexes by kind, where counters inside of the processes were asked for.
    pub inline: BTreeMap<InlineKind, InlineStats>,
    /// Events by kind, of probes that count such.
    pub events: BTreeMap<EventName, CallStats>,
    /// Each process in few numbers.
    pub processes: BTreeMap<ProcessKey, Brief>,
    /// Numbers of events that were counted and of those that were not, of the whole session.
    pub ledger: Ledger,
    /// Cost of the measurement.
    pub overhead: Overhead,
    /// Cache of [`Self::call_totals`].
    totals: Totals,
}

/// Sums over all calls, computed on first use.
#[derive(Clone, Debug, Default)]
struct Totals(OnceLock<(u64, u64, u64)>);

impl PartialEq for Totals {
    /// They follow from the rest.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A lock. A shared one is the same lock in every process, a private one is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockKey {
    /// The process, unless it is shared.
    pub pid: Option<u32>,
    /// Place of the lock.
    pub place: LockPlace,
}

/// Data of a lock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// The name of the process, or of the first of several.
    pub comm: String,
    /// Futex operations by name.
    pub futexes: BTreeMap<String, FutexStats>,
    /// Runtime of the lock, where probes in the library say.
    pub runtime: Option<String>,
    /// Its kind, where that is known.
    pub kind: Option<MutexKind>,
    /// True if the library's own probe sites report spins.
    pub tells_spins: bool,
    /// Numbers from those probes.
    pub mutex: Option<MutexStats>,
}

/// A process in few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brief {
    /// Name of the process.
    pub comm: String,
    /// The process that forked it.
    pub parent: Option<u32>,
    /// Threads that were ever followed.
    pub threads: u32,
    /// Its exit, once it has ended.
    pub exit: Option<Exit>,
    /// Number of ended processes of this name that it stands for; 0 where it is one.
    pub folded: u64,
    /// Number of system calls.
    pub calls: u64,
    /// Number of failed calls.
    pub errors: u64,
    /// Time in calls that ended.
    pub call_ns: u64,
    /// Times that it left a CPU.
    pub switches: u64,
    /// Its time by use; `None` where no scheduler probe ran.
    pub budget: Option<Budget>,
}

/// The chosen processes; none chosen means all.
pub type Chosen = BTreeSet<ProcessKey>;

impl Sums {
    /// Those of one frame.
    #[must_use]
    pub fn of(frame: &Frame, chosen: &Chosen) -> Self {
        let mut sums = Self { span_ns: frame.span_ns, ..Self::default() };
        sums.ledger.merge(&frame.ledger);
        sums.overhead.merge(&frame.overhead);
        let mut calls: BTreeMap<Call, Vec<&CallStats>> = BTreeMap::new();
        for process in &frame.processes {
            sums.add_brief(process.key, &Brief::of(process));
            if chosen.is_empty() || chosen.contains(&process.key) {
                for call in &process.syscalls {
                    calls.entry(call.call).or_default().push(&call.stats);
                }
                sums.add_others(process);
            }
        }
        // All processes together at once: with many of them, most of the work is here.
        sums.calls = calls.into_iter().map(|(call, all)| (call, CallStats::of_all(&all))).collect();
        sums
    }

    /// Those of some processes over a whole session.
    #[must_use]
    pub fn of_session(session: &Session, chosen: &Chosen) -> Self {
        let mut sums = Self {
            span_ns: session.duration_ns,
            ledger: session.ledger.clone(),
            overhead: session.overhead.clone(),
            ..Self::default()
        };
        for (key, process) in &session.processes {
            let frame = process.whole(*key);
            sums.add_brief(*key, &Brief { folded: process.folded, ..Brief::of(&frame) });
            if chosen.is_empty() || chosen.contains(key) {
                sums.add_details(&frame);
            }
        }
        sums
    }

    /// Those of one process over a whole session.
    #[must_use]
    pub fn of_process(key: ProcessKey, process: &Process, span_ns: u64) -> Self {
        let mut sums = Self { span_ns, ..Self::default() };
        sums.add_details(&process.whole(key));
        sums
    }

    /// Joins ended processes by program where there are too many of them. Only sums that are never added to others may
    /// be treated so: programs have other numbers there.
    pub fn fold_ended(&mut self) {
        fold::fold_ended(&mut self.processes);
    }

    /// Adds what follows.
    pub fn merge(&mut self, next: &Self) {
        self.totals = Totals::default();
        self.span_ns += next.span_ns;
        for (call, stats) in &next.calls {
            self.calls.entry(*call).or_default().merge(stats);
        }
        if let Some(sched) = &next.sched {
            self.sched.get_or_insert_default().merge(sched);
        }
        for (key, lock) in &next.locks {
            self.locks.entry(key.clone()).or_default().merge(lock);
        }
        for (name, stats) in &next.events {
            self.events.entry(name.clone()).or_default().merge(stats);
        }
        for (kind, stats) in &next.inline {
            self.inline.entry(*kind).or_default().merge(stats);
        }
        for (key, brief) in &next.processes {
            self.add_brief(*key, brief);
        }
        self.ledger.merge(&next.ledger);
        self.overhead.merge(&next.overhead);
    }

    fn add_brief(&mut self, key: ProcessKey, brief: &Brief) {
        self.processes.entry(key).or_default().merge(brief);
    }

    fn add_details(&mut self, process: &ProcessFrame) {
        self.totals = Totals::default();
        for call in &process.syscalls {
            self.calls.entry(call.call).or_default().merge(&call.stats);
        }
        self.add_others(process);
    }

    /// Everything but system calls.
    fn add_others(&mut self, process: &ProcessFrame) {
        for sched in process.sched.iter().filter(|sched| sched.thread.is_none()) {
            self.sched.get_or_insert_default().merge(&sched.stats);
        }
        for futex in &process.futexes {
            let lock = self.lock(process, &futex.place);
            lock.futexes.entry(futex.op.clone()).or_default().merge(&futex.stats);
            if let Some(seen) = &futex.stats.mutex {
                lock.kind = Some(seen.kind);
            }
        }
        for mutex in &process.mutexes {
            let lock = self.lock(process, &mutex.place);
            lock.runtime = Some(mutex.runtime.clone());
            lock.tells_spins |= mutex.generation.is_some();
            lock.kind = mutex.kind.or(lock.kind);
            lock.mutex.get_or_insert_default().merge(&mutex.stats);
        }
        for event in &process.events {
            self.events.entry(event.name.clone()).or_default().merge(&event.stats.times);
        }
        for inline in &process.inline {
            self.inline.entry(inline.kind).or_default().merge(&inline.stats);
        }
    }

    fn lock(&mut self, process: &ProcessFrame, place: &LockPlace) -> &mut Lock {
        let pid = (!matches!(place, LockPlace::Shared { .. })).then_some(process.key.pid);
        let lock = self.locks.entry(LockKey { pid, place: place.clone() }).or_default();
        if lock.comm.is_empty() {
            lock.comm.clone_from(&process.comm);
        }
        lock
    }

    /// All calls together, in numbers that need no histogram: count, errors, time.
    #[must_use]
    pub fn call_totals(&self) -> (u64, u64, u64) {
        let add = |all: (u64, u64, u64), stats: &CallStats| {
            (all.0 + stats.count(), all.1 + stats.failed(), all.2 + stats.total_ns())
        };
        *self.totals.0.get_or_init(|| self.calls.values().fold((0, 0, 0), add))
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let stats = |stats: &CallStats| 200 + 16 * stats.latency.buckets().len() + 48 * stats.errors.len();
        let calls: usize = self.calls.values().chain(self.events.values()).map(stats).sum();
        let sched = self.sched.as_ref().map_or(0, sched_bytes);
        let locks: usize = self.locks.values().map(Lock::bytes).sum();
        let budgets = self.processes.values().filter_map(|brief| brief.budget.as_ref());
        let budgets: usize = budgets.map(|budget| 128 + 48 * budget.blocked.len()).sum();
        let inline: usize = self.inline.values().map(|stats| 100 + 16 * stats.spins.buckets().len()).sum();
        1024 + calls + sched + locks + inline + budgets + 160 * self.processes.len()
    }
}

fn sched_bytes(sched: &SchedStats) -> usize {
    let hists = [&sched.wakeup_to_run, &sched.preempted_to_run, &sched.on_cpu, &sched.off_cpu];
    let hists: usize = hists.iter().map(|hist| 16 * hist.buckets().len()).sum();
    let wakers: usize = sched.wakers.values().map(|hist| 160 + 16 * hist.buckets().len()).sum();
    512 + hists + wakers + 40 * sched.cpus.len() + 48 * sched.budget.blocked.len()
}

impl Lock {
    pub(super) fn merge(&mut self, next: &Self) {
        if self.comm.is_empty() {
            self.comm.clone_from(&next.comm);
        }
        for (op, stats) in &next.futexes {
            self.futexes.entry(op.clone()).or_default().merge(stats);
        }
        if next.runtime.is_some() {
            self.runtime.clone_from(&next.runtime);
        }
        self.kind = next.kind.or(self.kind);
        self.tells_spins |= next.tells_spins;
        if let Some(mutex) = &next.mutex {
            self.mutex.get_or_insert_default().merge(mutex);
        }
    }

    /// Time waited in the kernel, ns.
    #[must_use]
    pub fn waited_ns(&self) -> u64 {
        self.futexes.values().map(|stats| stats.wait.sum).sum()
    }

    /// Waits in the kernel.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.futexes.values().map(|stats| stats.wait.count()).sum()
    }

    /// Verdict on the lock: spinning is contention; of sleeping one operation that fights is enough.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.mutex.as_ref().is_some_and(|mutex| mutex.contended > 0) {
            return Verdict::Contention;
        }
        let waiting = self.futexes.iter().filter(|(op, stats)| waits(op) && stats.wait.count() > 0);
        waiting.map(|(op, stats)| stats.verdict(op)).min().unwrap_or(Verdict::Unclear)
    }

    /// Reports whether the number of acquisitions by spinning is known. Most kinds of mutexes do not spin, and of some
    /// libraries only the beginning of the slow path is seen.
    #[must_use]
    pub fn counts_spins(&self) -> bool {
        let told = self.tells_spins || self.mutex.as_ref().is_some_and(|it| it.spin_count.count() > 0);
        told && self.kind.is_none_or(MutexKind::spins)
    }

    /// Time spun, ns; `None` where it was not measured, or the mutex does not spin.
    #[must_use]
    pub fn spun_ns(&self) -> Option<u64> {
        let mutex = self.mutex.as_ref().filter(|_| self.kind.is_none_or(MutexKind::spins));
        let timed = mutex.filter(|mutex| mutex.spin_time.count() > 0);
        timed.map(|mutex| mutex.spin_time.sum)
    }

    /// Waiting of any kind, ns.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.waited_ns() + self.spun_ns().unwrap_or(0)
    }

    fn bytes(&self) -> usize {
        let futex = |stats: &FutexStats| {
            let hists = [&stats.wait, &stats.blocked, &stats.run_queue];
            let buckets: usize = hists.iter().map(|hist| 16 * hist.buckets().len()).sum();
            let frames: usize =
                stats.stacks.iter().flat_map(|stack| &stack.frames).map(|it| 24 + it.len()).sum();
            512 + buckets + frames
        };
        let mutex = self.mutex.as_ref().map_or(0, |mutex| {
            let buckets = mutex.spin_count.buckets().len() + mutex.spin_time.buckets().len();
            let frames: usize =
                mutex.stacks.iter().flat_map(|stack| &stack.frames).map(|it| 24 + it.len()).sum();
            256 + 16 * buckets + frames
        });
        256 + self.futexes.values().map(futex).sum::<usize>() + mutex
    }
}

impl Brief {
    fn of(process: &ProcessFrame) -> Self {
        let mut brief = Self {
            comm: process.comm.clone(),
            parent: process.parent,
            threads: process.threads,
            exit: process.exit,
            ..Self::default()
        };
        for call in &process.syscalls {
            brief.calls += call.stats.count();
            brief.errors += call.stats.failed();
            brief.call_ns += call.stats.total_ns();
        }
        for sched in process.sched.iter().filter(|sched| sched.thread.is_none()) {
            brief.switches += sched.stats.switches();
            brief.budget.get_or_insert_default().merge(&sched.stats.budget);
        }
        brief
    }

    /// It as it is shown.
    #[must_use]
    pub fn shown(&self, key: ProcessKey) -> String {
        text::process(key.pid, &self.comm, self.folded)
    }

    fn merge(&mut self, next: &Self) {
        if self.comm != next.comm {
            self.comm.clone_from(&next.comm);
        }
        self.parent = next.parent.or(self.parent);
        self.threads = self.threads.max(next.threads);
        self.exit = next.exit.or(self.exit);
        self.folded = self.folded.max(next.folded);
        self.calls += next.calls;
        self.errors += next.errors;
        self.call_ns += next.call_ns;
        self.switches += next.switches;
        if let Some(budget) = &next.budget {
            self.budget.get_or_insert_default().merge(budget);
        }
    }
}

impl Account for Brief {
    fn comm(&mut self) -> &mut String {
        &mut self.comm
    }

    fn can_be_folded(&self) -> bool {
        self.exit.is_some()
    }

    fn in_calls_ns(&self) -> u64 {
        self.call_ns
    }

    fn absorb(&mut self, process: Self) {
        self.folded += process.folded.max(1);
        let threads = self.threads.saturating_add(process.threads);
        let own = Self { comm: self.comm.clone(), parent: None, exit: None, folded: 0, ..process };
        self.merge(&own);
        self.threads = threads;
    }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    #[test]
    fn sums_of_frames_are_those_of_the_session() {
        let shape = Shape { frames: 4, processes: 5, threads: 2, ..Shape::default() };
        let session = synthetic::session(11, shape);
        let mut sums = Sums::default();
        for frame in synthetic::frames(11, shape) {
            sums.merge(&Sums::of(&frame, &Chosen::new()));
        }
        let mut calls: BTreeMap<Call, CallStats> = BTreeMap::new();
        for process in session.processes.values() {
            for (call, stats) in process.calls() {
                calls.entry(call).or_default().merge(&stats);
            }
        }
        assert_eq!(sums.calls, calls);
        assert_eq!((&sums.ledger, &sums.overhead), (&session.ledger, &session.overhead));
        assert_eq!(sums.call_totals().0, session.ledger.counted);
        assert_eq!(sums.processes.values().map(|brief| brief.calls).sum::<u64>(), session.ledger.counted);
    }

    #[test]
    fn spun_time_is_none_for_locks_that_do_not_spin() {
        let mut stats = MutexStats::default();
        stats.spin_time.record(0);
        let lock = |form| Lock {
            kind: Some(MutexKind { form, ..MutexKind::default() }),
            mutex: Some(stats.clone()),
            ..Lock::default()
        };
        assert_eq!((lock(0).spun_ns(), lock(3).spun_ns()), (None, Some(0)));
    }

    #[test]
    fn a_choice_narrows_details_but_not_the_list_of_processes() {
        let frame = &synthetic::frames(1, Shape::default())[0];
        let one = frame.processes[1].key;
        let sums = Sums::of(frame, &Chosen::from([one]));
        assert_eq!(sums.processes.len(), 3);
        assert_eq!(sums.call_totals().0, sums.processes[&one].calls);
    }
}
