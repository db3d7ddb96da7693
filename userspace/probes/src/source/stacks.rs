//! Stacks of waits: copied stacks are followed as they arrive, and named when a frame is due.

use std::collections::{BTreeMap, HashMap, HashSet};

use binary::{
    service::Sample,
    symbolize::{End, Registers, Stack, caller, first_outside, merged::Merged},
};
use kernel::{Kernel, sandbox::Names};
use model::{
    events::{EventFrame, EventName},
    frame::{ProcessFrame, ProcessKey},
    locks::{FutexFrame, LockPlace, MOST_STACKS, MutexFrame, StackCount, merge_stacks},
};
use pulse_trace_common::{
    stack::{Copied, owner_parts},
    target::Row,
};

use super::runtimes::Notes;

/// What stacks belong to: an operation on a futex of a process, a mutex there, or a kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wait {
    process: ProcessKey,
    place: LockPlace,
    address: u64,
    what: What,
}

/// Of a futex one operation; of a mutex whose it is and of which generation, as probes on its way tell them apart; of
/// events the kind and, where threads are told apart, the thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Operation(String),
    Mutex,
    Event(EventName, Option<u32>),
}

impl Wait {
    /// Those of a futex of a process.
    pub fn of_futex(process: ProcessKey, frame: &FutexFrame) -> Self {
        let what = What::Operation(frame.op.clone());
        Self { process, place: frame.place.clone(), address: frame.address, what }
    }

    /// Events of a kind of a process, or of a thread.
    pub fn of_event(process: ProcessKey, frame: &EventFrame) -> Self {
        let what = What::Event(frame.name.clone(), frame.thread.as_ref().map(|thread| thread.tid));
        Self { process, place: LockPlace::OTHERS, address: 0, what }
    }

    /// Contended acquisitions of a mutex of a process.
    pub fn of_mutex(process: ProcessKey, frame: &MutexFrame) -> Self {
        Self { process, place: frame.place.clone(), address: frame.address, what: What::Mutex }
    }
}

/// Equal stacks as one, and how many were taken.
struct Taken {
    merged: Merged,
    sampled: u64,
}

/// Key of a stack's maps: the process and the program that it ran.
type Program = (u64, u32);

/// Copies that are followed together.
#[derive(Default)]
struct Batch {
    samples: Vec<Sample>,
    /// Entry that each sample was taken for.
    owners: Vec<u64>,
    bytes: usize,
}

/// Bytes of stacks that are followed together.
const MOST_BYTES: usize = 48 << 10;

/// From copies to names.
#[derive(Default)]
pub struct Stacks {
    names: Names,
    /// Programs whose maps have been read, by process id.
    known: HashMap<u32, Program>,
    /// Processes whose rows were given back.
    gone: Vec<u32>,
    /// Parents of processes that still run their parents' programs.
    parents: HashMap<u32, u32>,
    /// By what they were taken for: kind and entry. An entry's calls may not have ended yet.
    taken: HashMap<(u32, u32), Taken>,
    /// Those of calls that belong into the next frame.
    due: HashMap<Wait, Taken>,
    events: BTreeMap<&'static str, u64>,
    notes: Notes,
}

impl Stacks {
    /// Notes what the targets have mapped at the start: they may have ended when their first stack is read.
    pub fn observe(&mut self, kernel: &Kernel) {
        for row in processes(kernel).values() {
            self.observe_program(row);
        }
    }

    /// Reads and follows what was copied since the last call.
    pub fn drain(&mut self, kernel: &mut Kernel) {
        let rows = processes(kernel);
        for row in rows.values() {
            self.inherit(row);
        }
        // Their last stacks have no names yet.
        self.gone.extend(self.known.extract_if(|pid, _| !rows.contains_key(pid)).map(|(pid, _)| pid));
        let mut batch = Batch::default();
        kernel.take_stacks(|copied| {
            self.add(copied, rows.get(&copied.tgid), &mut batch);
            if batch.bytes > MOST_BYTES {
                self.follow(std::mem::take(&mut batch));
            }
        });
        self.follow(batch);
    }

    /// A process that was forked has mapped what its parent has.
    fn inherit(&mut self, row: &Row) {
        if row.execs == 0 && !self.known.contains_key(&row.tgid) && self.known.contains_key(&row.parent) {
            self.names.inherit(row.tgid, row.parent);
            self.parents.insert(row.tgid, row.parent);
            self.known.insert(row.tgid, (row.joined_ns, 0));
        }
    }

    fn add(&mut self, copied: &Copied, row: Option<&Row>, batch: &mut Batch) {
        *self.events.entry("stacks").or_default() += 1;
        if row.is_some_and(|row| self.is_readable(copied, row)) {
            let Copied { ip, sp, bp, lr, .. } = *copied;
            let bytes = copied.bytes.get(..copied.length as usize).unwrap_or_default().to_vec();
            batch.bytes += bytes.len();
            batch.owners.push(copied.owner);
            batch.samples.push(Sample { pid: copied.tgid, registers: Registers { ip, sp, bp, lr }, bytes });
        } else if self.names.is_lost() {
            self.keep(copied.owner, Stack::unread());
        } else {
            self.keep(copied.owner, Stack::unobserved());
        }
    }

    fn follow(&mut self, batch: Batch) {
        if batch.samples.is_empty() {
            return;
        }
        let stacks = self.names.unwind(&batch.samples);
        batch.owners.into_iter().zip(stacks).for_each(|(owner, stack)| self.keep(owner, stack));
    }

    fn keep(&mut self, owner: u64, stack: Stack) {
        let (kind, id, weight) = owner_parts(owner);
        if let Some(event) = event(&stack.end) {
            *self.events.entry(event).or_default() += 1;
        }
        let taken = self.taken.entry((kind, id)).or_insert_with(Taken::new);
        taken.merged.add(stack, u64::from(weight));
        taken.sampled += 1;
    }

    /// True if the maps are at hand that the process had when its stack was copied.
    fn is_readable(&mut self, copied: &Copied, row: &Row) -> bool {
        copied.execs == row.execs && self.observe_program(row)
    }

    /// Reads what a process has mapped, unless that is known of this program; whether it is known then.
    fn observe_program(&mut self, row: &Row) -> bool {
        let program = (row.joined_ns, row.execs);
        if self.known.get(&row.tgid) == Some(&program) {
            return true;
        }
        self.names.forget(row.tgid);
        self.known.remove(&row.tgid);
        self.parents.remove(&row.tgid);
        // Once it has ended, another process may have its id.
        if row.exited_ns != 0 || self.names.observe(row.tgid).is_err() {
            return false;
        }
        self.known.insert(row.tgid, program);
        true
    }

    /// The calls of an entry have been read: its stacks are theirs.
    pub fn claim(&mut self, kind: u32, entry: u32, wait: Wait) {
        let Some(taken) = self.taken.remove(&(kind, entry)) else { return };
        match self.due.get_mut(&wait) {
            Some(due) => due.absorb(taken),
            None => drop(self.due.insert(wait, taken)),
        }
    }

    /// Forgets entries that are given back, with the stacks of calls that never ended.
    pub fn forget(&mut self, kind: u32, entries: &[u32]) {
        for entry in entries {
            self.taken.remove(&(kind, *entry));
        }
    }

    /// Puts what is due into a frame, by name.
    pub fn name(&mut self, processes: &mut [ProcessFrame]) {
        if !self.due.is_empty() {
            self.name_due(processes);
        }
        self.forget_gone();
    }

    /// Forgets what is mapped in processes that are gone, unless a child of theirs has the same mapped.
    fn forget_gone(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        for pid in &gone {
            self.parents.remove(pid);
        }
        let needed: HashSet<u32> = self.parents.values().chain(self.known.keys()).copied().collect();
        gone.into_iter().filter(|pid| !needed.contains(pid)).for_each(|pid| self.names.forget(pid));
    }

    fn name_due(&mut self, processes: &mut [ProcessFrame]) {
        for process in processes {
            for futex in &mut process.futexes {
                let Some(taken) = self.due.remove(&Wait::of_futex(process.key, futex)) else { continue };
                futex.stats.sampled += taken.sampled;
                merge_stacks(&mut futex.stats.stacks, &self.named(&taken.merged, process.key.pid));
            }
            for event in &mut process.events {
                let Some(taken) = self.due.remove(&Wait::of_event(process.key, event)) else { continue };
                merge_stacks(&mut event.stats.stacks, &self.named(&taken.merged, process.key.pid));
            }
            for mutex in &mut process.mutexes {
                let Some(taken) = self.due.remove(&Wait::of_mutex(process.key, mutex)) else { continue };
                merge_stacks(&mut mutex.stats.stacks, &self.named(&taken.merged, process.key.pid));
            }
        }
        self.due.clear();
        self.names.rest();
    }

    fn named(&mut self, merged: &Merged, pid: u32) -> Vec<StackCount> {
        let ranked = merged.ranked();
        self.names.learn(&ranked.iter().map(|(stack, _)| *stack).collect::<Vec<_>>());
        let mut stacks: Vec<StackCount> =
            ranked.iter().map(|(stack, count)| self.stack_count(stack, *count)).collect();
        let lacks_names = ranked.iter().any(|(stack, _)| self.names.lacks_names(stack));
        self.notes.see(pid, lacks_names, &self.names);
        if merged.left_out() > 0 {
            stacks.push(StackCount::further(merged.left_out()));
        }
        stacks
    }

    /// The caller with its place in the function, the others by their functions alone: many places in an outer function
    /// are one stack to a reader.
    fn stack_count(&mut self, stack: &Stack, count: u64) -> StackCount {
        let described = self.names.describe(stack);
        let caller = caller(&described);
        let at = first_outside(&described);
        let mut frames = Vec::with_capacity(described.len());
        for (place, frame) in described.iter().enumerate() {
            if !frame.is_certain {
                // Callers may be missing between the one before and this one.
                frames.push("[?]".to_owned());
            }
            match &caller {
                Some(caller) if at == Some(place) => frames.push(caller.clone()),
                _ => frames.push(frame.title()),
            }
        }
        StackCount { frames, caller, cut: stack.end.reason(), count }
    }

    /// Notes since the last call about processes of which names or locks are missing.
    pub fn take_notes(&mut self, probes_mutexes: bool) -> Vec<String> {
        self.notes.take(probes_mutexes)
    }

    /// Counts of events since the last call, by name.
    pub fn take_events(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.events).into_iter().collect()
    }
}

/// Rows of processes, by process id.
fn processes(kernel: &Kernel) -> HashMap<u32, Row> {
    kernel.process_rows().map(|(_, row)| (row.tgid, row)).collect()
}

/// Name under which a stack is counted that does not reach the entry of its thread.
fn event(end: &End) -> Option<&'static str> {
    match end {
        End::Complete => None,
        End::CutByCopy => Some("stacks_cut"),
        End::Unobserved => Some("stacks_unobserved"),
        End::Unread => Some("stacks_unread"),
        End::NoUnwindInfo(_) | End::UnknownRegister(_) | End::Implausible => Some("stacks_broken"),
    }
}

impl Taken {
    fn new() -> Self {
        Self { merged: Merged::new(MOST_STACKS), sampled: 0 }
    }

    fn absorb(&mut self, other: Self) {
        self.sampled += other.sampled;
        self.merged.absorb(other.merged);
    }
}
