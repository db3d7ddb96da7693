//! Waits as a graph of thread ids: knots that nothing in it can undo, rings in them, and what waits behind what.

use std::collections::{BTreeMap, BTreeSet};

/// Threads that could end each thread's wait; one of them is enough. A thread whose wait something else may end, too, is
/// not among the keys.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    enders: BTreeMap<u32, BTreeSet<u32>>,
}

impl Waits {
    /// Notes a wait.
    pub fn add(&mut self, waiter: u32, enders: impl IntoIterator<Item = u32>) {
        let enders: BTreeSet<u32> = enders.into_iter().collect();
        if !enders.is_empty() {
            self.enders.insert(waiter, enders);
        }
    }

    /// Threads that wait for each other and for no other thread: none of them can go on. The largest set of threads each of
    /// which waits only for threads of the set.
    #[must_use]
    pub fn deadlocked(&self) -> BTreeSet<u32> {
        let waiters = self.waiters();
        let mut stuck: BTreeSet<u32> = self.enders.keys().copied().collect();
        let mut free: Vec<u32> = waiters.keys().filter(|ender| !stuck.contains(ender)).copied().collect();
        while let Some(ender) = free.pop() {
            let freed = waiters.get(&ender).into_iter().flatten().filter(|waiter| stuck.remove(waiter));
            free.extend(freed.copied());
        }
        stuck
    }

    /// For each thread, those that wait for it.
    fn waiters(&self) -> BTreeMap<u32, Vec<u32>> {
        let mut waiters: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (waiter, enders) in &self.enders {
            enders.iter().for_each(|ender| waiters.entry(*ender).or_default().push(*waiter));
        }
        waiters
    }

    /// Rings in a set of threads that wait for each other: each thread of the ring waits for the next one. Each ring begins
    /// with its smallest id; threads that only wait for a ring are in none.
    #[must_use]
    pub fn rings(&self, stuck: &BTreeSet<u32>) -> Vec<Vec<u32>> {
        let mut rings: BTreeSet<Vec<u32>> = BTreeSet::new();
        let mut seen: BTreeSet<u32> = BTreeSet::new();
        for begin in stuck {
            let mut path: Vec<u32> = Vec::new();
            let mut at = *begin;
            while seen.insert(at) {
                path.push(at);
                let Some(next) = self.enders.get(&at).and_then(|enders| enders.iter().next()) else { break };
                at = *next;
            }
            if let Some(place) = path.iter().position(|thread| *thread == at) {
                let mut ring = path.split_off(place);
                let least = (0..ring.len()).min_by_key(|at| ring[*at]).unwrap_or(0);
                ring.rotate_left(least);
                rings.insert(ring);
            }
        }
        rings.into_iter().collect()
    }

    /// Threads that others wait for and that wait for none, with the number of threads that wait for each, directly or
    /// behind others.
    #[must_use]
    pub fn behind(&self) -> BTreeMap<u32, usize> {
        let waiters = self.waiters();
        let count = |thread: &u32| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![*thread]);
            while let Some(at) = open.pop() {
                let new = waiters.get(&at).into_iter().flatten().filter(|waiter| seen.insert(**waiter));
                open.extend(new);
            }
            (*thread, seen.len())
        };
        waiters.keys().filter(|thread| !self.enders.contains_key(thread)).map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use model::random::Random;

    use super::*;

    fn waits(edges: &[(u32, &[u32])]) -> Waits {
        let mut waits = Waits::default();
        edges.iter().for_each(|(waiter, enders)| waits.add(*waiter, enders.iter().copied()));
        waits
    }

    #[test]
    fn a_ring_is_stuck_with_all_that_wait_for_it_and_a_chain_is_not() {
        let graph = waits(&[(1, &[2]), (2, &[3]), (3, &[1]), (4, &[1]), (5, &[6]), (6, &[7])]);
        let stuck = graph.deadlocked();
        assert_eq!(stuck, BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(graph.rings(&stuck), [vec![1, 2, 3]]);
        assert_eq!(graph.behind(), BTreeMap::from([(7, 2)]));
    }

    #[test]
    fn one_ender_that_is_free_frees_the_wait_and_all_of_them_stuck_do_not() {
        let graph = waits(&[(1, &[2, 9]), (2, &[1])]);
        assert!(graph.deadlocked().is_empty());
        let graph = waits(&[(1, &[2, 3]), (2, &[1]), (3, &[1])]);
        assert_eq!(graph.deadlocked().len(), 3);
        // A thread that waits for what it has itself.
        let graph = waits(&[(1, &[1])]);
        assert_eq!(graph.rings(&graph.deadlocked()), [vec![1]]);
    }

    /// True if a thread can be freed by threads that can go on, by trying all of them until nothing changes.
    fn freed(edges: &BTreeMap<u32, BTreeSet<u32>>, threads: u32) -> BTreeSet<u32> {
        let mut free: BTreeSet<u32> = (0..threads).filter(|thread| !edges.contains_key(thread)).collect();
        loop {
            let more = (0..threads).filter(|thread| {
                !free.contains(thread) && edges[thread].iter().any(|ender| free.contains(ender))
            });
            let more: Vec<u32> = more.collect();
            if more.is_empty() {
                return free;
            }
            free.extend(more);
        }
    }

    #[test]
    fn in_a_thousand_graphs_stuck_is_what_cannot_be_freed_and_every_ring_is_one() {
        for seed in 0..1000 {
            let mut random = Random(seed);
            let threads = 2 + random.below(60) as u32;
            let mut graph = Waits::default();
            for waiter in 0..threads {
                if random.below(4) > 0 {
                    let enders = 1 + random.below(3);
                    let enders: Vec<u32> =
                        (0..enders).map(|_| random.below(u64::from(threads)) as u32).collect();
                    graph.add(waiter, enders);
                }
            }
            let free = freed(&graph.enders, threads);
            let stuck = graph.deadlocked();
            assert_eq!((0..threads).filter(|it| !free.contains(it)).collect::<BTreeSet<u32>>(), stuck);
            let rings = graph.rings(&stuck);
            assert_eq!(rings.is_empty(), stuck.is_empty());
            for ring in rings {
                for (at, thread) in ring.iter().enumerate() {
                    assert!(graph.enders[thread].contains(&ring[(at + 1) % ring.len()]), "{seed}: {ring:?}");
                }
            }
        }
    }
}
