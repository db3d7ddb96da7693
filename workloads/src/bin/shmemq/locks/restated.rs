//! glibc's adaptive mutex stated anew, with private counters: the same decisions at the same places, at full speed.
//!
//! A probe inside a lock changes who wins it, so the true distribution of spin counts can only be counted by the
//! program itself. Both generations of the loop are here, written from the description of their behaviour. The memory
//! has the fields of glibc's mutex in glibc's places (word 0, owner 8, users 12, kind 16, spin mean 20), so that a
//! tracer that reads a `pthread_mutex_t` at the futex address sees an adaptive one.

use std::fmt::Debug;
use std::hint::spin_loop;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use pulse_trace_workloads::sys::jitter;
use pulse_trace_workloads::sys::queue_map::LockWords;

use super::futex::{lock_slowly, try_lock, unlock};
use super::{Counters, Knows, Lock, Stop};

const WORD: usize = 0;
const OWNER: usize = 2;
const USERS: usize = 3;
const KIND: usize = 4;
const MEAN: usize = 5;

/// The adaptive kind, process-shared, as glibc writes it.
const ADAPTIVE_SHARED: u32 = 3 | 0x80;
/// The longest step of the exponential back-off.
const MOST_BACKOFF: i32 = 16;

/// The spin loop of one generation.
pub trait Generation: Debug {
    /// Spins until the lock is taken or `limit` is passed; answers the count, and whether the lock is ours.
    fn spin(word: &AtomicU32, limit: i32) -> (i32, bool);
}

/// As in 2.22 (and still in 2.31): one pause, one attempt, and the count is the number of attempts.
#[derive(Debug)]
pub struct Linear;

impl Generation for Linear {
    #[inline(always)]
    fn spin(word: &AtomicU32, limit: i32) -> (i32, bool) {
        for tries in 1..=limit {
            spin_loop();
            if try_lock(word) {
                return (tries, true);
            }
        }
        // The attempt that finds the limit reached counts too.
        (limit + 1, false)
    }
}

/// As in 2.36 (and still in 2.41): steps that double up to 16 plus a jitter; the count is the sum of the steps begun.
#[derive(Debug)]
pub struct Backoff;

impl Generation for Backoff {
    #[inline(always)]
    fn spin(word: &AtomicU32, limit: i32) -> (i32, bool) {
        // One reading of the clock serves all steps; only its low bits matter.
        let jitter = (jitter::bits() & 0xff) as i32;
        let mut backoff = 1;
        let mut count = 0;
        loop {
            let step = backoff + (jitter & (backoff - 1));
            count += step;
            // A step that would pass the limit is counted and not taken.
            if count >= limit {
                return (count, false);
            }
            for _ in 0..step {
                spin_loop();
            }
            if backoff < MOST_BACKOFF {
                backoff *= 2;
            }
            if word.load(Relaxed) == 0 && try_lock(word) {
                return (count, true);
            }
        }
    }
}

/// The adaptive mutex of generation `G`.
#[derive(Debug)]
pub struct Restated<G>(PhantomData<G>);

impl<G> Restated<G> {
    /// Marks the memory as an adaptive mutex.
    pub fn init(memory: &mut LockWords) {
        *memory[KIND].get_mut() = ADAPTIVE_SHARED;
    }
}

impl<G: Generation> Lock for Restated<G> {
    type Memory = LockWords;

    const KNOWS: Knows = Knows { contended: true, spins: true, limit: true, futex: true };

    #[inline]
    fn with<R>(memory: &LockWords, counters: &mut Counters, section: impl FnOnce() -> R) -> Result<R, Stop> {
        let spun = lock::<G>(memory, counters)?;
        let value = section();
        release(memory, counters);
        // Counted when the lock is free again: what is done while holding it lengthens the other side's wait.
        counters.acquisitions += 1;
        if let Some(count) = spun {
            counters.contended += 1;
            counters.spins.record(count);
        }
        Ok(value)
    }

    fn running_mean(memory: &LockWords) -> Option<i16> {
        Some(mean(memory))
    }
}

/// Takes the lock; answers the spin count if it was contended.
///
/// Out of line and with a look at the kind first, as in the library: that look fetches the cache line once more than
/// the attempt alone would, and moves the moments at which the two sides meet.
#[inline(never)]
fn lock<G: Generation>(memory: &LockWords, counters: &mut Counters) -> Result<Option<u64>, Stop> {
    if memory[KIND].load(Relaxed) != ADAPTIVE_SHARED {
        return Err(Stop::Lock(io::ErrorKind::InvalidData.into()));
    }
    let spun = if try_lock(&memory[WORD]) { None } else { Some(contend::<G>(memory, counters)?) };
    memory[OWNER].store(counters.tid, Relaxed);
    add(&memory[USERS], 1);
    Ok(spun)
}

/// Frees the lock.
#[inline(never)]
fn release(memory: &LockWords, counters: &mut Counters) {
    add(&memory[USERS], u32::MAX);
    memory[OWNER].store(0, Relaxed);
    unlock(&memory[WORD], counters);
}

/// The contended acquisition: spin up to a limit drawn from the mean of the past, then sleep; learn from the outcome.
fn contend<G: Generation>(memory: &LockWords, counters: &mut Counters) -> Result<u64, Stop> {
    let word = &memory[WORD];
    let limit = counters.spin_limit.min(i32::from(mean(memory)) * 2 + 10);
    let (count, taken) = G::spin(word, limit);
    if !taken {
        counters.gave_up += 1;
        if !try_lock(word) {
            lock_slowly(word, counters)?;
        }
    }
    let mean = i32::from(mean(memory));
    set_mean(memory, mean + (count - mean) / 8);
    Ok(count.unsigned_abs().into())
}

/// The field is 16 bits wide; on a little-endian machine it is the low half of its word.
fn mean(memory: &LockWords) -> i16 {
    memory[MEAN].load(Relaxed) as i16
}

fn set_mean(memory: &LockWords, mean: i32) {
    memory[MEAN].store(u32::from(mean as u16), Relaxed);
}

/// A plain addition: the caller holds the lock.
fn add(word: &AtomicU32, amount: u32) {
    word.store(word.load(Relaxed).wrapping_add(amount), Relaxed);
}
