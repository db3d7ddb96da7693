//! Test and test-and-set: reads until the lock looks free, and only then tries to take it.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use pulse_trace_workloads::contract::stopping;
use pulse_trace_workloads::sys::queue_map::LockWords;

use super::{Counters, Knows, Lock, PAUSES_PER_YIELD, Stop};

/// The lock of `--mutex spin`.
#[derive(Debug)]
pub struct Spin;

impl Lock for Spin {
    type Memory = LockWords;

    const KNOWS: Knows = Knows { contended: true, spins: true, limit: false, futex: false };

    #[inline]
    fn with<R>(memory: &LockWords, counters: &mut Counters, section: impl FnOnce() -> R) -> Result<R, Stop> {
        let word = &memory[0];
        let spun = if try_lock(word) { 0 } else { spin(word, counters)? };
        let value = section();
        word.store(0, Release);
        counters.acquisitions += 1;
        if spun > 0 {
            counters.contended += 1;
            counters.spins.record(spun);
        }
        Ok(value)
    }
}

#[inline]
fn try_lock(word: &AtomicU32) -> bool {
    word.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
}

#[cold]
fn spin(word: &AtomicU32, counters: &mut Counters) -> Result<u64, Stop> {
    let mut pauses = 0;
    loop {
        spin_loop();
        pauses += 1;
        if word.load(Relaxed) == 0 && try_lock(word) {
            return Ok(pauses);
        }
        if pauses.is_multiple_of(PAUSES_PER_YIELD) {
            if stopping() {
                return Err(Stop::Asked);
            }
            counters.yields += 1;
            std::thread::yield_now();
        }
    }
}
