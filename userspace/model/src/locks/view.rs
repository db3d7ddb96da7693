//! Locks as people think of them: one row each, for any number of operations and of processes that use it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    FutexStats, LockPlace, MutexKind, StackCount,
    parts::Parts,
    runtimes,
    verdict::{Verdict, is_idle_only, waits, wakes},
};
use crate::{frame::ProcessKey, session::Process};

/// Everything about one lock.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// Place of the lock.
    pub place: LockPlace,
    /// The processes that use it, each with the address at which it has it.
    pub users: BTreeSet<(u32, u64)>,
    /// Each operation, all processes together.
    pub operations: BTreeMap<String, FutexStats>,
    /// All operations together.
    pub sum: FutexStats,
    /// Meaning of its waits.
    pub verdict: Verdict,
    /// The addresses of its futexes in each process; several where it is made of conditions and mutexes.
    pub parts: BTreeSet<(u32, u64)>,
}

impl Lock {
    /// Total time that threads waited on it.
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        self.sum.wait.sum
    }

    /// The kind of mutex that it is, where the memory said so.
    #[must_use]
    pub fn kind(&self) -> Option<MutexKind> {
        self.sum.mutex.as_ref().map(|seen| seen.kind)
    }

    /// Runtime and kind, by its stacks: such as `Rust std` and `mutex`.
    #[must_use]
    pub fn runtime(&self) -> Option<(&'static str, &'static str)> {
        runtimes::most(&self.sum.stacks)
    }

    /// The operations that wait, together.
    #[must_use]
    pub fn waits(&self) -> FutexStats {
        let mut sum = FutexStats::default();
        self.operations.iter().filter(|(op, _)| waits(op)).for_each(|(_, stats)| sum.merge(stats));
        sum
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting_calls(&self) -> u64 {
        self.calls(waits)
    }

    /// Calls that wake.
    #[must_use]
    pub fn waking_calls(&self) -> u64 {
        self.calls(wakes)
    }

    fn calls(&self, of: fn(&str) -> bool) -> u64 {
        self.operations.iter().filter(|(op, _)| of(op)).map(|(_, stats)| stats.count).sum()
    }

    /// The stack that was seen most often.
    #[must_use]
    pub fn top_stack(&self) -> Option<&StackCount> {
        self.sum.stacks.iter().max_by_key(|stack| (stack.count, Reverse(&stack.frames)))
    }
}

/// The locks of some processes. What was fought for comes first, then what cannot be told, then what was idle; within
/// each the longest total wait.
///
/// Processes that map the same object have the same lock there. Memory of one process is its own, and so is what could
/// not be told apart. Futexes that are parts of one lock are one row, at the lowest address. Nothing is left of threads
/// without work whose waits have not ended.
#[must_use]
pub fn ranked<'a>(processes: impl IntoIterator<Item = (&'a ProcessKey, &'a Process)>) -> Vec<Lock> {
    let mut locks: BTreeMap<(Option<ProcessKey>, LockPlace), Lock> = BTreeMap::new();
    for (key, process) in processes {
        let wholes = Parts::of(process).wholes();
        for ((place, address, op), stats) in &process.futexes {
            let owner = (!matches!(place, LockPlace::Shared { .. })).then_some(*key);
            let whole = wholes.of(place);
            let place = whole.map_or_else(|| place.clone(), |address| LockPlace::Private { address });
            let lock = locks.entry((owner, place.clone())).or_insert_with(|| Lock::new(place));
            lock.users.insert((key.pid, whole.unwrap_or(*address)));
            lock.parts.insert((key.pid, *address));
            let operation = lock.operations.entry(op.clone()).or_default();
            operation.merge(stats);
            if whole.is_some() {
                // A thread that has the mutex inside of a lock does not have the lock.
                operation.mutex = None;
            }
        }
    }
    locks.retain(|_, lock| !is_idle_only(lock.operations.values()));
    let mut locks: Vec<Lock> = locks.into_values().map(Lock::summed).collect();
    locks.sort_by_cached_key(|lock| {
        (lock.verdict, Reverse(lock.wait_ns()), Reverse(lock.sum.count), lock.users.clone())
    });
    locks
}

impl Lock {
    fn new(place: LockPlace) -> Self {
        Self {
            place,
            users: BTreeSet::new(),
            parts: BTreeSet::new(),
            operations: BTreeMap::new(),
            sum: FutexStats::default(),
            verdict: Verdict::Unclear,
        }
    }

    fn summed(mut self) -> Self {
        let waiting = self.operations.iter().filter(|(op, stats)| waits(op) && stats.wait.count() > 0);
        // One operation that fights makes it a lock; the other operations do not matter.
        self.verdict = waiting.map(|(op, stats)| stats.verdict(op)).min().unwrap_or(Verdict::Unclear);
        self.operations.values().for_each(|stats| self.sum.merge(stats));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    fn locks(processes: u32) -> Vec<Lock> {
        ranked(&synthetic::session(1, Shape { processes, ..Shape::default() }).processes)
    }

    #[test]
    fn a_lock_of_two_processes_is_one_row() {
        let shared: Vec<Lock> =
            locks(2).into_iter().filter(|lock| matches!(&lock.place, LockPlace::Shared { .. })).collect();
        assert_eq!(shared.len(), 1);
        let pids: Vec<u32> = shared[0].users.iter().map(|user| user.0).collect();
        assert_eq!(pids, [1000, 1010]);
        let operations = shared[0].operations.values();
        assert_eq!(shared[0].sum.count, operations.map(|stats| stats.count).sum::<u64>());
        assert_eq!(shared[0].sum.count, shared[0].waiting_calls() + shared[0].waking_calls());
    }

    #[test]
    fn equal_addresses_of_two_processes_are_two_locks() {
        let mut session = synthetic::session(1, Shape { processes: 2, ..Shape::default() });
        let first = session.processes.values().next().unwrap().futexes.clone();
        session.processes.values_mut().for_each(|process| process.futexes.clone_from(&first));
        let locks = ranked(&session.processes);
        let private = locks.iter().filter(|lock| matches!(lock.place, LockPlace::Private { .. }));
        let places: BTreeSet<&LockPlace> = private.clone().map(|lock| &lock.place).collect();
        assert_eq!(private.count(), 2 * places.len());
    }

    #[test]
    fn waits_for_work_stand_below_every_lock_however_long_they_are() {
        let locks = locks(6);
        assert!(locks.is_sorted_by_key(|lock| lock.verdict));
        let idle = locks.iter().position(|lock| lock.verdict.is_for_work()).unwrap();
        assert!(locks[idle].wait_ns() > locks[0].wait_ns());
        for verdict in [Verdict::Contention, Verdict::Unclear, Verdict::Waiting] {
            let same = locks.iter().filter(|lock| lock.verdict == verdict);
            assert!(same.map(|lock| Reverse(lock.wait_ns())).is_sorted());
        }
    }
}
