//! The packed implementation: everything of an endpoint in one atomic word, changed by compare-and-swap.
//!
//! With a store, accepting an event reserves the slot that its number names; the slot is published by a mark of its
//! own. Taking events out reads the oldest slots as far as they are published, and then moves the fill level: if the
//! word has changed meanwhile, what was read is thrown away. (It could have changed and look the same only if 2^24
//! events went through the endpoint between the two.)

use super::fields::{EVENTS_WRAP, Fields};
use super::lines::Lines;
use super::{Admitted, Arrangement, Event, EventBuffer, PAYLOAD, Tally};
use crate::atomic::{AcqRel, Acquire, AtomicU64, Relaxed, Release, SeqCst};

/// Kind of compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// May fail for no reason; one instruction less where a CPU has load-linked/store-conditional. The same on x86.
    Weak,
    /// Fails only when the word has changed.
    Strong,
}

/// In what order the compare-and-swap stands to other operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// After what the thread did before and before what it does after. Nothing here needs more.
    AcqRel,
    /// In one order that all threads see. The same instruction on x86.
    SeqCst,
}

/// Words of a slot: the mark, and the payload.
const SLOT: usize = 1 + PAYLOAD / 8;

/// See the module.
#[derive(Debug)]
pub struct Packed {
    arrangement: Arrangement,
    exchange: Exchange,
    order: Order,
    states: Lines,
    slots: Lines,
}

impl Packed {
    /// Makes empty buffers.
    #[must_use]
    pub fn new(arrangement: Arrangement, exchange: Exchange, order: Order) -> Self {
        let Arrangement { endpoints, limits, padded, store } = arrangement;
        let slots = if store { endpoints * usize::from(limits.capacity) * SLOT } else { 0 };
        let (states, slots) = (Lines::new(endpoints, padded), Lines::new(slots, false));
        Self { arrangement, exchange, order, states, slots }
    }

    #[inline]
    fn exchange(&self, word: &AtomicU64, current: u64, next: u64, tally: &mut Tally) -> Result<(), u64> {
        tally.cas_attempts += 1;
        // Each with its orders written out: given as a value they would be chosen anew in every call.
        let outcome = match (self.exchange, self.order) {
            (Exchange::Weak, Order::AcqRel) => word.compare_exchange_weak(current, next, AcqRel, Acquire),
            (Exchange::Weak, Order::SeqCst) => word.compare_exchange_weak(current, next, SeqCst, Acquire),
            (Exchange::Strong, Order::AcqRel) => word.compare_exchange(current, next, AcqRel, Acquire),
            (Exchange::Strong, Order::SeqCst) => word.compare_exchange(current, next, SeqCst, Acquire),
        };
        outcome?;
        tally.cas_successes += 1;
        Ok(())
    }

    /// Index of the first word of the slot of an event.
    #[inline]
    fn slot(&self, endpoint: usize, event: u32) -> usize {
        let capacity = usize::from(self.arrangement.limits.capacity);
        (endpoint * capacity + (event as usize & (capacity - 1))) * SLOT
    }

    /// The mark of a published event; never 0, which stands for a slot not yet used.
    #[inline]
    fn published(event: u32) -> u64 {
        u64::from(event) + 1
    }

    fn store(&self, endpoint: usize, first: u32, events: &[Event]) {
        for (event, number) in events.iter().zip(u64::from(first)..) {
            let number = (number % EVENTS_WRAP) as u32;
            let slot = self.slot(endpoint, number);
            let (words, _) = event.payload.as_chunks::<8>();
            for (nth, word) in words.iter().enumerate() {
                self.slots.word(slot + 1 + nth).store(u64::from_le_bytes(*word), Relaxed);
            }
            self.slots.word(slot).store(Self::published(number), Release);
        }
    }

    /// Reads the oldest `most` waiting payloads, as far as they are published.
    fn read(&self, endpoint: usize, fields: &Fields, most: u16, out: &mut Vec<[u8; PAYLOAD]>) {
        out.clear();
        for nth in 0..u64::from(fields.fill.min(most)) {
            let number = ((u64::from(fields.oldest()) + nth) % EVENTS_WRAP) as u32;
            let slot = self.slot(endpoint, number);
            if self.slots.word(slot).load(Acquire) != Self::published(number) {
                break;
            }
            let mut bytes = [0; PAYLOAD];
            for (nth, chunk) in bytes.chunks_exact_mut(8).enumerate() {
                chunk.copy_from_slice(&self.slots.word(slot + 1 + nth).load(Relaxed).to_le_bytes());
            }
            out.push(bytes);
        }
    }
}

impl EventBuffer for Packed {
    #[inline]
    fn enqueue(&self, endpoint: usize, events: &[Event], tally: &mut Tally) -> usize {
        let word = self.states.word(endpoint);
        let mut current = word.load(Acquire);
        loop {
            let before = Fields::unpack(current);
            let mut fields = before;
            let admitted = Admitted::offer(&mut fields, events, &self.arrangement.limits);
            let next = fields.pack();
            // Refused by an open breaker: there is nothing to write.
            let outcome = if next == current { Ok(()) } else { self.exchange(word, current, next, tally) };
            match outcome {
                Ok(()) => {
                    tally.count(admitted);
                    let accepted = admitted.accepted as usize;
                    if self.arrangement.store {
                        self.store(endpoint, before.events, &events[..accepted]);
                    }
                    return accepted;
                }
                Err(now) => current = now,
            }
        }
    }

    fn drain(
        &self,
        endpoint: usize,
        most: u16,
        tally: &mut Tally,
        sink: &mut dyn FnMut([u8; PAYLOAD]),
    ) -> usize {
        let word = self.states.word(endpoint);
        let mut current = word.load(Acquire);
        let mut read = Vec::new();
        loop {
            let mut fields = Fields::unpack(current);
            let most = if self.arrangement.store {
                self.read(endpoint, &fields, most, &mut read);
                read.len() as u16
            } else {
                most
            };
            let taken = fields.take(most);
            if taken == 0 {
                return 0;
            }
            match self.exchange(word, current, fields.pack(), tally) {
                Ok(()) => {
                    tally.drained += u64::from(taken);
                    read.drain(..).for_each(sink);
                    return usize::from(taken);
                }
                Err(now) => current = now,
            }
        }
    }

    fn snapshot(&self, endpoint: usize) -> Fields {
        Fields::unpack(self.states.word(endpoint).load(Acquire))
    }

    #[inline]
    fn prefetch(&self, endpoint: usize) {
        #[cfg(not(loom))]
        crate::sys::prefetch::near(self.states.word(endpoint));
        #[cfg(loom)]
        let _ = endpoint;
    }

    fn footprint(&self) -> (usize, usize) {
        (self.states.stride(), 1)
    }
}
