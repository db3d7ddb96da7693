//! Locks that consist of several futexes, by all stacks so far: a short window may have none of them.

use std::collections::BTreeMap;

use model::{
    frame::Frame,
    locks::{LockPlace, Parts, Wholes},
};

use super::sums::{LockKey, Sums};

/// The parts of each process that lives, and the locks that were found.
#[derive(Debug, Default)]
pub struct Joined {
    parts: BTreeMap<u32, Parts>,
    wholes: BTreeMap<u32, Wholes>,
}

impl Joined {
    /// Takes the stacks of a frame.
    pub fn add(&mut self, frame: &Frame) {
        for process in frame.processes.iter().filter(|process| !process.futexes.is_empty()) {
            let pid = process.key.pid;
            let parts = self.parts.entry(pid).or_default();
            process.futexes.iter().for_each(|futex| parts.add(&futex.place, &futex.stats));
            let wholes = parts.wholes();
            if wholes.is_empty() {
                self.wholes.remove(&pid);
            } else {
                self.wholes.insert(pid, wholes);
            }
        }
        for process in frame.processes.iter().filter(|process| process.exit.is_some()) {
            self.parts.remove(&process.key.pid);
        }
    }

    /// Makes the parts of each lock one.
    pub fn join(&self, sums: &mut Sums) {
        let whole = |key: &LockKey| self.wholes.get(&key.pid?)?.of(&key.place);
        let parts: Vec<(LockKey, u64)> =
            sums.locks.keys().filter_map(|key| Some((key.clone(), whole(key)?))).collect();
        for (key, address) in parts {
            let Some(mut part) = sums.locks.remove(&key) else { continue };
            // Kind and holders are those of a mutex inside of the lock.
            part.kind = None;
            part.futexes.values_mut().for_each(|stats| stats.mutex = None);
            let whole = LockKey { place: LockPlace::Private { address }, ..key };
            sums.locks.entry(whole).or_default().merge(&part);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{
        frame::{ProcessFrame, ProcessKey},
        locks::{FutexFrame, FutexStats, MutexKind, MutexSeen, StackCount, Verdict, ranked},
        session::Session,
    };

    use super::*;
    use crate::sums::Chosen;

    fn futex(address: u64, op: &str, waits: u64, frames: &[&str]) -> FutexFrame {
        let mut stats = FutexStats { count: 3, mutex: Some(MutexSeen::default()), ..FutexStats::default() };
        (0..waits).for_each(|_| stats.wait.record(1000));
        let frames: Vec<String> = frames.iter().map(|frame| (*frame).to_owned()).collect();
        if !frames.is_empty() {
            stats.stacks = vec![StackCount { frames, caller: None, cut: None, count: 3 }];
        }
        FutexFrame { place: LockPlace::Private { address }, address, op: op.to_owned(), stats }
    }

    fn frame(at: u64, futexes: Vec<FutexFrame>) -> Frame {
        let key = ProcessKey { pid: 7, joined_ns: 1 };
        let process = ProcessFrame { key, futexes, ..ProcessFrame::default() };
        Frame { sequence: at, at_ns: at, span_ns: 1, processes: vec![process], ..Frame::default() }
    }

    #[test]
    fn the_parts_of_a_lock_are_the_row_that_the_report_has() {
        let take = ["pthread_cond_timedwait", "take_gil", "eval"];
        let first = frame(1, vec![futex(0xf0, "WAIT_BITSET", 3, &take), futex(0x130, "WAKE", 0, &[])]);
        // A part whose waits were not sampled, a part that comes later, and a lock of its own.
        let parts = vec![futex(0xf0, "WAIT_BITSET", 2, &[]), futex(0xe0, "WAIT", 1, &take)];
        let alone = vec![futex(0x900, "WAIT", 1, &[])];
        let second = frame(2, parts.into_iter().chain(alone).collect());
        let (mut joined, mut session, mut all) = (Joined::default(), Session::default(), Sums::default());
        let mut last = Sums::default();
        for frame in [&first, &second] {
            joined.add(frame);
            session.add(frame);
            last = Sums::of(frame, &Chosen::new());
            all.merge(&last);
            // Once more changes nothing.
            (0..2).for_each(|_| joined.join(&mut all));
        }
        joined.join(&mut last);
        let rows = |sums: &Sums| -> Vec<(LockPlace, u64, Verdict)> {
            sums.locks.iter().map(|(key, lock)| (key.place.clone(), lock.waits(), lock.verdict())).collect()
        };
        let place = |address| LockPlace::Private { address };
        let alone = (place(0x900), 1, Verdict::Contention);
        assert_eq!(rows(&last), [(place(0xe0), 3, Verdict::Contention), alone.clone()]);
        assert_eq!(rows(&all), [(place(0xe0), 6, Verdict::Contention), alone]);
        let report =
            ranked(&session.processes).into_iter().map(|it| (it.place, it.sum.wait.count(), it.verdict));
        let mut report: Vec<_> = report.collect();
        report.sort();
        assert_eq!(rows(&all), report);
        let gil = all.locks.values().next().unwrap();
        assert!(gil.kind.is_none() && gil.futexes.values().all(|stats| stats.mutex.is_none()));
        assert_eq!(all.locks.values().last().unwrap().kind, Some(MutexKind::default()));
    }
}
