//! An event buffer per endpoint: how full it is, what waits, and a circuit breaker that shuts out a flood.
//!
//! Three implementations of [`EventBuffer`] that obey the same [`Fields`]: [`Packed`] keeps an endpoint in one atomic
//! word, [`Standard`] in several atomics and a mutex, [`Locked`] in plain fields under a mutex. With a store, the
//! payloads of waiting events are kept too and come out exactly once, in the order of their acceptance.

mod cas;
mod fields;
mod lines;

#[cfg(not(loom))]
mod locked;
#[cfg(not(loom))]
mod standard;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use cas::{Exchange, Order, Packed};
pub use fields::{
    Breaker, EVENTS_WRAP, Fields, Limits, MAX_CAPACITY, MAX_FAILURES, Mark, Outcome, looks_compressed,
};
#[cfg(not(loom))]
pub use locked::Locked;
#[cfg(not(loom))]
pub use standard::Standard;

/// Bytes of a payload that are kept.
pub const PAYLOAD: usize = 16;

/// An event on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    payload: [u8; PAYLOAD],
    /// 0 (low) to 3 (critical).
    pub priority: u8,
    /// When, in milliseconds, wrapping.
    pub tick: u16,
}

impl Event {
    /// An event with the first [`PAYLOAD`] bytes of a payload, filled up with zero.
    #[inline]
    #[must_use]
    pub fn new(payload: &[u8], priority: u8, tick: u16) -> Self {
        let mut kept = [0; PAYLOAD];
        let length = payload.len().min(PAYLOAD);
        kept[..length].copy_from_slice(&payload[..length]);
        Self { payload: kept, priority, tick }
    }

    #[inline]
    fn mark(&self) -> Mark {
        Mark { priority: self.priority, compressed: looks_compressed(&self.payload), tick: self.tick }
    }
}

/// Layout of an array of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// Number of endpoints.
    pub endpoints: usize,
    /// Bounds of each.
    pub limits: Limits,
    /// Each on cache lines of its own.
    pub padded: bool,
    /// Payloads are kept.
    pub store: bool,
}

/// Counters of one thread, kept by each for itself: a shared counter would be the bottleneck it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Events let in.
    pub accepted: u64,
    /// Refused because there was no room, those that opened a breaker included.
    pub full: u64,
    /// Refused by an open breaker.
    pub open: u64,
    /// Times a breaker opened.
    pub trips: u64,
    /// Events let in that look compressed.
    pub compressed: u64,
    /// Events taken out.
    pub drained: u64,
    /// Compare-and-swap operations tried.
    pub cas_attempts: u64,
    /// Compare-and-swap operations that succeeded.
    pub cas_successes: u64,
    /// Locks taken.
    pub locks: u64,
    /// Locks that another thread held when they were wanted.
    pub contended: u64,
}

impl Tally {
    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.full += other.full;
        self.open += other.open;
        self.trips += other.trips;
        self.compressed += other.compressed;
        self.drained += other.drained;
        self.cas_attempts += other.cas_attempts;
        self.cas_successes += other.cas_successes;
        self.locks += other.locks;
        self.contended += other.contended;
    }

    /// Counts added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            accepted: self.accepted - earlier.accepted,
            full: self.full - earlier.full,
            open: self.open - earlier.open,
            trips: self.trips - earlier.trips,
            compressed: self.compressed - earlier.compressed,
            drained: self.drained - earlier.drained,
            cas_attempts: self.cas_attempts - earlier.cas_attempts,
            cas_successes: self.cas_successes - earlier.cas_successes,
            locks: self.locks - earlier.locks,
            contended: self.contended - earlier.contended,
        }
    }

    #[inline]
    fn count(&mut self, admitted: Admitted) {
        self.accepted += u64::from(admitted.accepted);
        self.full += u64::from(admitted.full);
        self.open += u64::from(admitted.open);
        self.trips += u64::from(admitted.trips);
        self.compressed += u64::from(admitted.compressed);
    }
}

/// Outcomes of one offer, by count.
#[derive(Clone, Copy, Default)]
struct Admitted {
    accepted: u32,
    full: u32,
    open: u32,
    trips: u32,
    compressed: u32,
}

impl Admitted {
    /// Offers events to an endpoint: the one body of all implementations.
    #[inline]
    fn offer(fields: &mut Fields, events: &[Event], limits: &Limits) -> Self {
        let mut admitted = Self::default();
        for event in events {
            let mark = event.mark();
            match fields.admit(mark, limits) {
                Outcome::Accepted => {
                    admitted.accepted += 1;
                    admitted.compressed += u32::from(mark.compressed);
                }
                Outcome::Full => admitted.full += 1,
                Outcome::Tripped => {
                    admitted.full += 1;
                    admitted.trips += 1;
                }
                Outcome::Open => admitted.open += 1,
            }
        }
        admitted
    }
}

/// Buffers of many endpoints, used by many threads.
pub trait EventBuffer: Sync {
    /// Offers events to one endpoint, in order and at once; answers how many of the first were accepted. (None after a
    /// refused one: nothing is taken out in between.)
    fn enqueue(&self, endpoint: usize, events: &[Event], tally: &mut Tally) -> usize;

    /// Takes up to `most` waiting events out, oldest first. With a store each payload goes to `sink`.
    fn drain(
        &self,
        endpoint: usize,
        most: u16,
        tally: &mut Tally,
        sink: &mut dyn FnMut([u8; PAYLOAD]),
    ) -> usize;

    /// The state of an endpoint.
    fn snapshot(&self, endpoint: usize) -> Fields;

    /// Asks for the state of an endpoint to be brought near, without waiting.
    fn prefetch(&self, endpoint: usize);

    /// Bytes of the state of an endpoint as laid out, and cache lines that an operation on it touches. The store apart.
    fn footprint(&self) -> (usize, usize);
}
