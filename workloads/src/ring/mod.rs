//! Rings in shared memory: many producers, one consumer, fixed slots, messages of bytes.
//!
//! ```text
//! let (ring, file) = SharedRing::create(geometry, 0)?;      // other processes: SharedRing::attach(&file)
//! let mut producer = ring.producer(0)?;                     // one id per producer
//! producer.try_push(b"message")?;                           // or try_push_batch; Full when there is no room
//! let mut consumer = ring.consumer();
//! match consumer.try_pop(&mut buffer) { Popped::Message(id) => .., Popped::Empty => .., .. }
//! ```
//!
//! Every message arrives exactly once, and those of one producer in order. A slot's sequence word says whose turn it
//! is: `ticket` means free for that ticket, `ticket + 1` published; the consumer adds the number of slots. The kinds
//! differ in how a producer gets its ticket ([`Kind`]). [`BlockingProducer`] and [`BlockingConsumer`] sleep on a futex
//! instead of returning full or empty-handed. A producer killed between reserving and publishing stalls the ring;
//! [`Consumer::look_at_stall`] proves its death, gives the slot up, and counts it.

mod area;
mod consumer;
mod geometry;
mod producer;

#[cfg(not(loom))]
mod alive;
#[cfg(not(loom))]
mod blocking;
#[cfg(not(loom))]
mod ends;
#[cfg(not(loom))]
mod inproc;
#[cfg(not(loom))]
mod locked;
#[cfg(not(loom))]
mod shared;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use consumer::{Consumer, Popped, Stall};
pub use geometry::{Geometry, Kind, MAX_PAYLOAD, MAX_PRODUCERS, MAX_SLOTS};
pub use producer::{Producer, PushError};

#[cfg(not(loom))]
pub use alive::start_time;
#[cfg(not(loom))]
pub use blocking::{BlockingConsumer, BlockingProducer};
#[cfg(not(loom))]
pub use ends::{Pop, Push};
#[cfg(not(loom))]
pub use inproc::CrossbeamQueue;
#[cfg(not(loom))]
pub use shared::SharedRing;
