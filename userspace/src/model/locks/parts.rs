//! Futexes that are one lock to those who use it.

use std::collections::BTreeMap;

use super::{
    FutexStats, LockPlace, StackCount,
    runtimes::{GIL, MONITOR, most},
};
use crate::model::session::Process;

/// A lock that is made of several futexes of one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whole {
    /// CPython's global interpreter lock, two conditions and two mutexes side by side; by the lowest address.
    Gil(u64),
    /// Java's monitors that are wanted in one function: each thread waits for them at an event of its own.
    Monitors(Option<String>),
}

/// The parts of CPython's lock lie no further apart than this: the largest hole is a mutex and most of a condition.
const SPAN: u64 = 96;

/// The locks that futexes of a process are parts of, by address.
pub fn wholes(process: &Process) -> BTreeMap<u64, Whole> {
    let futexes = by_address(process);
    let mut wholes = BTreeMap::new();
    let mut gil: Vec<u64> = Vec::new();
    for (address, operations) in &futexes {
        let stacks = || operations.iter().flat_map(|stats| &stats.stacks);
        match most(stacks()).map(|(_, what)| what) {
            Some(GIL) => gil.push(*address),
            Some(MONITOR) => drop(wholes.insert(*address, Whole::Monitors(wanted_in(stacks())))),
            _ => {}
        }
    }
    let mut lowest = None;
    for at in 0..gil.len() {
        let begins = at == 0 || gil[at] - gil[at - 1] > SPAN;
        lowest = if begins { Some(gil[at]) } else { lowest };
        wholes.extend(lowest.map(|lowest| (gil[at], Whole::Gil(lowest))));
    }
    // Parts that are only woken have no stack of their own.
    let silent =
        futexes.iter().filter(|(_, operations)| operations.iter().all(|stats| stats.wait.count() == 0));
    for (address, _) in silent.filter(|(address, _)| !wholes.contains_key(address)).collect::<Vec<_>>() {
        let mut near = wholes.range(address.saturating_sub(SPAN)..=address.saturating_add(SPAN));
        let whole = near.find_map(|(_, whole)| matches!(whole, Whole::Gil(_)).then(|| whole.clone()));
        wholes.extend(whole.map(|whole| (*address, whole)));
    }
    wholes
}

/// All operations on each futex that is a process's own.
fn by_address(process: &Process) -> BTreeMap<u64, Vec<&FutexStats>> {
    let mut futexes: BTreeMap<u64, Vec<&FutexStats>> = BTreeMap::new();
    for ((place, address, _), stats) in &process.futexes {
        if matches!(place, LockPlace::Private { .. }) {
            futexes.entry(*address).or_default().push(stats);
        }
    }
    futexes
}

/// The function that most stacks come from; `None` where none has a name.
fn wanted_in<'a>(stacks: impl Iterator<Item = &'a StackCount>) -> Option<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for stack in stacks {
        let caller = stack.caller.as_deref().filter(|caller| !caller.starts_with('['));
        let function = caller.map_or("", |caller| caller.split("+0x").next().unwrap_or(caller));
        *counts.entry(function).or_default() += stack.count;
    }
    let (function, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (!function.is_empty()).then(|| function.to_owned())
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
        // The second mutex is woken and never waited for; of a neighbour somebody waits.
        futex(&mut process, 0x150, "WAKE", 0, &[], "");
        futex(&mut process, 0x160, "WAIT", 1, &["sem_wait"], "work");
        let wholes = wholes(&process);
        let first = [0xf0, 0xf4, 0xf8, 0x150].map(|address| (address, Whole::Gil(0xf0)));
        assert_eq!(wholes, first.into_iter().chain([(0x1f0, Whole::Gil(0x1f0))]).collect());
    }

    #[test]
    fn monitors_are_told_apart_by_who_wants_them() {
        let mut process = Process::default();
        let enter = ["pthread_cond_wait", "ObjectMonitor::EnterI"];
        let wants = [(1, "Queue.put+0x2a"), (2, "Queue.put+0x4"), (3, "[anon]+0x7f00"), (4, "Queue.take")];
        wants.iter().for_each(|(address, caller)| futex(&mut process, *address, "WAIT", 2, &enter, caller));
        let named = |name: &str| Whole::Monitors(Some(name.to_owned()));
        let expected = [named("Queue.put"), named("Queue.put"), Whole::Monitors(None), named("Queue.take")];
        assert_eq!(wholes(&process), (1..).zip(expected).collect());
    }
}
