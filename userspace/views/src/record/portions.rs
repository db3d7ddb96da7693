//! A frame in portions that are never larger than a line may be, and back into one.

use std::{iter, mem};

use model::{
    events::EventFrame,
    frame::{CallFrame, ProcessFrame},
    inline::InlineFrame,
    locks::{FutexFrame, FutexStats, MutexFrame, MutexSeen, MutexStats},
    merge::Entry,
    sched::{SchedFrame, SchedStats},
};
use serde::Serialize;

/// Bytes of a portion; only what cannot be divided may be larger, and nothing of the sort comes near what
/// a reader takes.
const LARGEST: usize = 1 << 20;
/// Bytes from which on a single entry is divided.
const LARGEST_ENTRY: usize = LARGEST / 4;
/// The list of a process that is there even if it is empty: the last thing in the text of one without entries.
const FIRST: &str = "syscalls";

/// Texts of processes in portions; a process that does not fit into what is left of one is spread over several.
pub fn of(processes: &[ProcessFrame]) -> serde_json::Result<Vec<Vec<u8>>> {
    let mut portions = Portions { done: Vec::new(), last: Vec::new(), head: Vec::new(), list: FIRST };
    for process in processes {
        portions.add(process)?;
    }
    portions.done.push(portions.last);
    Ok(portions.done)
}

struct Portions {
    done: Vec<Vec<u8>>,
    last: Vec<u8>,
    /// Beginning of the text of the process that is being added.
    head: Vec<u8>,
    /// Its list that was begun last.
    list: &'static str,
}

impl Portions {
    fn add(&mut self, process: &ProcessFrame) -> serde_json::Result<()> {
        let counters = process.counters.clone();
        self.head = beginning(&ProcessFrame { counters, ..head(process) })?;
        if self.last.len() + self.head.len() > LARGEST {
            self.done.push(mem::take(&mut self.last));
        }
        self.begin();
        // They are told once.
        self.head = beginning(&head(process))?;
        self.spread(FIRST, &process.syscalls)?;
        self.spread("sched", &process.sched)?;
        self.spread("futexes", &process.futexes)?;
        self.spread("mutexes", &process.mutexes)?;
        self.spread("inline", &process.inline)?;
        self.spread("events", &process.events)?;
        self.end();
        Ok(())
    }

    fn spread<T: Divisible>(&mut self, list: &'static str, entries: &[T]) -> serde_json::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            text.clear();
            serde_json::to_writer(&mut text, entry)?;
            if text.len() <= LARGEST_ENTRY {
                self.put(list, &text);
                continue;
            }
            for piece in pieces(entry)? {
                self.put(list, &serde_json::to_vec(&piece)?);
            }
        }
        Ok(())
    }

    /// Adds the text of an entry to a list.
    fn put(&mut self, list: &'static str, entry: &[u8]) {
        let most = entry.len() + list.len() + "],\"\":[]}".len();
        if self.last.len() + most > LARGEST {
            self.end();
            self.done.push(mem::take(&mut self.last));
            self.begin();
        }
        if self.list != list {
            self.last.extend(b"],\"");
            self.last.extend(list.as_bytes());
            self.last.extend(b"\":[");
            self.list = list;
        } else if !self.last.ends_with(b"[") {
            self.last.push(b',');
        }
        self.last.extend(entry);
    }

    /// Begins the process, or goes on with it.
    fn begin(&mut self) {
        if !self.last.is_empty() {
            self.last.push(b',');
        }
        self.last.extend(&self.head);
        self.list = FIRST;
    }

    fn end(&mut self) {
        self.last.extend(b"]}");
    }
}

/// The text of a process without entries, up to where the first one is to stand.
fn beginning(head: &ProcessFrame) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(head)?;
    text.truncate(text.len().saturating_sub("]}".len()));
    Ok(text)
}

/// Identity of a process, without its counts.
fn head(process: &ProcessFrame) -> ProcessFrame {
    let ProcessFrame { key, ref comm, parent, threads, exit, .. } = *process;
    ProcessFrame { key, comm: comm.clone(), parent, threads, exit, ..ProcessFrame::default() }
}

/// An entry of one of a process's lists.
trait Divisible: Entry + Clone + Serialize {
    /// The same in as many parts as it can be divided into: one that has all that cannot, and for each of the others
    /// one that has nothing else.
    fn parts(&self) -> Vec<Self> {
        vec![self.clone()]
    }

    /// The same without anything.
    fn empty(&self) -> Self {
        self.clone()
    }
}

/// An entry in pieces whose texts are not longer than wanted, as far as it can be divided.
fn pieces<T: Divisible>(entry: &T) -> serde_json::Result<Vec<T>> {
    let length = |entry: &T| serde_json::to_vec(entry).map(|text| text.len());
    let empty = length(&entry.empty())?;
    let mut pieces: Vec<T> = Vec::new();
    let mut sum = 0;
    for part in entry.parts() {
        let alone = length(&part)?;
        let together = (sum + alone).saturating_sub(empty);
        match pieces.last_mut().filter(|_| together <= LARGEST_ENTRY) {
            Some(last) => {
                sum = together;
                last.merge(part);
            }
            None => {
                sum = alone;
                pieces.push(part);
            }
        }
    }
    Ok(pieces)
}

impl Divisible for CallFrame {}
impl Divisible for InlineFrame {}
impl Divisible for EventFrame {}

impl Divisible for SchedFrame {
    fn parts(&self) -> Vec<Self> {
        let (mut whole, empty) = (self.clone(), self.empty());
        let wakers = mem::take(&mut whole.stats.wakers);
        let alone = |waker| SchedStats { wakers: [waker].into(), ..SchedStats::default() };
        let rest = wakers.into_iter().map(|waker| Self { stats: alone(waker), ..empty.clone() });
        iter::once(whole).chain(rest).collect()
    }

    fn empty(&self) -> Self {
        Self { thread: self.thread.clone(), stats: SchedStats::default() }
    }
}

impl Divisible for FutexFrame {
    fn parts(&self) -> Vec<Self> {
        let (mut whole, empty) = (self.clone(), self.empty());
        let stacks = mem::take(&mut whole.stats.stacks);
        let holders = whole.stats.mutex.as_mut().map(|seen| mem::take(&mut seen.holders));
        let mut parts = vec![whole];
        for holder in holders.into_iter().flatten() {
            let mut part = empty.clone();
            part.stats.mutex.get_or_insert_default().holders = [holder].into();
            parts.push(part);
        }
        for stack in stacks {
            let mut part = empty.clone();
            part.stats.stacks.push(stack);
            parts.push(part);
        }
        parts
    }

    fn empty(&self) -> Self {
        let seen =
            self.stats.mutex.as_ref().map(|seen| MutexSeen { kind: seen.kind, ..MutexSeen::default() });
        let (place, op) = (self.place.clone(), self.op.clone());
        Self { place, address: self.address, op, stats: FutexStats { mutex: seen, ..FutexStats::default() } }
    }
}

impl Divisible for MutexFrame {
    fn parts(&self) -> Vec<Self> {
        let (mut whole, empty) = (self.clone(), self.empty());
        let stacks = mem::take(&mut whole.stats.stacks);
        let alone = |stack| MutexStats { stacks: vec![stack], ..MutexStats::default() };
        let rest = stacks.into_iter().map(|stack| Self { stats: alone(stack), ..empty.clone() });
        iter::once(whole).chain(rest).collect()
    }

    fn empty(&self) -> Self {
        let (place, runtime) = (self.place.clone(), self.runtime.clone());
        let (generation, kind) = (self.generation.clone(), self.kind);
        Self { place, address: self.address, runtime, generation, kind, stats: MutexStats::default() }
    }
}

/// Adds the next portion of a process to what is there of it.
fn join(process: &mut ProcessFrame, mut more: ProcessFrame) {
    process.counters = process.counters.take().or(more.counters);
    process.syscalls.append(&mut more.syscalls);
    process.inline.append(&mut more.inline);
    process.events.append(&mut more.events);
    append(&mut process.sched, more.sched);
    append(&mut process.futexes, more.futexes);
    append(&mut process.mutexes, more.mutexes);
}

/// Adds a process to those that are there: a new one, or the next portion of the last one.
pub fn collect(processes: &mut Vec<ProcessFrame>, next: ProcessFrame) {
    if processes.last().is_none_or(|last| last.key != next.key) {
        processes.push(head(&next));
    }
    if let Some(last) = processes.last_mut() {
        join(last, next);
    }
}

/// Appends entries; each may be the next piece of the last one that is there.
fn append<T: Entry>(mine: &mut Vec<T>, theirs: Vec<T>) {
    for entry in theirs {
        match mine.last_mut().filter(|last| last.key() == entry.key()) {
            Some(last) => last.merge(entry),
            None => mine.push(entry),
        }
    }
}

#[cfg(test)]
mod tests;
