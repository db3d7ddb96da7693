//! Mutexes as probes in the library see them, one row each, for any number of processes that use it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::LockPlace;
use crate::{
    frame::ProcessKey,
    session::{Mutex, Process},
};

/// Everything that probes saw of one mutex.
#[derive(Clone, Debug, PartialEq)]
pub struct ContendedMutex {
    /// Place of the mutex.
    pub place: LockPlace,
    /// The processes that use it, each with the address at which it has it.
    pub users: BTreeSet<(u32, u64)>,
    /// Numbers of all processes together.
    pub seen: Mutex,
}

/// The mutexes of some processes, the most contended first; see [`super::ranked`] for what is one lock.
#[must_use]
pub fn ranked_mutexes<'a>(
    processes: impl IntoIterator<Item = (&'a ProcessKey, &'a Process)>,
) -> Vec<ContendedMutex> {
    let mut mutexes: BTreeMap<(Option<ProcessKey>, LockPlace), ContendedMutex> = BTreeMap::new();
    for (key, process) in processes {
        for ((place, address), seen) in &process.mutexes {
            let owner = (!matches!(place, LockPlace::Shared { .. })).then_some(*key);
            let known = mutexes.entry((owner, place.clone())).or_insert_with(|| ContendedMutex {
                place: place.clone(),
                users: BTreeSet::new(),
                seen: Mutex { stats: Default::default(), ..seen.clone() },
            });
            known.users.insert((key.pid, *address));
            known.seen.stats.merge(&seen.stats);
        }
    }
    let mut mutexes: Vec<ContendedMutex> = mutexes.into_values().collect();
    mutexes.sort_by_cached_key(|mutex| {
        (Reverse((mutex.seen.stats.contended, mutex.seen.stats.calls)), mutex.users.clone())
    });
    mutexes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn both_sides_of_a_shared_mutex_are_one_row() {
        let session = synthetic::session(1, Shape { processes: 2, ..Shape::default() });
        let mutexes = ranked_mutexes(&session.processes);
        let all = || session.processes.values().flat_map(|process| process.mutexes.values());
        assert_eq!((all().count(), mutexes.len()), (4, 3));
        let contended = |mutex: &Mutex| mutex.stats.contended;
        let sum: u64 = mutexes.iter().map(|mutex| contended(&mutex.seen)).sum();
        assert_eq!(sum, all().map(contended).sum::<u64>());
        let shared = mutexes.iter().find(|mutex| mutex.users.len() == 2).unwrap();
        assert!(matches!(shared.place, LockPlace::Shared { .. }));
    }
}
