//! The interface that all queues have in common, so that one program can drive each of them.

use std::time::Duration;

use super::blocking::{BlockingConsumer, BlockingProducer};
use super::consumer::{Consumer, Popped, Stall};
use super::producer::{Producer, PushError};

/// A sending end.
pub trait Push {
    /// Pushes messages of `size` bytes each, lying one behind the other: all of them, in order, or none.
    ///
    /// # Errors
    ///
    /// See [`PushError`].
    fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError>;

    /// Sleeps until there may be room, at most `limit`; false when this queue cannot and the caller has to pause.
    fn wait_for_room(&mut self, _limit: Duration) -> bool {
        false
    }

    /// See [`Producer::abandon`]; a queue of one process has no use for it.
    ///
    /// # Errors
    ///
    /// See [`PushError`].
    fn abandon(&mut self) -> Result<(), PushError> {
        Err(PushError::Broken)
    }
}

/// A receiving end.
pub trait Pop {
    /// Receives the next message into `out`, if there is one.
    fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped;

    /// Sleeps until there may be a message, at most `limit`; false when this queue cannot and the caller has to pause.
    fn wait_for_data(&mut self, _limit: Duration) -> bool {
        false
    }

    /// See [`Consumer::look_at_stall`]; a queue of one process has no deaths.
    fn look_at_stall(&mut self, _alive: &dyn Fn(u32) -> bool) -> Stall {
        Stall::None
    }

    /// Locks taken over from a producer that died holding them.
    fn locks_recovered(&self) -> u64 {
        0
    }
}

impl Push for Producer {
    #[inline]
    fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError> {
        Self::try_push_batch(self, messages, size)
    }

    fn abandon(&mut self) -> Result<(), PushError> {
        Self::abandon(self)
    }
}

impl Push for BlockingProducer {
    fn abandon(&mut self) -> Result<(), PushError> {
        self.inner().abandon()
    }

    #[inline]
    fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError> {
        Self::try_push_batch(self, messages, size)
    }

    fn wait_for_room(&mut self, limit: Duration) -> bool {
        Self::wait_for_room(self, limit);
        true
    }
}

impl Pop for Consumer {
    #[inline]
    fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped {
        Self::try_pop(self, out)
    }

    fn look_at_stall(&mut self, alive: &dyn Fn(u32) -> bool) -> Stall {
        Self::look_at_stall(self, alive)
    }

    fn locks_recovered(&self) -> u64 {
        Self::locks_recovered(self)
    }
}

impl Pop for BlockingConsumer {
    fn look_at_stall(&mut self, alive: &dyn Fn(u32) -> bool) -> Stall {
        Self::look_at_stall(self, alive)
    }

    #[inline]
    fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped {
        Self::try_pop(self, out)
    }

    fn wait_for_data(&mut self, limit: Duration) -> bool {
        Self::wait_for_data(self, limit);
        true
    }
}
