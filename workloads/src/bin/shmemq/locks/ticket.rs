//! Tickets: draw a number, wait until it is served. Fair, and therefore helpless while a waiter in front is not
//! running.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use pulse_trace_workloads::contract::stopping;
use pulse_trace_workloads::sys::queue_map::LockWords;

use super::{Counters, Knows, Lock, PAUSES_PER_YIELD, Stop};

/// The lock of `--mutex ticket`.
#[derive(Debug)]
pub struct Ticket;

impl Lock for Ticket {
    type Memory = LockWords;

    const KNOWS: Knows = Knows { contended: true, spins: true, limit: false, futex: false };

    #[inline]
    fn with<R>(memory: &LockWords, counters: &mut Counters, section: impl FnOnce() -> R) -> Result<R, Stop> {
        let [next, serving, ..] = memory;
        let mine = next.fetch_add(1, Relaxed);
        let spun = if serving.load(Acquire) == mine { 0 } else { spin(serving, mine, counters)? };
        let value = section();
        serving.store(mine.wrapping_add(1), Release);
        counters.acquisitions += 1;
        if spun > 0 {
            counters.contended += 1;
            counters.spins.record(spun);
        }
        Ok(value)
    }
}

#[cold]
fn spin(serving: &AtomicU32, mine: u32, counters: &mut Counters) -> Result<u64, Stop> {
    let mut pauses = 0;
    let mut next_yield = PAUSES_PER_YIELD;
    loop {
        // One pause for everybody in front: looking more often only delays them.
        for _ in 0..mine.wrapping_sub(serving.load(Relaxed)).clamp(1, 16) {
            spin_loop();
            pauses += 1;
        }
        if serving.load(Acquire) == mine {
            return Ok(pauses);
        }
        if pauses >= next_yield {
            next_yield = pauses + PAUSES_PER_YIELD;
            // A ticket given back is impossible: on a stop the queue stays blocked, for both sides alike.
            if stopping() {
                return Err(Stop::Asked);
            }
            counters.yields += 1;
            std::thread::yield_now();
        }
    }
}
