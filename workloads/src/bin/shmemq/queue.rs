//! The queue: a ring of elements of one size, never blocking: full and empty are answers.

mod locked;
mod spsc;

use serde::{Deserialize, Serialize};

pub use locked::Locked;
pub use spsc::Spsc;

use crate::locks::{Counters, Stop};

/// Size of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Most elements in it at a time.
    pub capacity: u64,
    /// Bytes of an element.
    pub size: usize,
}

impl Geometry {
    /// Bytes of all elements; none when that overflows.
    pub fn room(self) -> Option<usize> {
        usize::try_from(self.capacity).ok()?.checked_mul(self.size)
    }

    /// Offset of the element with this running number. The ring holds `capacity` of them: no overflow.
    #[inline]
    fn offset(self, index: u64) -> usize {
        (index % self.capacity) as usize * self.size
    }
}

/// Results of the attempts of one process on one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Elements put in.
    pub enqueued: u64,
    /// Attempts that found the queue full.
    pub full: u64,
    /// Elements taken out.
    pub dequeued: u64,
    /// Attempts that found the queue empty.
    pub empty: u64,
}

impl Attempts {
    /// All attempts, in vain or not.
    pub fn total(&self) -> u64 {
        self.enqueued + self.full + self.dequeued + self.empty
    }

    /// Adds those of another queue or process.
    pub fn add(&mut self, other: Self) {
        self.enqueued += other.enqueued;
        self.full += other.full;
        self.dequeued += other.dequeued;
        self.empty += other.empty;
    }
}

/// One process's end of a queue.
pub trait Queue {
    /// Puts an element in; false when the queue is full.
    fn try_enqueue(&mut self, element: &[u8]) -> Result<bool, Stop>;
    /// Takes an element out; false when the queue is empty.
    fn try_dequeue(&mut self, element: &mut [u8]) -> Result<bool, Stop>;
    /// Ends this process with SIGKILL while it holds the lock, to show what becomes of the others.
    fn crash(&mut self) -> Result<(), Stop>;
    /// Results of the attempts so far.
    fn attempts(&self) -> Attempts;
    /// Use of the lock so far; none without a lock.
    fn lock(&self) -> Option<LockUse<'_>>;
    /// Forgets what was counted: the warm-up is over.
    fn forget(&mut self);
}

/// The use of one lock by one process.
#[derive(Debug)]
pub struct LockUse<'a> {
    /// The private counters.
    pub counters: &'a Counters,
    /// The counters that mean something for this kind of lock.
    pub knows: crate::locks::Knows,
    /// The running mean in the mutex itself.
    pub running_mean: Option<i16>,
}

/// SIGKILL to ourselves.
fn die() {
    // Refused by no kernel: a process may always signal itself.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

#[cfg(test)]
mod tests;
