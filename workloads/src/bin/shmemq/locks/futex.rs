//! The three-state futex word: 0 free, 1 held, 2 held and perhaps waited for. It never spins.
//!
//! The slow path and the release are shared with the restated adaptive locks, whose word means the same.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use pulse_trace_workloads::contract::stopping;
use pulse_trace_workloads::sys::queue_map::LockWords;
use rustix::io::Errno;
use rustix::thread::futex::{Flags, wait, wake};

use super::{Counters, Knows, Lock, Stop};

const FREE: u32 = 0;
const HELD: u32 = 1;
const WAITED_FOR: u32 = 2;

/// The lock of `--mutex futex`.
#[derive(Debug)]
pub struct Futex;

impl Lock for Futex {
    type Memory = LockWords;

    const KNOWS: Knows = Knows { contended: true, spins: false, limit: false, futex: true };

    #[inline]
    fn with<R>(memory: &LockWords, counters: &mut Counters, section: impl FnOnce() -> R) -> Result<R, Stop> {
        let word = &memory[0];
        let at_once = try_lock(word);
        if !at_once {
            lock_slowly(word, counters)?;
        }
        let value = section();
        unlock(word, counters);
        counters.acquisitions += 1;
        counters.contended += u64::from(!at_once);
        Ok(value)
    }
}

/// Takes a free lock.
#[inline]
pub fn try_lock(word: &AtomicU32) -> bool {
    word.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
}

/// Sleeps until the lock is ours. A thread that has slept must assume that others sleep too, and takes it as waited
/// for.
#[cold]
pub fn lock_slowly(word: &AtomicU32, counters: &mut Counters) -> Result<(), Stop> {
    counters.slow_calls += 1;
    // A word that is marked already needs no second marking before the sleep.
    let mut marked = word.load(Relaxed) == WAITED_FOR;
    while marked || word.swap(WAITED_FOR, Acquire) != FREE {
        marked = false;
        counters.futex_waits += 1;
        match wait(word, Flags::empty(), WAITED_FOR, None) {
            Err(Errno::AGAIN) => counters.futex_waits_missed += 1,
            // A signal: the stop flag decides. A lock abandoned here is abandoned by both sides.
            Err(Errno::INTR) if stopping() => return Err(Stop::Asked),
            Ok(()) | Err(Errno::INTR) => {}
            Err(error) => return Err(Stop::Lock(error.into())),
        }
    }
    Ok(())
}

/// Frees the lock, and wakes one waiter if there may be one.
#[inline]
pub fn unlock(word: &AtomicU32, counters: &mut Counters) {
    if word.swap(FREE, Release) == WAITED_FOR {
        wake_one(word, counters);
    }
}

#[cold]
fn wake_one(word: &AtomicU32, counters: &mut Counters) {
    counters.futex_wakes += 1;
    // A wake on a mapped, aligned word has no way to fail.
    if matches!(wake(word, Flags::empty(), 1), Ok(0)) {
        counters.futex_wakes_in_vain += 1;
    }
}
