//! Futexes that are parts of one lock.

use std::collections::BTreeMap;

use super::{
    FutexStats, LockPlace, StackCount,
    runtimes::{GIL, MONITOR, row_of},
};
use crate::session::Process;

/// The parts of CPython's lock lie no further apart than this: the largest hole is a mutex and most of a condition.
const SPAN: u64 = 96;

/// The futexes of a process with what their stacks tell of the locks that they are parts of.
#[derive(Debug, Default)]
pub struct Parts {
    futexes: BTreeMap<u64, Votes>,
}

/// Stacks of one futex, by lock.
#[derive(Debug, Default)]
struct Votes {
    waits: u64,
    stacks: u64,
    gil: u64,
    /// By the function that wants the monitor; empty for all without a name.
    monitor: BTreeMap<String, u64>,
}

impl Votes {
    fn is_gil(&self) -> bool {
        self.gil * 2 > self.stacks
    }

    /// The function that most wait in, where the futex is a monitor's.
    fn monitor_in(&self) -> Option<&str> {
        let is_monitor = self.monitor.values().sum::<u64>() * 2 > self.stacks;
        let most = self.monitor.iter().max_by_key(|(_, count)| **count).filter(|_| is_monitor)?;
        Some(most.0)
    }
}

/// Locks that consist of several futexes of one process: each part with the lowest address of its lock, which
/// is the lock's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wholes(BTreeMap<u64, u64>);

impl Wholes {
    /// Address of the lock that a futex is a part of.
    #[must_use]
    pub fn of(&self, place: &LockPlace) -> Option<u64> {
        let LockPlace::Private { address } = place else { return None };
        self.0.get(address).copied()
    }

    /// True where no futex is a part of another lock.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Parts {
    /// Those of a process over a whole session.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let mut parts = Self::default();
        process.futexes.iter().for_each(|((place, ..), stats)| parts.add(place, stats));
        parts
    }

    /// Adds an operation on a futex in an interval. Only memory of one process can hold a part.
    pub fn add(&mut self, place: &LockPlace, stats: &FutexStats) {
        let LockPlace::Private { address } = place else { return };
        if *place == LockPlace::OTHERS {
            return;
        }
        let votes = self.futexes.entry(*address).or_default();
        votes.waits += stats.wait.count();
        for stack in &stats.stacks {
            votes.stacks += stack.count;
            match row_of(stack).map(|row| row.what) {
                Some(GIL) => votes.gil += stack.count,
                Some(MONITOR) => {
                    *votes.monitor.entry(wanted_in(stack).to_owned()).or_default() += stack.count
                }
                _ => {}
            }
        }
    }

    /// The locks that they are parts of: CPython's interpreter lock is two conditions and two mutexes side by side; for
    /// Java's monitors each thread waits at an event of its own, and those wanted in one function are one lock.
    #[must_use]
    pub fn wholes(&self) -> Wholes {
        let taken: Vec<u64> = self.chosen(Votes::is_gil).collect();
        let is_near = |address: &u64| taken.iter().any(|part| part.abs_diff(*address) <= SPAN);
        // Parts that are only woken have no stack of their own.
        let woken = self.chosen(|votes| votes.waits == 0 && votes.stacks == 0).filter(is_near);
        let mut gil: Vec<u64> = taken.iter().copied().chain(woken).collect();
        gil.sort_unstable();
        let gils = gil.chunk_by(|left, right| right - left <= SPAN).map(<[u64]>::to_vec);
        let mut monitors: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (address, votes) in &self.futexes {
            if let Some(function) = votes.monitor_in() {
                monitors.entry(function).or_default().push(*address);
            }
        }
        let groups = gils.chain(monitors.into_values());
        Wholes(groups.flat_map(|group| group.clone().into_iter().map(move |part| (part, group[0]))).collect())
    }

    fn chosen(&self, is_chosen: impl Fn(&Votes) -> bool) -> impl Iterator<Item = u64> {
        self.futexes.iter().filter(move |(_, votes)| is_chosen(votes)).map(|(address, _)| *address)
    }
}

/// The function that a stack comes from; empty where it has no name.
fn wanted_in(stack: &StackCount) -> &str {
    let caller = stack.caller.as_deref().filter(|caller| !caller.starts_with('['));
    caller.map_or("", |caller| caller.split("+0x").next().unwrap_or(caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn futex(process: &mut Process, address: u64, op: &str, waits: u64, frames: &[&str], caller: &str) {
        let mut stats = FutexStats { count: waits.max(1), ..FutexStats::default() };
        (0..waits).for_each(|_| stats.wait.record(1000));
        if !frames.is_empty() {
            let frames = frames.iter().map(|frame| (*frame).to_owned()).chain([caller.to_owned()]).collect();
            stats.stacks =
                vec![StackCount { frames, caller: Some(caller.to_owned()), cut: None, count: waits }];
        }
        process.futexes.insert((LockPlace::Private { address }, address, op.to_owned()), stats);
    }

    #[test]
    fn parts_of_an_interpreters_lock_lie_side_by_side() {
        let mut process = Process::default();
        let take = ["pthread_cond_timedwait", "take_gil"];
        for address in [0xf0, 0xf4, 0x1f0] {
            futex(&mut process, address, "WAIT_BITSET", 3, &take, "eval");
            futex(&mut process, address, "WAKE", 0, &[], "");
        }
        futex(&mut process, 0xf8, "WAIT", 1, &["pthread_mutex_lock", "take_gil"], "eval");
        // The second mutex is woken and never waited for; on a neighbour a thread waits.
        futex(&mut process, 0x150, "WAKE", 0, &[], "");
        futex(&mut process, 0x160, "WAIT", 1, &["sem_wait"], "work");
        // A futex without an address of its own is no part, even with such stacks.
        futex(&mut process, 0, "WAIT", 3, &take, "eval");
        let first = [0xf0, 0xf4, 0xf8, 0x150].map(|address| (address, 0xf0));
        let expected = Wholes(first.into_iter().chain([(0x1f0, 0x1f0)]).collect());
        assert_eq!(Parts::of(&process).wholes(), expected);
        assert_eq!(expected.of(&LockPlace::Private { address: 0x150 }), Some(0xf0));
        assert_eq!(expected.of(&LockPlace::Unresolved { address: 0x150 }), None);
    }

    #[test]
    fn monitors_are_told_apart_by_who_wants_them() {
        let mut process = Process::default();
        let enter = ["pthread_cond_wait", "ObjectMonitor::EnterI"];
        let wants = [(1, "Queue.put+0x2a"), (2, "Queue.put+0x4"), (3, "[anon]+0x7f00"), (4, "Queue.take")];
        wants.iter().for_each(|(address, caller)| futex(&mut process, *address, "WAIT", 2, &enter, caller));
        assert_eq!(Parts::of(&process).wholes(), Wholes([(1, 1), (2, 1), (3, 3), (4, 4)].into()));
    }
}
