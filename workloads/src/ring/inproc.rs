//! crossbeam's `ArrayQueue`, for comparison: the same algorithm family, but between threads of one process only.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::consumer::Popped;
use super::ends::{Pop, Push};
use super::producer::PushError;

/// Messages up to this size travel inside the queue, longer ones on the heap.
const INLINE: usize = 48;

#[derive(Debug)]
enum Bytes {
    Inline(u8, [u8; INLINE]),
    Heap(Box<[u8]>),
}

#[derive(Debug)]
struct Parcel {
    producer: u32,
    bytes: Bytes,
}

/// A queue between threads; a clone is another end of the same queue.
#[derive(Clone, Debug)]
pub struct CrossbeamQueue {
    queue: Arc<ArrayQueue<Parcel>>,
    producer: u32,
}

impl CrossbeamQueue {
    /// A queue of `slots`, at least 1.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { queue: Arc::new(ArrayQueue::new(slots.max(1))), producer: 0 }
    }

    /// The end of producer `id`.
    #[must_use]
    pub fn producer(&self, id: u32) -> Self {
        Self { queue: Arc::clone(&self.queue), producer: id }
    }
}

impl Push for CrossbeamQueue {
    /// crossbeam has no batch: the messages are pushed one by one, after a look whether all will fit. Room seen can be
    /// taken by another producer; then the rest waits for the consumer.
    #[inline]
    fn try_push_batch(&mut self, messages: &[u8], size: usize) -> Result<(), PushError> {
        let count = messages.len().checked_div(size).unwrap_or(0);
        if count > 1 && self.queue.capacity() - self.queue.len() < count {
            return Err(PushError::Full);
        }
        for (nth, message) in messages.chunks_exact(size.max(1)).enumerate() {
            let mut parcel = Parcel { producer: self.producer, bytes: pack(message) };
            while let Err(back) = self.queue.push(parcel) {
                if nth == 0 {
                    return Err(PushError::Full);
                }
                parcel = back;
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

impl Pop for CrossbeamQueue {
    #[inline]
    fn try_pop(&mut self, out: &mut Vec<u8>) -> Popped {
        let Some(parcel) = self.queue.pop() else { return Popped::Empty };
        out.clear();
        match parcel.bytes {
            Bytes::Inline(length, bytes) => out.extend_from_slice(&bytes[..usize::from(length)]),
            Bytes::Heap(bytes) => out.extend_from_slice(&bytes),
        }
        Popped::Message(parcel.producer)
    }
}

#[inline]
fn pack(message: &[u8]) -> Bytes {
    let mut bytes = [0; INLINE];
    match bytes.get_mut(..message.len()) {
        // At most 48, so the length fits a byte.
        Some(room) => {
            room.copy_from_slice(message);
            Bytes::Inline(message.len() as u8, bytes)
        }
        None => Bytes::Heap(message.into()),
    }
}
