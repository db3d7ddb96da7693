//! A frame in portions that are never larger than a line may be, and back into one.

use model::frame::ProcessFrame;
use serde::Serialize;

use super::wire::{Counters, Futex, Inline, Mutex, Process, Sched, Syscall};

/// Bytes of a portion; only what cannot be divided may be larger, and nothing of the sort comes near what
/// a reader takes.
const LARGEST: usize = 1 << 20;
/// Bytes from which on a single entry is divided.
const LARGEST_ENTRY: usize = LARGEST / 4;

/// Processes in portions; one that does not fit into what is left of a portion is spread over several.
pub fn of(processes: &[ProcessFrame]) -> Vec<Vec<Process>> {
    let mut portions = Portions { done: vec![Vec::new()], weight: 0 };
    processes.iter().for_each(|process| portions.add(process));
    portions.done
}

struct Portions {
    done: Vec<Vec<Process>>,
    weight: usize,
}

impl Portions {
    fn add(&mut self, process: &ProcessFrame) {
        let head = Process::head(process);
        self.begin(&head, head.head_weight());
        for call in process.syscalls.iter().map(Syscall::from) {
            self.entry(&head, call.weight()).syscalls.push(call);
        }
        for sched in process.sched.iter().flat_map(|it| Sched::from(it).pieces(LARGEST_ENTRY)) {
            self.entry(&head, sched.weight()).sched.push(sched);
        }
        for futex in process.futexes.iter().flat_map(|it| Futex::from(it).pieces(LARGEST_ENTRY)) {
            self.entry(&head, futex.weight()).futexes.push(futex);
        }
        for mutex in process.mutexes.iter().flat_map(|it| Mutex::from(it).pieces(LARGEST_ENTRY)) {
            self.entry(&head, mutex.weight()).mutexes.push(mutex);
        }
        for inline in process.inline.iter().map(Inline::from) {
            self.entry(&head, inline.weight()).inline.push(inline);
        }
        for event in &process.events {
            self.entry(&head, weight(event)).events.push(event.clone());
        }
        if let Some(counters) = process.counters.as_ref().map(Counters::from) {
            let weight = counters.weight();
            self.entry(&head, weight).counters = Some(counters);
        }
    }

    fn begin(&mut self, head: &Process, weight: usize) -> &mut Process {
        if self.weight + weight > LARGEST && self.weight > 0 {
            self.done.push(Vec::new());
            self.weight = 0;
        }
        self.weight += weight;
        push(last(&mut self.done), head.clone())
    }

    /// The process to which an entry of this weight is to be added.
    fn entry(&mut self, head: &Process, weight: usize) -> &mut Process {
        if self.weight + weight > LARGEST {
            return self.begin(head, weight + head.head_weight());
        }
        self.weight += weight;
        let portion = last(&mut self.done);
        if portion.is_empty() {
            portion.push(head.clone());
        }
        let at = portion.len() - 1;
        &mut portion[at]
    }
}

/// Bytes that an entry takes in a line.
fn weight(entry: &impl Serialize) -> usize {
    serde_json::to_vec(entry).map_or(0, |line| line.len() + 1)
}

fn last(portions: &mut Vec<Vec<Process>>) -> &mut Vec<Process> {
    if portions.is_empty() {
        portions.push(Vec::new());
    }
    let at = portions.len() - 1;
    &mut portions[at]
}

fn push(portion: &mut Vec<Process>, process: Process) -> &mut Process {
    portion.push(process);
    let at = portion.len() - 1;
    &mut portion[at]
}

/// Adds the next portion of a process to what is there of it.
fn join(process: &mut ProcessFrame, mut more: ProcessFrame) {
    process.syscalls.append(&mut more.syscalls);
    process.counters = process.counters.take().or(more.counters);
    append(&mut process.sched, more.sched, |mine, theirs| {
        let same = mine.thread == theirs.thread;
        if same {
            mine.stats.merge(&theirs.stats);
        }
        same
    });
    append(&mut process.futexes, more.futexes, |mine, theirs| {
        let same = (&mine.place, mine.address, &mine.op) == (&theirs.place, theirs.address, &theirs.op);
        if same {
            mine.stats.merge(&theirs.stats);
        }
        same
    });
    process.inline.extend(more.inline);
    process.events.append(&mut more.events);
    append(&mut process.mutexes, more.mutexes, |mine, theirs| {
        let same = (&mine.place, mine.address) == (&theirs.place, theirs.address);
        if same {
            mine.stats.merge(&theirs.stats);
        }
        same
    });
}

/// Adds a process to those that are there: a new one, or the next portion of the last one.
pub fn collect(processes: &mut Vec<ProcessFrame>, mut next: ProcessFrame) {
    if processes.last().is_none_or(|last| last.key != next.key) {
        let head = ProcessFrame {
            key: next.key,
            comm: std::mem::take(&mut next.comm),
            parent: next.parent,
            threads: next.threads,
            exit: next.exit,
            ..ProcessFrame::default()
        };
        processes.push(head);
    }
    if let Some(last) = processes.last_mut() {
        join(last, next);
    }
}

/// Appends entries; each may be the next piece of the last one that is there.
fn append<T>(mine: &mut Vec<T>, theirs: Vec<T>, join: impl Fn(&mut T, &T) -> bool) {
    for entry in theirs {
        let joined = mine.last_mut().is_some_and(|last| join(last, &entry));
        if !joined {
            mine.push(entry);
        }
    }
}

#[cfg(test)]
mod tests;
