//! The sending end of a ring.

use std::sync::Arc;

use super::area::Area;
use super::geometry::{Kind, word};
use crate::atomic::{AcqRel, Acquire, Relaxed, Release, SeqCst, yield_now};

/// Reason for a message that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// No room now; nothing was written.
    Full,
    /// Longer than the ring's slots, or more messages than its largest batch.
    TooLong,
    /// The mutex of the ring is beyond repair.
    Broken,
}

impl std::fmt::Display for PushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "the ring is full",
            Self::TooLong => "the message is longer than a slot, or the batch larger than the ring allows",
            Self::Broken => "the lock of the ring is beyond repair",
        })
    }
}

impl std::error::Error for PushError {}

/// One producer; each id belongs to one process (or thread) at a time.
#[derive(Debug)]
pub struct Producer {
    pub(super) area: Arc<Area>,
    pub(super) id: u32,
    /// The head as last read: reading it anew for every push would drag the consumer's line here.
    pub(super) head_seen: u64,
}

impl Producer {
    /// The id this producer registered under.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Pushes one message, never waiting for room.
    ///
    /// # Errors
    ///
    /// See [`PushError`]; nothing was written then.
    #[inline]
    pub fn try_push(&mut self, message: &[u8]) -> Result<(), PushError> {
        self.push(message, message.len(), 1)
    }

    /// Pushes several messages of `size` bytes each, lying one behind the other: all, in order, or none.
    ///
    /// # Errors
    ///
    /// See [`PushError`]; nothing was written then.
    pub fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError> {
        if messages.is_empty() {
            return Ok(());
        }
        let count = messages.len().checked_div(size).ok_or(PushError::TooLong)?;
        self.push(messages, size, count as u64)
    }

    #[inline]
    fn push(&mut self, messages: &[u8], size: usize, count: u64) -> Result<(), PushError> {
        let geometry = &self.area.layout.geometry;
        if size > geometry.payload || count > u64::from(geometry.batch) {
            return Err(PushError::TooLong);
        }
        #[cfg(not(loom))]
        if geometry.kind == Kind::Mutex {
            return self.push_locked(messages, size, count);
        }
        self.enter();
        let outcome = self.reserve(count);
        if let Ok(first) = outcome {
            self.publish(first, messages, size, count);
        }
        self.leave();
        outcome.map(|_| ())
    }

    /// From here on the consumer may find a slot of this producer reserved but not published.
    #[inline]
    pub(super) fn enter(&self) {
        let activity = self.area.activity(self.id);
        // Visible before the reservation, because that is a releasing write.
        activity.store(activity.load(Relaxed) | 1, Relaxed);
    }

    /// Everything reserved is published.
    #[inline]
    pub(super) fn leave(&self) {
        let activity = self.area.activity(self.id);
        activity.store((activity.load(Relaxed) | 1) + 1, Release);
    }

    #[inline]
    pub(super) fn reserve(&mut self, count: u64) -> Result<u64, PushError> {
        if self.area.layout.geometry.kind == Kind::Cas {
            self.reserve_by_cas(count)
        } else {
            self.reserve_by_fetch_add(count)
        }
    }

    #[inline]
    fn reserve_by_cas(&self, count: u64) -> Result<u64, PushError> {
        let tail = self.area.word(word::TAIL);
        let mut first = tail.load(Relaxed);
        loop {
            // Slots are freed in order: when the last one of the batch is free, all of them are.
            let last = first + count - 1;
            let state = self.area.sequence(last).load(Acquire);
            if state == last {
                match tail.compare_exchange_weak(first, first + count, AcqRel, Relaxed) {
                    Ok(_) => return Ok(first),
                    Err(now) => first = now,
                }
            } else if state < last {
                return Err(PushError::Full);
            } else {
                // Another producer was faster.
                first = tail.load(Relaxed);
            }
        }
    }

    /// The check lets at most one batch per producer through too many, and the geometry keeps that many slots free.
    /// (Take the last check before any moment: only reservations checked earlier can still follow it, one per
    /// producer.) The head is read before the tail, or a late head would hide an old tail.
    #[inline]
    fn reserve_by_fetch_add(&mut self, count: u64) -> Result<u64, PushError> {
        let (tail, usable) = (self.area.word(word::TAIL), self.area.layout.geometry.usable());
        if tail.load(SeqCst) + count > self.head_seen + usable {
            self.head_seen = self.area.word(word::HEAD).load(SeqCst);
            if tail.load(SeqCst) + count > self.head_seen + usable {
                return Err(PushError::Full);
            }
        }
        let first = tail.fetch_add(count, SeqCst);
        // Free already, by the argument above; but what the hardware promises is checked, not believed.
        while self.area.sequence(first + count - 1).load(Acquire) != first + count - 1 {
            yield_now();
        }
        Ok(first)
    }

    #[inline]
    pub(super) fn publish(&self, first: u64, messages: &[u8], size: usize, count: u64) {
        for nth in 0..count {
            let (from, ticket) = (nth as usize * size, first + nth);
            self.area.write(ticket, self.id, &messages[from..from + size]);
            self.area.sequence(ticket).store(ticket + 1, Release);
        }
    }

    /// Reserves a slot and never publishes it, or takes the lock and never returns it: what a producer killed inside
    /// a push leaves behind. The process must end right after; made for tests of the recovery.
    ///
    /// # Errors
    ///
    /// See [`PushError`].
    pub fn abandon(&mut self) -> Result<(), PushError> {
        #[cfg(not(loom))]
        if self.area.layout.geometry.kind == Kind::Mutex {
            return self.abandon_lock();
        }
        self.enter();
        self.reserve(1).map(|_| ())
    }
}
