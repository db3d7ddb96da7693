//! The receiving end of a ring, and what it does about a producer that died inside a push.

use std::sync::Arc;

use super::area::Area;
use super::geometry::{Kind, word};
use crate::atomic::{Acquire, Relaxed, Release, SeqCst};

/// Result of an attempt to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// A message of this producer, now in the caller's buffer.
    Message(u32),
    /// Nothing to receive.
    Empty,
    /// The next slot is reserved and not yet published. Normal for a moment; if it lasts, ask
    /// [`Consumer::look_at_stall`].
    Pending,
    /// The mutex of the ring is beyond repair.
    Broken,
}

/// Reason for a ring that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stall {
    /// It does not (any more).
    None,
    /// One of these living producers is inside a push.
    Waiting(Vec<u32>),
    /// The slot's producer, one of these, died before publishing: the slot was given up and counted.
    GivenUp {
        /// The dead producers it can have been: one, unless several died inside a push.
        suspects: Vec<u32>,
    },
}

/// The one consumer.
#[derive(Debug)]
pub struct Consumer {
    pub(super) area: Arc<Area>,
    pub(super) head: u64,
    suspicion: Option<Suspicion>,
}

/// A stalled ticket, and how far every producer was when the stall was noticed.
#[derive(Debug)]
struct Suspicion {
    ticket: u64,
    activity: Vec<u64>,
}

impl Consumer {
    /// Goes on where the last consumer stopped.
    pub(super) fn new(area: Arc<Area>) -> Self {
        let head = area.word(word::HEAD).load(Acquire);
        Self { area, head, suspicion: None }
    }

    /// Receives the next message into `out`, if there is one.
    #[inline]
    pub fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped {
        #[cfg(not(loom))]
        if self.area.layout.geometry.kind == Kind::Mutex {
            return self.pop_locked(out);
        }
        if self.area.sequence(self.head).load(Acquire) != self.head + 1 {
            let reserved = self.area.word(word::TAIL).load(Acquire) > self.head;
            return if reserved { Popped::Pending } else { Popped::Empty };
        }
        let producer = self.area.read(self.head, out);
        self.free_head();
        Popped::Message(producer)
    }

    /// Frees the slot for its next lap; the head after it, for `fetch-add` trusts the head.
    #[inline]
    fn free_head(&mut self) {
        let slots = self.area.layout.geometry.slots;
        self.area.sequence(self.head).store(self.head + slots, Release);
        self.head += 1;
        self.area.word(word::HEAD).store(self.head, SeqCst);
    }

    /// Slots given up so far because their producer died, over all consumers of this ring.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.area.word(word::LOST).load(Relaxed)
    }

    /// Locks taken over from a producer that died holding them.
    #[must_use]
    pub fn locks_recovered(&self) -> u64 {
        self.area.word(word::RECOVERED).load(Relaxed)
    }

    /// Messages reserved and not yet received.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.area.backlog()
    }

    /// Finds out who holds up the ring; call again and again while [`Popped::Pending`] lasts.
    ///
    /// The owner of a slot is not written anywhere at the moment of its reservation. But a producer that was outside of
    /// any push after the stall was noticed cannot own the slot, for it publishes before it leaves. When that clears
    /// all the living, the owner is dead: no process will ever write there again, and the slot can be given up.
    pub fn look_at_stall(&mut self, alive: impl Fn(u32) -> bool) -> Stall {
        let producers = 0..self.area.layout.geometry.producers;
        if !self.stalled() {
            self.suspicion = None;
            return Stall::None;
        }
        let suspicion = match self.suspicion.take() {
            Some(suspicion) if suspicion.ticket == self.head => suspicion,
            _ => {
                let activity = producers.clone().map(|id| self.area.activity(id).load(Acquire)).collect();
                Suspicion { ticket: self.head, activity }
            }
        };
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for (id, then) in producers.zip(&suspicion.activity) {
            if then.is_multiple_of(2) {
                continue;
            }
            // Dead first, progress second: what a process does it does before it is dead.
            let dies = !alive(id);
            if self.area.activity(id).load(Acquire) == *then {
                if dies { dead.push(id) } else { living.push(id) }
            }
        }
        if !living.is_empty() || dead.is_empty() {
            self.suspicion = Some(suspicion);
            return Stall::Waiting(living);
        }
        // Published after all, before its owner went on.
        if !self.stalled() {
            return Stall::None;
        }
        self.area.word(word::LOST).fetch_add(1, Relaxed);
        self.free_head();
        Stall::GivenUp { suspects: dead }
    }

    /// True when there is nothing to receive now.
    #[cfg(not(loom))]
    pub(super) fn next_is_missing(&self) -> bool {
        if self.area.layout.geometry.kind == Kind::Mutex {
            return self.area.word(word::TAIL).load(Acquire) == self.head;
        }
        self.area.sequence(self.head).load(Acquire) != self.head + 1
    }

    fn stalled(&self) -> bool {
        self.area.layout.geometry.kind != Kind::Mutex
            && self.area.word(word::TAIL).load(Acquire) > self.head
            && self.area.sequence(self.head).load(Acquire) != self.head + 1
    }
}
