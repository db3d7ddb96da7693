//! Size of a ring, and the meaning of each word of its shared memory.

use std::fmt;
use std::str::FromStr;

use crate::contract::{Refusal, cannot};

/// A producer's way to reserve a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Compare-and-swap on the tail, repeated until it succeeds.
    Cas,
    /// One fetch-and-add on the tail; a slack of one batch per producer makes sure that the slot is free.
    FetchAdd,
    /// A process-shared robust mutex around everything.
    Mutex,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Cas, Self::FetchAdd, Self::Mutex];

    /// The name on the command line and in the truth.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cas => "cas",
            Self::FetchAdd => "fetch-add",
            Self::Mutex => "mutex",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| format!("`{text}` is none of cas, fetch-add, mutex"))
    }
}

/// Dimensions of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The producers' way to reserve a slot.
    pub kind: Kind,
    /// Slots, a power of two.
    pub slots: u64,
    /// Largest message in bytes.
    pub payload: usize,
    /// Most producers at a time; their ids are 0 to this.
    pub producers: u32,
    /// Most messages in one batch.
    pub batch: u32,
}

/// Most slots of a ring.
pub const MAX_SLOTS: u64 = 1 << 24;
/// Largest message of a ring in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Most producers of a ring.
pub const MAX_PRODUCERS: u32 = 4096;

impl Geometry {
    /// Messages that fit at a time: all slots, less the slack that `fetch-add` needs.
    #[must_use]
    pub fn usable(&self) -> u64 {
        match self.kind {
            Kind::FetchAdd => self.slots.saturating_sub(u64::from(self.producers) * u64::from(self.batch)),
            Kind::Cas | Kind::Mutex => self.slots,
        }
    }

    pub(super) fn layout(self) -> Result<Layout, Refusal> {
        let refuse = |cause: String, remedy: String| Err(cannot("size the ring", cause, remedy));
        if !self.slots.is_power_of_two() || self.slots < 2 || self.slots > MAX_SLOTS {
            let near = self.slots.clamp(2, MAX_SLOTS).next_power_of_two();
            return refuse(
                format!("{} slots are no power of two up to {MAX_SLOTS}", self.slots),
                format!("use {near}"),
            );
        }
        if self.payload == 0 || self.payload > MAX_PAYLOAD {
            let cause = format!("messages of {} bytes are not possible", self.payload);
            return refuse(cause, format!("use 1 to {MAX_PAYLOAD}"));
        }
        if self.producers == 0 || self.producers > MAX_PRODUCERS {
            let cause = format!("{} producers are not possible", self.producers);
            return refuse(cause, format!("use 1 to {MAX_PRODUCERS}"));
        }
        if self.batch == 0 || u64::from(self.batch) > self.usable() {
            let cause = format!(
                "a batch of {} does not fit the {} usable of {} slots",
                self.batch,
                self.usable(),
                self.slots
            );
            return refuse(cause, "use more slots, or smaller batches".into());
        }
        Ok(Layout::of(self))
    }
}

/// Marks the memory as a ring of this layout version.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"ptring\0\x01");

/// Words of the header, each group on a cache line of its own.
pub(super) mod word {
    pub const MAGIC: usize = 0;
    pub const KIND: usize = 1;
    pub const SLOTS: usize = 2;
    pub const PAYLOAD: usize = 3;
    pub const PRODUCERS: usize = 4;
    pub const BATCH: usize = 5;
    /// Next ticket to be reserved.
    pub const TAIL: usize = 8;
    /// Next ticket to be consumed.
    pub const HEAD: usize = 16;
    /// Slots given up because their producer died.
    pub const LOST: usize = 24;
    /// Locks taken over from a dead owner.
    pub const RECOVERED: usize = 25;
    pub const RECORDS: usize = 32;
}

/// Words of one producer's record: a cache line.
pub(super) mod record {
    /// Odd while the producer is inside a push.
    pub const ACTIVITY: usize = 0;
    /// Process that registered.
    #[cfg(not(loom))]
    pub const PID: usize = 1;
    /// Its start time, because pids are used again.
    #[cfg(not(loom))]
    pub const START: usize = 2;
    pub const WORDS: usize = 8;
}

/// Words of one slot; whole cache lines, so that neighbours do not disturb each other.
pub(super) mod slot {
    /// The slot's state: `ticket` is free for it, `ticket + 1` holds it.
    pub const SEQUENCE: usize = 0;
    /// Length in the low half, producer in the high half.
    pub const META: usize = 1;
    pub const PAYLOAD: usize = 2;
}

/// A checked geometry with its word offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub geometry: Geometry,
    pub slot_words: usize,
    pub slots_at: usize,
    /// Words of the ring; the caller's own words follow.
    pub words: usize,
}

impl Layout {
    fn of(geometry: Geometry) -> Self {
        let slot_words = (slot::PAYLOAD + geometry.payload.div_ceil(8)).next_multiple_of(8);
        let slots_at = word::RECORDS + geometry.producers as usize * record::WORDS;
        let words = slots_at + geometry.slots as usize * slot_words;
        Self { geometry, slot_words, slots_at, words }
    }

    pub fn record(&self, producer: u32) -> usize {
        word::RECORDS + producer as usize * record::WORDS
    }

    #[inline]
    pub fn slot(&self, ticket: u64) -> usize {
        self.slots_at + (ticket & (self.geometry.slots - 1)) as usize * self.slot_words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Geometry = Geometry { kind: Kind::FetchAdd, slots: 8, payload: 8, producers: 3, batch: 2 };

    #[test]
    fn slots_are_whole_lines_and_do_not_overlap() {
        let layout = Geometry { payload: 49, ..GOOD }.layout().unwrap();
        assert_eq!(layout.slot_words, 16);
        assert_eq!(layout.slot(1) - layout.slot(0), 16);
        assert_eq!(layout.slot(8), layout.slot(0));
        assert_eq!(layout.record(2) + record::WORDS, layout.slot(0));
        assert_eq!(layout.slot(7) + 16, layout.words);
    }

    #[test]
    fn impossible_sizes_are_refused_with_a_remedy() {
        for (bad, says) in [
            (Geometry { slots: 0, ..GOOD }, "use 2"),
            (Geometry { slots: 500, ..GOOD }, "use 512"),
            (Geometry { slots: 1 << 40, ..GOOD }, "use 16777216"),
            (Geometry { payload: 0, ..GOOD }, "use 1 to"),
            (Geometry { payload: 1 << 40, ..GOOD }, "use 1 to"),
            (Geometry { producers: 0, ..GOOD }, "use 1 to"),
            (Geometry { batch: 0, ..GOOD }, "use more slots"),
            (Geometry { producers: 4, ..GOOD }, "use more slots"),
        ] {
            let refusal = bad.layout().unwrap_err().to_string();
            assert!(refusal.starts_with("cannot size the ring: ") && refusal.contains(says), "{refusal}");
        }
        assert_eq!(GOOD.usable(), 2);
    }
}
