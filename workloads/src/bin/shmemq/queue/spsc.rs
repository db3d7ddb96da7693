//! The queue without a lock: one writer, one reader. Each index has one owner and a cache line of its own, and each end
//! remembers where it last saw the other, so that it looks again only when it has to.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use pulse_trace_workloads::sys::queue_map::{QueueMap, SpscHeader};

use super::{Attempts, Geometry, LockUse, Queue, die};
use crate::locks::Stop;

/// One end of a queue without a lock. Each process uses it as a writer or as a reader, never as both.
pub struct Spsc {
    map: QueueMap<SpscHeader>,
    geometry: Geometry,
    /// Last value read of the other end's index.
    seen: u64,
    attempts: Attempts,
}

impl Spsc {
    /// An end of the queue in `map`, which has room for the geometry.
    pub fn new(map: QueueMap<SpscHeader>, geometry: Geometry) -> Self {
        Self { map, geometry, seen: 0, attempts: Attempts::default() }
    }
}

impl Queue for Spsc {
    #[inline]
    fn try_enqueue(&mut self, element: &[u8]) -> Result<bool, Stop> {
        let header = self.map.header();
        let write = header.write.0.load(Relaxed);
        if write.wrapping_sub(self.seen) >= self.geometry.capacity {
            // Acquire: the reader has finished copying before it moved its index.
            self.seen = header.read.0.load(Acquire);
            if write.wrapping_sub(self.seen) >= self.geometry.capacity {
                self.attempts.full += 1;
                return Ok(false);
            }
        }
        self.map.put(self.geometry.offset(write), element);
        header.write.0.store(write + 1, Release);
        self.attempts.enqueued += 1;
        Ok(true)
    }

    #[inline]
    fn try_dequeue(&mut self, element: &mut [u8]) -> Result<bool, Stop> {
        let header = self.map.header();
        let read = header.read.0.load(Relaxed);
        if read == self.seen {
            // Acquire: the element was written before the index moved.
            self.seen = header.write.0.load(Acquire);
            if read == self.seen {
                self.attempts.empty += 1;
                return Ok(false);
            }
        }
        self.map.get(self.geometry.offset(read), element);
        header.read.0.store(read + 1, Release);
        self.attempts.dequeued += 1;
        Ok(true)
    }

    fn crash(&mut self) -> Result<(), Stop> {
        die();
        Ok(())
    }

    fn attempts(&self) -> Attempts {
        self.attempts
    }

    fn lock(&self) -> Option<LockUse<'_>> {
        None
    }

    fn forget(&mut self) {
        self.attempts = Attempts::default();
    }
}
