//! The best that a mutex can do: plain fields behind one lock, side by side.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::fields::Fields;
use super::{Admitted, Arrangement, Event, EventBuffer, PAYLOAD, Tally};

#[derive(Debug, Default)]
struct Endpoint {
    fields: Fields,
    payloads: VecDeque<[u8; PAYLOAD]>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Padded(Mutex<Endpoint>);

#[derive(Debug)]
enum Endpoints {
    Padded(Vec<Padded>),
    Dense(Vec<Mutex<Endpoint>>),
}

/// See the module.
#[derive(Debug)]
pub struct Locked {
    arrangement: Arrangement,
    endpoints: Endpoints,
}

/// Takes a lock and counts whether another thread had it. No thread panics inside, so poison means nothing here.
#[inline]
pub(super) fn lock<'a, T>(mutex: &'a Mutex<T>, tally: &mut Tally) -> MutexGuard<'a, T> {
    tally.locks += 1;
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            tally.contended += 1;
            mutex.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

impl Locked {
    /// Makes empty buffers.
    #[must_use]
    pub fn new(arrangement: Arrangement) -> Self {
        let capacity = if arrangement.store { usize::from(arrangement.limits.capacity) } else { 0 };
        let empty = || {
            Mutex::new(Endpoint { fields: Fields::default(), payloads: VecDeque::with_capacity(capacity) })
        };
        let each = 0..arrangement.endpoints;
        let endpoints = if arrangement.padded {
            Endpoints::Padded(each.map(|_| Padded(empty())).collect())
        } else {
            Endpoints::Dense(each.map(|_| empty()).collect())
        };
        Self { arrangement, endpoints }
    }

    #[inline]
    fn endpoint(&self, index: usize) -> &Mutex<Endpoint> {
        match &self.endpoints {
            Endpoints::Padded(endpoints) => &endpoints[index].0,
            Endpoints::Dense(endpoints) => &endpoints[index],
        }
    }
}

impl EventBuffer for Locked {
    #[inline]
    fn enqueue(&self, endpoint: usize, events: &[Event], tally: &mut Tally) -> usize {
        let mut state = lock(self.endpoint(endpoint), tally);
        let admitted = Admitted::offer(&mut state.fields, events, &self.arrangement.limits);
        let accepted = admitted.accepted as usize;
        if self.arrangement.store {
            state.payloads.extend(events[..accepted].iter().map(|event| event.payload));
        }
        drop(state);
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
        let mut state = lock(self.endpoint(endpoint), tally);
        let taken = usize::from(state.fields.take(most));
        if self.arrangement.store {
            // Out of the lock first: the sink may take its time.
            let payloads: Vec<_> = state.payloads.drain(..taken).collect();
            drop(state);
            payloads.into_iter().for_each(sink);
        }
        tally.drained += taken as u64;
        taken
    }

    fn snapshot(&self, endpoint: usize) -> Fields {
        lock(self.endpoint(endpoint), &mut Tally::default()).fields
    }

    #[inline]
    fn prefetch(&self, endpoint: usize) {
        crate::sys::prefetch::near(self.endpoint(endpoint));
    }

    fn footprint(&self) -> (usize, usize) {
        // Without a store the (empty) queue of payloads would not be there.
        let queue = size_of::<VecDeque<[u8; PAYLOAD]>>();
        let whole = size_of::<Mutex<Endpoint>>();
        let bytes = if self.arrangement.store { whole } else { whole - queue };
        (if self.arrangement.padded { bytes.next_multiple_of(64) } else { bytes }, bytes.div_ceil(64))
    }
}
