//! Every lock excludes, and what it counted adds up.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;

use pulse_trace_workloads::sys::pthread::{Attributes, Kind, PthreadMutex};
use pulse_trace_workloads::sys::queue_map::LockWords;

use super::restated::Generation;
use super::*;

const THREADS: u64 = 3;
const ROUNDS: u64 = 20_000;

/// Threads that add one to a number by loading and storing it: without exclusion additions get lost.
fn excludes<L: Lock>(memory: &L::Memory) -> Vec<Counters>
where
    L::Memory: Sync,
{
    let number = AtomicU64::new(0);
    let work = || {
        let mut counters = Counters::new(100);
        for _ in 0..ROUNDS {
            L::with(memory, &mut counters, || number.store(number.load(Relaxed) + 1, Relaxed)).unwrap();
        }
        counters
    };
    let counters: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(number.into_inner(), THREADS * ROUNDS);
    for counters in &counters {
        assert_eq!(counters.acquisitions, ROUNDS);
        assert!(counters.contended <= ROUNDS && counters.gave_up <= counters.contended);
        let spins = counters.spins.histogram().count();
        assert_eq!(spins, if L::KNOWS.spins { counters.contended } else { 0 });
    }
    counters
}

fn words() -> LockWords {
    LockWords::default()
}

#[test]
fn the_spinning_locks_exclude() {
    excludes::<Spin>(&words());
    excludes::<Ticket>(&words());
}

#[test]
fn the_futex_lock_excludes_and_ends_free() {
    let memory = words();
    excludes::<Futex>(&memory);
    assert_eq!(memory[0].load(Relaxed), 0);
}

#[test]
fn every_pthread_kind_excludes() {
    for (kind, robust, inherit) in [
        (Kind::Normal, false, false),
        (Kind::Adaptive, false, false),
        (Kind::Recursive, false, false),
        (Kind::ErrorCheck, false, false),
        (Kind::Normal, true, false),
        (Kind::Normal, false, true),
    ] {
        let mut memory = PthreadMutex::new();
        memory.init(Attributes { kind, robust, inherit }).unwrap();
        excludes::<Pthread>(&memory);
    }
}

#[test]
fn the_restated_locks_exclude_and_leave_the_mutex_as_glibc_would() {
    fn check<G: Generation>() {
        let mut memory = words();
        Restated::<G>::init(&mut memory);
        excludes::<Restated<G>>(&memory);
        let [word, count, owner, users, kind, mean, ..] = &memory;
        assert_eq!([word, count, owner, users].map(|field| field.load(Relaxed)), [0; 4]);
        assert_eq!(kind.load(Relaxed) & 0x7f, 3);
        assert!((0..=131).contains(&mean.load(Relaxed)), "{mean:?}");
    }
    check::<Linear>();
    check::<Backoff>();
}

#[test]
fn a_held_lock_is_given_up_within_the_limit() {
    // A lock that stays held: the linear loop tries exactly `limit` times, the other one stops before it would pass it.
    let held = AtomicU32::new(1);
    assert_eq!(Linear::spin(&held, 10), (11, false));
    assert_eq!(Linear::spin(&held, 0), (1, false));
    for limit in [0, 1, 10, 100, 1000] {
        let (count, taken) = Backoff::spin(&held, limit);
        assert!(!taken && count >= limit && count < limit.max(1) + 31, "{limit}: {count}");
    }
    let free = AtomicU32::new(0);
    assert_eq!(Linear::spin(&free, 10), (1, true));
    assert_eq!(Backoff::spin(&AtomicU32::new(0), 10), (1, true));
}

#[test]
fn the_mean_follows_the_counts() {
    // glibc adds an eighth of the difference, rounded towards zero.
    let mut memory = words();
    Restated::<Linear>::init(&mut memory);
    let mut counters = Counters::new(100);
    memory[0].store(1, Relaxed);
    thread::scope(|scope| {
        // Freed only after the spin has surely been given up.
        scope.spawn(|| {
            while memory[0].load(Relaxed) != 2 {
                thread::yield_now();
            }
            unlock_from_outside(&memory);
        });
        Restated::<Linear>::with(&memory, &mut counters, || ()).unwrap();
    });
    assert_eq!((counters.contended, counters.gave_up, counters.slow_calls), (1, 1, 1));
    assert_eq!(counters.spins.exact(), Some(vec![(11, 1)]));
    assert_eq!(Restated::<Linear>::running_mean(&memory), Some(1));
}

fn unlock_from_outside(memory: &LockWords) {
    super::futex::unlock(&memory[0], &mut Counters::new(0));
}
