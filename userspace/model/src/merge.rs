//! Entries by their keys, and two frames in a row as one: what a reader who cannot keep up is given. Nothing is dropped,
//! only resolution.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
};

use super::{
    events::{EventFrame, EventName},
    frame::{Call, CallFrame, Frame, ProcessFrame},
    inline::{InlineFrame, InlineKind},
    locks::{FutexFrame, LockPlace, MutexFrame},
    sched::SchedFrame,
};

/// An entry of one of a process's lists. Those of a list that have the same key are one, wherever they are added up.
pub trait Entry {
    /// What tells them apart.
    type Key<'a>: Eq + Hash
    where
        Self: 'a;

    /// Its key. Of a thread it is the id: names change.
    fn key(&self) -> Self::Key<'_>;

    /// Adds one with the same key that comes later.
    fn merge(&mut self, next: Self);
}

impl Entry for CallFrame {
    type Key<'a> = (Option<u32>, Call);

    fn key(&self) -> Self::Key<'_> {
        (self.thread.as_ref().map(|thread| thread.tid), self.call)
    }

    fn merge(&mut self, next: Self) {
        self.thread = next.thread;
        self.stats.merge(&next.stats);
    }
}

impl Entry for SchedFrame {
    type Key<'a> = Option<u32>;

    fn key(&self) -> Self::Key<'_> {
        self.thread.as_ref().map(|thread| thread.tid)
    }

    fn merge(&mut self, next: Self) {
        self.thread = next.thread;
        self.stats.merge(&next.stats);
    }
}

impl Entry for FutexFrame {
    type Key<'a> = (&'a LockPlace, u64, &'a str);

    fn key(&self) -> Self::Key<'_> {
        (&self.place, self.address, &self.op)
    }

    fn merge(&mut self, next: Self) {
        self.stats.merge(&next.stats);
    }
}

impl Entry for MutexFrame {
    type Key<'a> = (&'a LockPlace, u64);

    fn key(&self) -> Self::Key<'_> {
        (&self.place, self.address)
    }

    fn merge(&mut self, next: Self) {
        self.runtime = next.runtime;
        self.generation = next.generation;
        self.kind = next.kind.or(self.kind);
        self.stats.merge(&next.stats);
    }
}

impl Entry for InlineFrame {
    type Key<'a> = InlineKind;

    fn key(&self) -> Self::Key<'_> {
        self.kind
    }

    fn merge(&mut self, next: Self) {
        self.generation = next.generation;
        self.stats.merge(&next.stats);
    }
}

impl Entry for EventFrame {
    type Key<'a> = (&'a EventName, Option<u32>);

    fn key(&self) -> Self::Key<'_> {
        (&self.name, self.thread.as_ref().map(|thread| thread.tid))
    }

    fn merge(&mut self, next: Self) {
        self.thread = next.thread;
        self.stats.merge(&next.stats);
    }
}

/// Places of the entries of a list that only grows.
#[derive(Debug, Default)]
pub struct Places {
    /// By a number that a key leads to: its hash, or the next one that is free.
    by_number: HashMap<u64, usize>,
    /// Entries whose places are there.
    known: usize,
    /// Place at which the next entry is expected: they mostly come in the same order.
    next: usize,
}

impl Places {
    /// Adds an entry to the list whose places these are: to the one of its key, or as a new one.
    pub fn add<'a, T: Entry>(&mut self, all: &'a mut Vec<T>, new: T) -> &'a mut T {
        let expected = all.get(self.next).is_some_and(|it| it.key() == new.key());
        let place = if expected { Some(self.next) } else { self.find(all, &new) };
        let at = place.unwrap_or(all.len());
        self.next = at + 1;
        match place {
            Some(_) => all[at].merge(new),
            None => all.push(new),
        }
        &mut all[at]
    }

    /// The place of the entry with the key of this one.
    fn find<T: Entry>(&mut self, all: &[T], wanted: &T) -> Option<usize> {
        for (at, entry) in all.iter().enumerate().skip(self.known) {
            if let (number, None) = self.look_up(all, entry) {
                self.by_number.insert(number, at);
            }
        }
        self.known = all.len();
        self.look_up(all, wanted).1
    }

    /// The number that the key of this entry leads to, and the place that is there; a free number if there is none.
    fn look_up<T: Entry>(&self, all: &[T], wanted: &T) -> (u64, Option<usize>) {
        let mut number = self.by_number.hasher().hash_one(wanted.key());
        while let Some(at) = self.by_number.get(&number) {
            if all.get(*at).is_some_and(|known| known.key() == wanted.key()) {
                return (number, Some(*at));
            }
            number = number.wrapping_add(1);
        }
        (number, None)
    }
}

/// Adds the entries of a list to another one.
fn merge<T: Entry>(mine: &mut Vec<T>, theirs: Vec<T>) {
    let mut places = Places::default();
    for entry in theirs {
        places.add(mine, entry);
    }
}

impl Frame {
    /// Adds the interval that follows.
    pub fn absorb(&mut self, next: Self) {
        self.sequence = next.sequence;
        self.at_ns = next.at_ns;
        self.span_ns += next.span_ns;
        self.ledger.merge(&next.ledger);
        self.overhead.merge(&next.overhead);
        for note in next.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        let places: HashMap<_, usize> =
            self.processes.iter().enumerate().map(|(at, process)| (process.key, at)).collect();
        for process in next.processes {
            match places.get(&process.key) {
                Some(at) => self.processes[*at].absorb(process),
                None => self.processes.push(process),
            }
        }
    }
}

impl ProcessFrame {
    /// Adds the interval that follows.
    fn absorb(&mut self, next: Self) {
        self.comm = next.comm;
        self.parent = next.parent.or(self.parent);
        self.threads = self.threads.max(next.threads);
        self.exit = next.exit.or(self.exit);
        if let Some(counters) = &next.counters {
            self.counters.get_or_insert_default().merge(counters);
        }
        merge(&mut self.syscalls, next.syscalls);
        merge(&mut self.sched, next.sched);
        merge(&mut self.futexes, next.futexes);
        merge(&mut self.mutexes, next.mutexes);
        merge(&mut self.events, next.events);
        merge(&mut self.inline, next.inline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        session::Session,
        synthetic::{self, Shape},
    };

    fn session(shape: Shape, frames: &[Frame]) -> Session {
        let mut session = Session::new(synthetic::header(shape));
        frames.iter().for_each(|frame| session.add(frame));
        session.finished = true;
        session
    }

    /// Every way to make one frame out of these by putting two neighbours together again and again.
    fn groupings(frames: &[Frame]) -> Vec<Frame> {
        if let [one] = frames {
            return vec![one.clone()];
        }
        let mut all = Vec::new();
        for at in 1..frames.len() {
            let (first, second) = frames.split_at(at);
            for (first, second) in groupings(first)
                .iter()
                .flat_map(|it| groupings(second).into_iter().map(move |next| (it, next)))
            {
                let mut one = first.clone();
                one.absorb(second);
                all.push(one);
            }
        }
        all
    }

    #[test]
    fn merged_frames_are_the_same_session() {
        let shape = Shape { frames: 6, processes: 4, threads: 2, inline: true, ..Shape::default() };
        let apart = synthetic::session(5, shape);
        let mut frames = synthetic::frames(5, shape).into_iter();
        let mut one = frames.next().unwrap();
        frames.for_each(|frame| one.absorb(frame));
        let mut together = Session::new(synthetic::header(shape));
        together.add(&one);
        together.finished = true;
        assert_eq!(one.span_ns, 6_000_000_000);
        assert_eq!(together, apart);
    }

    fn turn<T>(list: &mut [T], by: usize) {
        list.rotate_left(by % list.len().max(1));
    }

    /// Each list of the first process of each frame in an order of its own, without some, and with changed names.
    fn disordered(frames: &mut [Frame]) {
        for (number, frame) in frames.iter_mut().enumerate() {
            let process = &mut frame.processes[0];
            turn(&mut process.syscalls, number);
            process.syscalls.truncate(9);
            turn(&mut process.sched, number);
            turn(&mut process.futexes, 2 * number);
            turn(&mut process.mutexes, number);
            turn(&mut process.events, number);
            turn(&mut process.inline, number);
            let name = format!("name {number}");
            let calls = process.syscalls.iter_mut().filter_map(|it| it.thread.as_mut());
            let threads = calls.chain(process.sched.iter_mut().filter_map(|it| it.thread.as_mut()));
            threads.for_each(|thread| thread.comm.clone_from(&name));
            for mutex in &mut process.mutexes {
                mutex.runtime.clone_from(&name);
                mutex.generation = (number % 2 == 0).then(|| name.clone());
                mutex.kind = mutex.kind.filter(|_| number != 3);
            }
            process.inline.iter_mut().for_each(|it| it.generation = Some(name.clone()));
        }
    }

    #[test]
    fn a_session_does_not_depend_on_what_was_put_together_first() {
        let shape = Shape { frames: 5, processes: 2, threads: 2, lossy: true, inline: true, events: true };
        let mut frames = synthetic::frames(8, shape);
        disordered(&mut frames);
        let apart = session(shape, &frames);
        let groupings = groupings(&frames);
        assert_eq!(groupings.len(), 14);
        for one in groupings {
            assert!(session(shape, &[one]) == apart);
        }
        // Not all in one, too.
        for at in 0..frames.len() - 1 {
            let mut some = frames.clone();
            let next = some.remove(at + 1);
            some[at].absorb(next);
            assert!(session(shape, &some) == apart);
        }
    }

    #[test]
    fn places_are_found_in_any_order_and_after_others_have_added_to_the_list() {
        let call = |nr: u32| CallFrame {
            thread: None,
            call: Call::whole(crate::frame::Abi::Native, nr),
            stats: crate::frame::CallStats { untimed: 1, ..Default::default() },
        };
        let (mut all, mut places) = (vec![call(1000), call(1001)], Places::default());
        for nr in (0..100).chain((0..100).rev()).chain([7, 7, 1001]) {
            places.add(&mut all, call(nr));
        }
        all.push(call(1002));
        assert_eq!(places.add(&mut all, call(1002)).stats.untimed, 2);
        assert_eq!(all.len(), 103);
        let counts = |nr: u32| all.iter().find(|it| it.call.nr == nr).map(|it| it.stats.untimed);
        assert_eq!([7, 8, 1000, 1001].map(counts), [Some(4), Some(2), Some(1), Some(2)]);
    }
}
