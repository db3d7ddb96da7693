//! The queue under a lock: the indices run freely, and the holder of the lock may read and move them.

use std::sync::atomic::Ordering::Relaxed;

use pulse_trace_workloads::sys::queue_map::{LockedHeader, QueueMap};

use super::{Attempts, Geometry, LockUse, Queue, die};
use crate::locks::{Counters, Lock, Stop};

/// One end of a queue under a lock of kind `L`.
pub struct Locked<L: Lock> {
    map: QueueMap<LockedHeader<L::Memory>>,
    geometry: Geometry,
    counters: Counters,
    attempts: Attempts,
}

impl<L: Lock> Locked<L> {
    /// An end of the queue in `map`, which has room for the geometry.
    pub fn new(map: QueueMap<LockedHeader<L::Memory>>, geometry: Geometry, spin_limit: i32) -> Self {
        Self { map, geometry, counters: Counters::new(spin_limit), attempts: Attempts::default() }
    }
}

impl<L: Lock> Queue for Locked<L> {
    #[inline]
    fn try_enqueue(&mut self, element: &[u8]) -> Result<bool, Stop> {
        let (map, header, geometry) = (&self.map, self.map.header(), self.geometry);
        // The lock orders these accesses: that the indices are atomics only keeps the compiler honest.
        let done = L::with(&header.lock, &mut self.counters, || {
            let write = header.write.load(Relaxed);
            if write.wrapping_sub(header.read.load(Relaxed)) >= geometry.capacity {
                return false;
            }
            map.put(geometry.offset(write), element);
            header.write.store(write + 1, Relaxed);
            true
        })?;
        self.attempts.enqueued += u64::from(done);
        self.attempts.full += u64::from(!done);
        Ok(done)
    }

    #[inline]
    fn try_dequeue(&mut self, element: &mut [u8]) -> Result<bool, Stop> {
        let (map, header, geometry) = (&self.map, self.map.header(), self.geometry);
        let done = L::with(&header.lock, &mut self.counters, || {
            let read = header.read.load(Relaxed);
            if read == header.write.load(Relaxed) {
                return false;
            }
            map.get(geometry.offset(read), element);
            header.read.store(read + 1, Relaxed);
            true
        })?;
        self.attempts.dequeued += u64::from(done);
        self.attempts.empty += u64::from(!done);
        Ok(done)
    }

    fn crash(&mut self) -> Result<(), Stop> {
        L::with(&self.map.header().lock, &mut self.counters, die)
    }

    fn attempts(&self) -> Attempts {
        self.attempts
    }

    fn lock(&self) -> Option<LockUse<'_>> {
        let running_mean = L::running_mean(&self.map.header().lock);
        Some(LockUse { counters: &self.counters, knows: L::KNOWS, running_mean })
    }

    fn forget(&mut self) {
        self.counters = Counters::new(self.counters.spin_limit);
        self.attempts = Attempts::default();
    }
}
