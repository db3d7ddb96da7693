//! The memory of a ring: typed access to its words, in shared memory or, under loom, on the heap.

use super::geometry::{Layout, MAGIC, record, slot, word};
use crate::atomic::{AtomicU64, Relaxed, Release};

#[cfg(not(loom))]
pub(super) type Backing = crate::sys::shm::SharedMap;

/// Under loom the words live on the heap of the model.
#[cfg(loom)]
#[derive(Debug)]
pub(super) struct Backing(pub Vec<AtomicU64>);

#[cfg(loom)]
impl Backing {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }
}

#[derive(Debug)]
pub(super) struct Area {
    pub backing: Backing,
    pub layout: Layout,
}

impl Area {
    /// Writes the header and frees every slot for its first ticket.
    pub fn format(&self) {
        let geometry = self.layout.geometry;
        for ticket in 0..geometry.slots {
            self.word(self.layout.slot(ticket) + slot::SEQUENCE).store(ticket, Relaxed);
        }
        self.word(word::KIND).store(geometry.kind as u64, Relaxed);
        self.word(word::SLOTS).store(geometry.slots, Relaxed);
        self.word(word::PAYLOAD).store(geometry.payload as u64, Relaxed);
        self.word(word::PRODUCERS).store(u64::from(geometry.producers), Relaxed);
        self.word(word::BATCH).store(u64::from(geometry.batch), Relaxed);
        // Last: who sees the mark sees the rest.
        self.word(word::MAGIC).store(MAGIC, Release);
    }

    #[inline]
    pub fn word(&self, index: usize) -> &AtomicU64 {
        &self.backing.words()[index]
    }

    #[inline]
    pub fn sequence(&self, ticket: u64) -> &AtomicU64 {
        self.word(self.layout.slot(ticket) + slot::SEQUENCE)
    }

    #[inline]
    pub fn activity(&self, producer: u32) -> &AtomicU64 {
        self.word(self.layout.record(producer) + record::ACTIVITY)
    }

    /// Pid and start time of a registered producer; pid 0 when none has registered.
    #[cfg(not(loom))]
    pub fn owner(&self, producer: u32) -> (u64, u64) {
        let at = self.layout.record(producer);
        (
            self.word(at + record::PID).load(crate::atomic::Acquire),
            self.word(at + record::START).load(Relaxed),
        )
    }

    /// Messages reserved and not yet received.
    pub fn backlog(&self) -> u64 {
        let head = self.word(word::HEAD).load(Relaxed);
        self.word(word::TAIL).load(Relaxed).saturating_sub(head)
    }

    /// Writes a message into a slot that belongs to the caller. Plain copies: publishing comes after.
    #[inline]
    pub fn write(&self, ticket: u64, producer: u32, message: &[u8]) {
        let at = self.layout.slot(ticket);
        let words = &self.backing.words()[at..at + self.layout.slot_words];
        words[slot::META].store(u64::from(producer) << 32 | message.len() as u64, Relaxed);
        let (whole, rest) = message.as_chunks::<8>();
        for (word, bytes) in words[slot::PAYLOAD..].iter().zip(whole) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        if !rest.is_empty() {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            words[slot::PAYLOAD + whole.len()].store(u64::from_le_bytes(bytes), Relaxed);
        }
    }

    /// Reads a published message; answers its producer.
    #[inline]
    pub fn read(&self, ticket: u64, out: &mut Vec<u8>) -> u32 {
        let at = self.layout.slot(ticket);
        let words = &self.backing.words()[at..at + self.layout.slot_words];
        let meta = words[slot::META].load(Relaxed);
        // Never beyond the slot, even if a broken peer wrote a larger length.
        let length = (meta as u32 as usize).min(self.layout.geometry.payload);
        out.clear();
        for word in &words[slot::PAYLOAD..slot::PAYLOAD + length.div_ceil(8)] {
            out.extend_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        out.truncate(length);
        (meta >> 32) as u32
    }
}
