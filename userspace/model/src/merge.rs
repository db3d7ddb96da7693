//! Two frames in a row as one: what a reader who cannot keep up is given. Nothing is dropped, only resolution.

use std::collections::HashMap;

use super::frame::{CallFrame, Frame, ProcessFrame};

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
        absorb_calls(&mut self.syscalls, next.syscalls);
        merge_list(
            &mut self.sched,
            next.sched,
            |mine, theirs| mine.thread == theirs.thread,
            |mine, theirs| mine.stats.merge(&theirs.stats),
        );
        merge_list(
            &mut self.futexes,
            next.futexes,
            |mine, theirs| {
                mine.address == theirs.address && mine.op == theirs.op && mine.place == theirs.place
            },
            |mine, theirs| mine.stats.merge(&theirs.stats),
        );
        merge_list(
            &mut self.mutexes,
            next.mutexes,
            |mine, theirs| mine.address == theirs.address && mine.place == theirs.place,
            |mine, theirs| {
                mine.kind = theirs.kind.or(mine.kind);
                mine.stats.merge(&theirs.stats);
            },
        );
        merge_list(
            &mut self.events,
            next.events,
            |mine, theirs| mine.name == theirs.name && mine.thread == theirs.thread,
            |mine, theirs| mine.stats.merge(&theirs.stats),
        );
        merge_list(
            &mut self.inline,
            next.inline,
            |mine, theirs| mine.kind == theirs.kind,
            |mine, theirs| mine.stats.merge(&theirs.stats),
        );
    }
}

/// Calls of two intervals mostly come in the same order: the search begins where the last one ended.
fn absorb_calls(mine: &mut Vec<CallFrame>, theirs: Vec<CallFrame>) {
    let known = mine.len();
    let mut at = 0;
    for call in theirs {
        let same = |it: &CallFrame| it.call == call.call && it.thread == call.thread;
        let found = mine[at..known].iter().position(same).map(|step| at + step);
        match found.or_else(|| mine[..at].iter().position(same)) {
            Some(place) => {
                mine[place].stats.merge(&call.stats);
                at = place + 1;
            }
            None => mine.push(call),
        }
    }
}

fn merge_list<T>(mine: &mut Vec<T>, theirs: Vec<T>, same: impl Fn(&T, &T) -> bool, add: impl Fn(&mut T, &T)) {
    for item in theirs {
        match mine.iter_mut().find(|known| same(known, &item)) {
            Some(known) => add(known, &item),
            None => mine.push(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        session::Session,
        synthetic::{self, Shape},
    };

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
}
