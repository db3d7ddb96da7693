//! Gathers what the kernel side has counted, by process, until a frame is due.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::Kernel;
use model::{
    counters::Counters,
    events::EventFrame,
    frame::{Call, CallFrame, Exit, ProcessFrame, ProcessKey, ThreadName},
    glance::{Glance, Quick},
    inline::InlineFrame,
    locks::MutexFrame,
    probes::ProbeSet,
    text,
};
use pulse_trace_common::{
    stack::kind,
    target::{Row, row_flag},
};

use super::{
    events::{EventChange, Events},
    pending::Pending,
    stacks::{Stacks, Wait},
};
use crate::{Change, FutexChange, Futexes, Glanced, MutexChange, Mutexes, Sched, SchedChanges, Syscalls};

/// Numbers that have been read but not yet handed on.
#[derive(Default)]
pub struct Gatherer {
    /// Reader of system calls, where they are counted.
    syscalls: Option<Syscalls>,
    /// Reader of scheduling, where it is followed.
    sched: Option<Sched>,
    /// Reader of futexes, where they are followed.
    futexes: Option<Futexes>,
    /// Reader of stacks, where they are taken.
    stacks: Option<Stacks>,
    /// Reader of contended locks, where they are probed.
    mutexes: Option<Mutexes>,
    /// Reader of events, where any are counted.
    events: Option<Events>,
    pending: BTreeMap<ProcessKey, Pending>,
    /// Last report on each process, to report only changes.
    said: HashMap<ProcessKey, (String, u32, Option<Exit>)>,
    start_ns: u64,
    /// Processes with performance counters, as they were last seen: those outlive their rows.
    counted: HashMap<ProcessKey, ProcessFrame>,
    /// Processes whose rows were given back, where locks are looked at.
    ended: Vec<Row>,
}

impl Gatherer {
    /// One for a session that uses these probes.
    #[must_use]
    pub fn new(probes: ProbeSet, stacks: bool) -> Self {
        Self {
            syscalls: probes.has("syscalls").then(Syscalls::default),
            sched: probes.has("sched").then(Sched::default),
            futexes: probes.has("futex").then(Futexes::default),
            stacks: stacks.then(Stacks::default),
            mutexes: probes.has("mutex").then(Mutexes::default),
            events: probes.counts_events().then(Events::default),
            ..Self::default()
        }
    }

    /// Notes what the targets have mapped, where stacks are taken.
    pub fn observe(&mut self, kernel: &Kernel) {
        if let Some(stacks) = &mut self.stacks {
            stacks.observe(kernel);
        }
    }

    /// Notes when the session began, on the monotonic clock.
    pub fn start_at(&mut self, start_ns: u64) {
        self.start_ns = start_ns;
    }

    /// Reads all counters up to a time, for the last time or not, and gives finished rows back to the kernel side;
    /// tells how many.
    pub fn collect(&mut self, kernel: &mut Kernel, now_ns: u64, is_last: bool) -> usize {
        // Noted before the counters are read: these rows have nothing more to come.
        let finished: HashSet<u32> =
            kernel.rows().filter(|(_, row)| is_finished(row)).map(|(id, _)| id).collect();
        let changes =
            self.syscalls.as_mut().map(|calls| calls.drain(kernel, |row| is_last || finished.contains(&row)));
        let scheduling = self.sched.as_mut().map(|sched| sched.drain(kernel, now_ns));
        let start_ns = self.start_ns;
        let futexes = self.futexes.as_mut().map(|futexes| futexes.drain(kernel, start_ns));
        let mutexes = self.mutexes.as_mut().map(|mutexes| mutexes.drain(kernel));
        let events = self.events.as_mut().map(|events| events.drain(kernel));
        // After what they belong to: a stack is copied before its wait is counted, so those of all waits are there.
        if let Some(stacks) = &mut self.stacks {
            stacks.drain(kernel);
        }
        // Looked at afterwards: every row that has counters is in the picture.
        let rows = Rows::of(kernel);
        for row in rows.owners.values().filter(|row| row.threads != 0 || row.flags & row_flag::OTHERS == 0) {
            self.news(row);
        }
        self.add_calls(changes.unwrap_or_default(), &rows);
        if let Some(changes) = scheduling {
            self.add_scheduling(changes, &rows);
        }
        for change in futexes.unwrap_or_default() {
            self.add_futex(change, &rows);
        }
        for change in mutexes.unwrap_or_default() {
            self.add_mutex(change, &rows);
        }
        for change in events.unwrap_or_default() {
            self.add_event(change, &rows);
        }
        if self.mutexes.is_some() {
            let ended = finished.iter().filter_map(|row| rows.all.get(row));
            self.ended.extend(ended.filter(|row| row.tid == 0));
        }
        self.give_back(kernel, &finished);
        if let Some(futexes) = &mut self.futexes {
            let freed = futexes.make_room(kernel, now_ns);
            if let Some(stacks) = &mut self.stacks {
                stacks.forget(kind::FUTEX, &freed.entries);
            }
        }
        finished.len()
    }

    /// Gives finished rows back to the kernel side, with all that they had.
    fn give_back(&mut self, kernel: &mut Kernel, finished: &HashSet<u32>) {
        if let Some(calls) = self.syscalls.as_mut().filter(|_| !finished.is_empty()) {
            calls.forget(&kernel.free_cells(finished));
        }
        for row in finished.iter().copied() {
            if let Some(sched) = &mut self.sched {
                sched.forget(row, &kernel.free_sched(row));
            }
            if let Some(futexes) = &mut self.futexes {
                let freed = futexes.free(kernel, row);
                if let Some(stacks) = &mut self.stacks {
                    stacks.forget(kind::FUTEX, &freed.entries);
                }
            }
            if let Some(mutexes) = &mut self.mutexes {
                let freed = kernel.free_mutexes(row);
                mutexes.forget(row, &freed);
                if let Some(stacks) = &mut self.stacks {
                    stacks.forget(kind::MUTEX, &freed.entries);
                }
            }
            if let Some(events) = &mut self.events {
                let freed = kernel.free_events(row);
                events.forget(&freed);
                if let Some(stacks) = &mut self.stacks {
                    stacks.forget(kind::EVENT, &freed.0);
                }
            }
            kernel.free_row(row);
        }
    }

    /// True if system calls are counted at all.
    #[must_use]
    pub fn counts_calls(&self) -> bool {
        self.syscalls.is_some()
    }

    /// Number of system calls since the last frame; the frame will have them all the same.
    pub fn glance(&mut self, kernel: &Kernel) -> Glance {
        let glanced = self.syscalls.as_mut().map(|calls| calls.glance(kernel));
        let Glanced { rows: by_row, calls } = glanced.unwrap_or_default();
        let rows = Rows::of(kernel);
        let mut glance = Totals { calls: calls.into_iter().collect(), processes: BTreeMap::new() };
        for (id, quick) in by_row {
            if let Some(owner) = rows.all.get(&id).and_then(|row| rows.owners.get(&row.tgid)) {
                glance.processes.entry(key_of(owner)).or_default().add(quick);
            }
        }
        // What was read when some process ended.
        for (key, pending) in &self.pending {
            for call in &pending.frame.syscalls {
                let quick = Quick { count: call.stats.count(), total_ns: call.stats.total_ns() };
                glance.processes.entry(*key).or_default().add(quick);
                glance.calls.entry(call.call).or_default().add(quick);
            }
        }
        glance.end()
    }

    /// True if scheduling is followed at all.
    #[must_use]
    pub fn follows_sched(&self) -> bool {
        self.sched.is_some()
    }

    /// True if futexes are followed at all.
    #[must_use]
    pub fn follows_futexes(&self) -> bool {
        self.futexes.is_some()
    }

    /// The reader of futexes, where they are followed.
    pub fn futexes(&mut self) -> Option<&mut Futexes> {
        self.futexes.as_mut()
    }

    /// True if there are mutexes whose memory is to be looked at.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        self.futexes.as_ref().is_some_and(Futexes::has_samples)
    }

    /// Closes the accounts of scheduling, or tells the last of the time that is unknown because they were closed.
    pub fn switch_sched(&mut self, kernel: &mut Kernel, on: bool, now_ns: u64) {
        let Some(sched) = &mut self.sched else { return };
        let changes = if on { sched.resume(kernel, now_ns) } else { sched.suspend(kernel, now_ns) };
        let rows = Rows::of(kernel);
        self.add_scheduling(changes, &rows);
    }

    /// Adds calls that are still running, at the end of a session.
    pub fn collect_in_flight(&mut self, kernel: &Kernel) {
        if !self.counts_calls() {
            return;
        }
        let rows = Rows::of(kernel);
        self.add_calls(Syscalls::in_flight(kernel), &rows);
    }

    /// Number of calls on futexes that still run, where calls are not counted and so have no row to say it in.
    #[must_use]
    pub fn uncounted_in_flight(&self, kernel: &Kernel) -> u64 {
        if self.counts_calls() { 0 } else { kernel.in_flight().count() as u64 }
    }

    /// The reader of contended locks, where they are looked at.
    pub fn mutexes(&mut self) -> Option<&mut Mutexes> {
        self.mutexes.as_mut()
    }

    /// Expects counters of a process: what is known of it is kept until the session ends.
    pub fn expect_counters(&mut self, key: ProcessKey, comm: &[u8; pulse_trace_common::target::COMM_LEN]) {
        let seen = ProcessFrame { key, comm: text::of_comm(comm), ..ProcessFrame::default() };
        self.counted.insert(key, seen);
    }

    /// True if a process with performance counters has been seen to end.
    #[must_use]
    pub fn has_ended(&self, key: &ProcessKey) -> bool {
        self.counted.get(key).is_some_and(|seen| seen.exit.is_some())
    }

    /// Expects counters of a process that a target has forked, whether it is followed or not.
    pub fn expect_child(&mut self, key: ProcessKey, comm: String, parent: u32) {
        let new = || ProcessFrame { key, comm, parent: Some(parent), ..ProcessFrame::default() };
        self.counted.entry(key).or_insert_with(new);
    }

    /// The process of this id that was seen last.
    #[must_use]
    pub fn known(&self, pid: u32) -> Option<ProcessKey> {
        let all = self.pending.keys().chain(self.said.keys()).chain(self.counted.keys());
        all.filter(|key| key.pid == pid).max_by_key(|key| key.joined_ns).copied()
    }

    /// True if a process is followed, and none that it has forked was heard of in this interval.
    #[must_use]
    pub fn knows_childless(&self, pid: u32) -> bool {
        let heard = self.pending.values().map(|pending| &pending.frame).chain(self.counted.values());
        let mut parents = heard.filter_map(|process| process.parent);
        self.known(pid).is_some() && !parents.any(|parent| parent == pid)
    }

    /// Adds what counters inside of a process have counted of one mutex.
    pub fn add_lock(&mut self, key: ProcessKey, mutex: MutexFrame) {
        let Some(seen) = self.counted.get(&key) else { return };
        let pending = self.pending.entry(key).or_insert_with(|| Pending::of(seen.clone()));
        pending.add_mutex(mutex);
    }

    /// Adds what counters inside of a process have counted.
    pub fn add_inline(&mut self, key: ProcessKey, inline: InlineFrame) {
        let Some(seen) = self.counted.get(&key) else { return };
        let pending = self.pending.entry(key).or_insert_with(|| Pending::of(seen.clone()));
        pending.add_inline(inline);
    }

    /// Adds what performance counters of a process have counted.
    pub fn add_counters(&mut self, key: ProcessKey, counters: &Counters) {
        let Some(seen) = self.counted.get(&key) else { return };
        let pending = self.pending.entry(key).or_insert_with(|| Pending::of(seen.clone()));
        pending.frame.counters.get_or_insert_default().merge(counters);
    }

    /// Processes whose rows were given back since the last call.
    pub fn take_ended(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.ended)
    }

    /// Hands over what was gathered.
    pub fn take(&mut self) -> Vec<ProcessFrame> {
        let mut processes: Vec<ProcessFrame> =
            std::mem::take(&mut self.pending).into_values().map(|pending| pending.frame).collect();
        if let Some(stacks) = &mut self.stacks {
            stacks.name(&mut processes);
        }
        processes
    }

    /// Number of stacks that were taken since the last call, and of those that end before their thread's
    /// entry, by reason.
    pub fn take_stack_events(&mut self) -> Vec<(&'static str, u64)> {
        self.stacks.as_mut().map(Stacks::take_events).unwrap_or_default()
    }

    /// Notes about names and locks that runtimes hide.
    pub fn take_stack_notes(&mut self, probes_mutexes: bool) -> Vec<String> {
        self.stacks.as_mut().map(|stacks| stacks.take_notes(probes_mutexes)).unwrap_or_default()
    }

    /// Notes a process if there is anything new about it.
    fn news(&mut self, row: &Row) {
        let key = key_of(row);
        let now = (text::of_comm(&row.comm), row.threads, self.exit_of(row));
        if let Some(seen) = self.counted.get_mut(&key) {
            (seen.comm, seen.threads, seen.exit) = now.clone();
            seen.parent = (row.parent != 0).then_some(row.parent);
        }
        if self.said.get(&key) != Some(&now) {
            let frame = &mut self.pending_of(row).frame;
            (frame.comm, frame.threads, frame.exit) = now.clone();
            if now.2.is_some() {
                self.said.remove(&key);
            } else {
                self.said.insert(key, now);
            }
        }
    }

    /// Adds what happened in calls, row by row.
    fn add_calls(&mut self, mut changes: Vec<Change>, rows: &Rows) {
        changes.sort_by_cached_key(|change| (change.row, change.call));
        let mut rest = changes.into_iter().peekable();
        while let Some(of) = rest.peek().map(|change| change.row) {
            let mine = std::iter::from_fn(|| rest.next_if(|change| change.row == of));
            let row = rows.all.get(&of);
            let Some((row, owner)) = row.and_then(|row| Some((row, rows.owners.get(&row.tgid)?))) else {
                mine.for_each(drop);
                continue;
            };
            let pending = self.pending_of(owner);
            if row.tid == 0 {
                pending.add_calls_in_order(mine.map(|change| (change.call, change.stats)));
                continue;
            }
            let thread = ThreadName { tid: row.tid, comm: text::of_comm(&row.comm) };
            for Change { call, stats, .. } in mine {
                pending.add_call(CallFrame { thread: Some(thread.clone()), call, stats });
            }
        }
    }

    fn add_scheduling(&mut self, changes: SchedChanges, rows: &Rows) {
        for change in changes.rows {
            let Some(row) = rows.all.get(&change.row) else { continue };
            let Some(owner) = rows.owners.get(&row.tgid) else { continue };
            let thread = ThreadName { tid: row.tid, comm: text::of_comm(&row.comm) };
            let pending = self.pending_of(owner);
            if row.tid != 0 {
                pending.add_sched(Some(thread), &change.stats);
            }
            pending.add_sched(None, &change.stats);
        }
        for change in changes.threads {
            let Some(row) = rows.all.get(&change.process) else { continue };
            let is_one = row.flags & row_flag::OTHERS == 0;
            let pending = self.pending_of(row);
            pending.add_sched(None, &change.stats);
            if is_one {
                pending.add_sched(Some(change.thread), &change.stats);
            }
        }
    }

    fn add_futex(&mut self, change: FutexChange, rows: &Rows) {
        let Some(row) = rows.all.get(&change.row) else { return };
        if let Some(stacks) = &mut self.stacks {
            stacks.claim(kind::FUTEX, change.entry, Wait::of_futex(key_of(row), &change.frame));
        }
        self.pending_of(row).add_futex(change.frame);
    }

    fn add_mutex(&mut self, change: MutexChange, rows: &Rows) {
        let Some(row) = rows.all.get(&change.row) else { return };
        if let Some(stacks) = &mut self.stacks {
            stacks.claim(kind::MUTEX, change.entry, Wait::of_mutex(key_of(row), &change.frame));
        }
        self.pending_of(row).add_mutex(change.frame);
    }

    fn add_event(&mut self, change: EventChange, rows: &Rows) {
        let Some(row) = rows.all.get(&change.row) else { return };
        let Some(owner) = rows.owners.get(&row.tgid) else { return };
        let thread = (row.tid != 0).then(|| ThreadName { tid: row.tid, comm: text::of_comm(&row.comm) });
        let event = EventFrame { name: change.name, thread, stats: change.times.into() };
        if let Some(stacks) = &mut self.stacks {
            stacks.claim(kind::EVENT, change.cell, Wait::of_event(key_of(owner), &event));
        }
        self.pending_of(owner).add_event(event);
    }

    fn exit_of(&self, row: &Row) -> Option<Exit> {
        is_finished(row).then(|| Exit {
            status: (row.flags & row_flag::STATUS_UNKNOWN == 0).then_some(row.exit_status),
            at_ns: row.exited_ns.saturating_sub(self.start_ns),
        })
    }

    fn pending_of(&mut self, row: &Row) -> &mut Pending {
        let exit = self.exit_of(row);
        self.pending.entry(key_of(row)).or_insert_with(|| {
            Pending::of(ProcessFrame {
                key: key_of(row),
                comm: text::of_comm(&row.comm),
                parent: (row.parent != 0).then_some(row.parent),
                threads: row.threads,
                exit,
                ..ProcessFrame::default()
            })
        })
    }
}

/// A glance in the making.
struct Totals {
    calls: BTreeMap<Call, Quick>,
    processes: BTreeMap<ProcessKey, Quick>,
}

impl Totals {
    fn end(self) -> Glance {
        let (calls, processes) = (self.calls.into_iter().collect(), self.processes.into_iter().collect());
        Glance { calls, processes, ..Glance::default() }
    }
}

/// The rows at one moment.
struct Rows {
    all: HashMap<u32, Row>,
    /// Those of processes, by process id. Of two with one id, the living one has just replaced the other.
    owners: HashMap<u32, Row>,
}

impl Rows {
    fn of(kernel: &Kernel) -> Self {
        let all: HashMap<u32, Row> = kernel.rows().collect();
        let mut owners: HashMap<u32, Row> = HashMap::new();
        for row in all.values().filter(|row| row.tid == 0) {
            let newest = owners.entry(row.tgid).or_insert(*row);
            if row.joined_ns > newest.joined_ns {
                *newest = *row;
            }
        }
        Self { all, owners }
    }
}

/// A row that nothing will be added to any more.
fn is_finished(row: &Row) -> bool {
    row.exited_ns != 0 && row.live == 0
}

fn key_of(row: &Row) -> ProcessKey {
    if row.flags & row_flag::OTHERS != 0 {
        return ProcessKey::OTHERS;
    }
    ProcessKey { pid: row.tgid, joined_ns: row.joined_ns }
}
