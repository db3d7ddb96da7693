//! Waiting ends: a full or empty ring puts its user to sleep on a futex instead of turning in a loop.
//!
//! One cell per direction. A waiter sets it, looks once more, and sleeps while it is set; the side that makes room (or
//! brings data) clears it and wakes. A waiter that comes too late finds the cell changed and does not sleep. Every
//! sleep has an end, because a peer can die between its step and its wake.

use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::thread::futex;

use super::area::Area;
use super::consumer::{Consumer, Popped, Stall};
use super::producer::{Producer, PushError};
use super::shared::SharedRing;

/// Longest single sleep: how late a stop, a time-out or a death is noticed.
const NAP: Duration = Duration::from_millis(20);

/// A producer that can wait for room.
#[derive(Debug)]
pub struct BlockingProducer(Producer);

impl BlockingProducer {
    /// Every producer of a ring with a [`BlockingConsumer`] must be of this kind: it wakes the consumer.
    #[must_use]
    pub fn new(producer: Producer) -> Self {
        Self(producer)
    }

    /// Pushes if there is room.
    ///
    /// # Errors
    ///
    /// See [`PushError`].
    #[inline]
    pub fn try_push(&mut self, message: &[u8]) -> Result<(), PushError> {
        self.try_push_batch(message, message.len().max(1))
    }

    /// Pushes several messages if there is room for all: see [`Producer::try_push_batch`].
    ///
    /// # Errors
    ///
    /// See [`PushError`].
    #[inline]
    pub fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError> {
        if messages.is_empty() {
            self.0.try_push(messages)?;
        } else {
            self.0.try_push_batch(messages, size)?;
        }
        wake(SharedRing::data_cell(&self.0.area));
        Ok(())
    }

    /// Pushes, waiting for room up to `limit`.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] when there was still none; see [`PushError`].
    pub fn push(&mut self, message: &[u8], limit: Duration) -> Result<(), PushError> {
        let until = Instant::now() + limit;
        loop {
            match self.try_push(message) {
                Err(PushError::Full) => {}
                outcome => return outcome,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PushError::Full);
            }
            self.wait_for_room(left);
        }
    }

    /// Sleeps until the consumer has made room, at most `limit` and never long; may return early. Try again after.
    pub fn wait_for_room(&mut self, limit: Duration) {
        let area = &self.0.area;
        sleep_while(SharedRing::room_cell(area), limit, || area.backlog() > low_water(area));
    }

    /// The producer without the waiting.
    pub fn inner(&mut self) -> &mut Producer {
        &mut self.0
    }
}

/// A consumer that can wait for messages.
#[derive(Debug)]
pub struct BlockingConsumer(Consumer);

impl BlockingConsumer {
    /// Every producer of the ring must be a [`BlockingProducer`].
    #[must_use]
    pub fn new(consumer: Consumer) -> Self {
        Self(consumer)
    }

    /// Receives the next message if there is one.
    #[inline]
    pub fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped {
        let popped = self.0.try_pop(out);
        let room = SharedRing::room_cell(&self.0.area);
        if room.load(Ordering::Relaxed) != 0 && self.0.area.backlog() <= low_water(&self.0.area) {
            wake(room);
        }
        popped
    }

    /// Receives the next message, waiting for it up to `limit`.
    pub fn pop(&mut self, out: &mut Vec<u8>, limit: Duration) -> Popped {
        let until = Instant::now() + limit;
        loop {
            let popped = self.try_pop(out);
            let left = until.saturating_duration_since(Instant::now());
            if matches!(popped, Popped::Message(_) | Popped::Broken) || left.is_zero() {
                return popped;
            }
            self.wait_for_data(left);
        }
    }

    /// Sleeps until a producer has pushed, at most `limit` and never long; may return early. Try again after.
    pub fn wait_for_data(&mut self, limit: Duration) {
        sleep_while(SharedRing::data_cell(&self.0.area), limit, || self.0.next_is_missing());
    }

    /// Finds out which producer holds up the ring; see [`Consumer::look_at_stall`].
    pub fn look_at_stall(&mut self, alive: impl Fn(u32) -> bool) -> Stall {
        self.0.look_at_stall(alive)
    }

    /// The consumer without the waiting.
    pub fn inner(&mut self) -> &mut Consumer {
        &mut self.0
    }
}

/// Sleeping producers are woken at this backlog, not for every slot: a wake costs a system call. Where one finds the
/// ring too full for its batch, the backlog is above.
#[inline]
fn low_water(area: &Area) -> u64 {
    let geometry = &area.layout.geometry;
    (geometry.usable() / 2).min(geometry.usable() - u64::from(geometry.batch))
}

fn sleep_while(cell: &AtomicU32, limit: Duration, still: impl Fn() -> bool) {
    cell.store(1, Ordering::SeqCst);
    // Between the cell and the look, as the waker has one between its step and the cell: one of the two sees the other.
    fence(Ordering::SeqCst);
    if !still() {
        return;
    }
    let nap = NAP.min(limit);
    let timeout = futex::Timespec { tv_sec: 0, tv_nsec: i64::from(nap.subsec_nanos()) };
    // Woken, too late, timed out or interrupted: in every case the caller looks again.
    let _ = futex::wait(cell, futex::Flags::empty(), 1, Some(&timeout));
}

#[inline]
fn wake(cell: &AtomicU32) {
    fence(Ordering::SeqCst);
    if cell.load(Ordering::Relaxed) != 0 {
        cell.store(0, Ordering::SeqCst);
        // A ring without a waiter needs no wake.
        let _ = futex::wake(cell, futex::Flags::empty(), i32::MAX.unsigned_abs());
    }
}
