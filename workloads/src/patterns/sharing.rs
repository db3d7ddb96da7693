//! False sharing: threads that add to counters of their own, which do or do not lie in one cache line.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crew::Crew;
use super::work::each;
use super::{Built, Counted, Setup};

/// Most threads that a packed line has counters for.
pub const MOST: usize = 8;

/// A counter per thread, laid out in one of several ways.
pub trait Counters: Default + Send + Sync + 'static {
    /// The counter of one thread.
    fn of(&self, thread: usize) -> &AtomicU64;
}

/// Eight counters in one line of 64 bytes.
#[derive(Default)]
#[repr(align(64))]
pub struct Packed([AtomicU64; MOST]);

#[derive(Default)]
#[repr(align(64))]
struct Line64(AtomicU64);

/// A line of 64 bytes each.
#[derive(Default)]
pub struct Padded64([Line64; MOST]);

#[derive(Default)]
#[repr(align(128))]
struct Line128(AtomicU64);

/// Two lines each: the adjacent-line prefetcher of x86 fetches lines in pairs.
#[derive(Default)]
pub struct Padded128([Line128; MOST]);

impl Counters for Packed {
    fn of(&self, thread: usize) -> &AtomicU64 {
        &self.0[thread % MOST]
    }
}

impl Counters for Padded64 {
    fn of(&self, thread: usize) -> &AtomicU64 {
        &self.0[thread % MOST].0
    }
}

impl Counters for Padded128 {
    fn of(&self, thread: usize) -> &AtomicU64 {
        &self.0[thread % MOST].0
    }
}

/// Every thread adds to its own counter.
pub fn own_counter<C: Counters>(setup: &Setup, threads: usize) -> Built {
    let counters = Arc::new(C::default());
    let works = (0..threads)
        .map(|thread| {
            let counters = Arc::clone(&counters);
            each(move || {
                black_box(counters.of(thread).fetch_add(1, Ordering::Relaxed));
            })
        })
        .collect();
    let run = Crew::start(setup, works)?;
    let count = move || (0..MOST).map(|thread| counters.of(thread).load(Ordering::Relaxed)).sum();
    Ok(Box::new(Counted { run, count }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance<C: Counters>() -> usize {
        let counters = C::default();
        std::ptr::from_ref(counters.of(1)).addr() - std::ptr::from_ref(counters.of(0)).addr()
    }

    #[test]
    fn counters_lie_where_the_names_say() {
        assert_eq!(distance::<Packed>(), 8);
        assert_eq!(distance::<Padded64>(), 64);
        assert_eq!(distance::<Padded128>(), 128);
        let packed = Packed::default();
        let line = |thread| std::ptr::from_ref(packed.of(thread)).addr() / 64;
        assert_eq!(line(0), line(MOST - 1));
    }
}
