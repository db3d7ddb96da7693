//! The usual design: one atomic per value that other threads may read, and a mutex for the rest and for changes.
//!
//! Readers need no lock; writers take it, change the inner state, and publish each atomic. Every field has its own
//! storage, as in the design that the packed one set out to beat.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::fields::{Breaker, EVENTS_WRAP, Fields};
use super::locked::lock;
use super::{Admitted, Arrangement, Event, EventBuffer, PAYLOAD, Tally};

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    failures: u8,
    payloads: VecDeque<[u8; PAYLOAD]>,
}

#[derive(Debug, Default)]
struct Endpoint {
    events_processed: AtomicU64,
    buffer_size: AtomicUsize,
    last_event_time: AtomicU16,
    is_full: AtomicBool,
    compressed: AtomicBool,
    priority: AtomicU32,
    inner: Mutex<Inner>,
}

impl Endpoint {
    fn fields(&self, inner: &Inner) -> Fields {
        Fields {
            events: (self.events_processed.load(Relaxed) % EVENTS_WRAP) as u32,
            fill: self.buffer_size.load(Relaxed) as u16,
            tick: self.last_event_time.load(Relaxed),
            priority: self.priority.load(Relaxed) as u8,
            full: self.is_full.load(Relaxed),
            compressed: self.compressed.load(Relaxed),
            breaker: inner.breaker,
            failures: inner.failures,
        }
    }

    /// Under the lock: relaxed stores, for the lock orders them among writers and readers want no order.
    fn publish(&self, inner: &mut Inner, fields: &Fields, accepted: u64) {
        if accepted > 0 {
            self.events_processed.store(self.events_processed.load(Relaxed) + accepted, Relaxed);
        }
        self.buffer_size.store(usize::from(fields.fill), Relaxed);
        self.last_event_time.store(fields.tick, Relaxed);
        self.is_full.store(fields.full, Relaxed);
        self.compressed.store(fields.compressed, Relaxed);
        self.priority.store(u32::from(fields.priority), Relaxed);
        inner.breaker = fields.breaker;
        inner.failures = fields.failures;
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded(Endpoint);

#[derive(Debug)]
enum Endpoints {
    Padded(Vec<Padded>),
    Dense(Vec<Endpoint>),
}

/// See the module.
#[derive(Debug)]
pub struct Standard {
    arrangement: Arrangement,
    endpoints: Endpoints,
}

impl Standard {
    /// Makes empty buffers.
    #[must_use]
    pub fn new(arrangement: Arrangement) -> Self {
        let each = 0..arrangement.endpoints;
        let endpoints = if arrangement.padded {
            Endpoints::Padded(each.map(|_| Padded::default()).collect())
        } else {
            Endpoints::Dense(each.map(|_| Endpoint::default()).collect())
        };
        let standard = Self { arrangement, endpoints };
        if arrangement.store {
            for index in 0..arrangement.endpoints {
                let mut inner = lock(&standard.endpoint(index).inner, &mut Tally::default());
                inner.payloads.reserve_exact(usize::from(arrangement.limits.capacity));
            }
        }
        standard
    }

    #[inline]
    fn endpoint(&self, index: usize) -> &Endpoint {
        match &self.endpoints {
            Endpoints::Padded(endpoints) => &endpoints[index].0,
            Endpoints::Dense(endpoints) => &endpoints[index],
        }
    }
}

impl EventBuffer for Standard {
    #[inline]
    fn enqueue(&self, endpoint: usize, events: &[Event], tally: &mut Tally) -> usize {
        let endpoint = self.endpoint(endpoint);
        let mut inner = lock(&endpoint.inner, tally);
        let mut fields = endpoint.fields(&inner);
        let admitted = Admitted::offer(&mut fields, events, &self.arrangement.limits);
        let accepted = admitted.accepted as usize;
        endpoint.publish(&mut inner, &fields, accepted as u64);
        if self.arrangement.store {
            inner.payloads.extend(events[..accepted].iter().map(|event| event.payload));
        }
        drop(inner);
        tally.count(admitted);
        accepted
    }

    fn drain(
        &self,
        endpoint: usize,
        most: u16,
        tally: &mut Tally,
        sink: &mut dyn FnMut([u8; PAYLOAD]),
    ) -> usize {
        let endpoint = self.endpoint(endpoint);
        let mut inner = lock(&endpoint.inner, tally);
        let mut fields = endpoint.fields(&inner);
        let taken = usize::from(fields.take(most));
        endpoint.publish(&mut inner, &fields, 0);
        if self.arrangement.store {
            let payloads: Vec<_> = inner.payloads.drain(..taken).collect();
            drop(inner);
            payloads.into_iter().for_each(sink);
        }
        tally.drained += taken as u64;
        taken
    }

    fn snapshot(&self, endpoint: usize) -> Fields {
        let endpoint = self.endpoint(endpoint);
        let inner = lock(&endpoint.inner, &mut Tally::default());
        endpoint.fields(&inner)
    }

    #[inline]
    fn prefetch(&self, endpoint: usize) {
        crate::sys::prefetch::near(self.endpoint(endpoint));
    }

    fn footprint(&self) -> (usize, usize) {
        // Without a store the (empty) queue of payloads would not be there.
        let queue = size_of::<VecDeque<[u8; PAYLOAD]>>();
        let whole = size_of::<Endpoint>();
        let bytes = if self.arrangement.store { whole } else { whole - queue };
        (if self.arrangement.padded { bytes.next_multiple_of(64) } else { bytes }, bytes.div_ceil(64))
    }
}
