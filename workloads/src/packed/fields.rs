//! State of an endpoint, and its change by an event: one definition for every implementation.
//!
//! | bits | field | bounds |
//! | --- | --- | --- |
//! | 24 | events accepted | wraps at 2^24; also the position in the ring of payloads |
//! | 12 | fill level | 0 to the capacity, which is at most 2048 |
//! | 16 | tick of the last accepted event, or of the opening | milliseconds, wraps after 65.5 s |
//! | 2 | highest priority since it was last empty | 0 to 3 |
//! | 1 | full | fill level = capacity |
//! | 1 | compressed data seen since it was last empty | |
//! | 2 | circuit breaker | closed, open, half open |
//! | 6 | refusals in a row | stops at 63 |

/// Bits and position of a field in the word.
#[derive(Clone, Copy)]
struct Bits {
    shift: u32,
    width: u32,
}

impl Bits {
    const fn after(before: Self, width: u32) -> Self {
        Self { shift: before.shift + before.width, width }
    }

    const fn max(self) -> u64 {
        (1 << self.width) - 1
    }

    #[inline]
    const fn get(self, word: u64) -> u64 {
        word >> self.shift & self.max()
    }

    #[inline]
    const fn put(self, value: u64) -> u64 {
        (value & self.max()) << self.shift
    }
}

const EVENTS: Bits = Bits { shift: 0, width: 24 };
const FILL: Bits = Bits::after(EVENTS, 12);
const TICK: Bits = Bits::after(FILL, 16);
const PRIORITY: Bits = Bits::after(TICK, 2);
const FULL: Bits = Bits::after(PRIORITY, 1);
const COMPRESSED: Bits = Bits::after(FULL, 1);
const BREAKER: Bits = Bits::after(COMPRESSED, 2);
const FAILURES: Bits = Bits::after(BREAKER, 6);
const _: () = assert!(FAILURES.shift + FAILURES.width == 64);

/// The event count is known modulo this.
pub const EVENTS_WRAP: u64 = 1 << EVENTS.width;
/// Largest capacity of an endpoint; a power of two, so that positions survive the wrap of the count.
pub const MAX_CAPACITY: u16 = 1 << (FILL.width - 1);
/// Most refusals in a row that are told apart.
pub const MAX_FAILURES: u8 = FAILURES.max() as u8;

/// State of the circuit breaker, which decides whether events are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// Events are accepted.
    #[default]
    Closed,
    /// None until the cool-down is over.
    Open,
    /// One was let in after the cool-down; the next decides.
    HalfOpen,
}

/// Bounds of every endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events that fit; a power of two up to [`MAX_CAPACITY`].
    pub capacity: u16,
    /// Refusals in a row that open the breaker; 1 to [`MAX_FAILURES`].
    pub threshold: u8,
    /// Ticks that it stays open.
    pub cooldown: u16,
}

/// Outcome of an offer of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored in the endpoint.
    Accepted,
    /// Refused for lack of room.
    Full,
    /// No room, and this refusal opened the breaker.
    Tripped,
    /// The breaker is open.
    Open,
}

/// Properties of an event besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// 0 (low) to 3 (critical).
    pub priority: u8,
    /// The payload looks compressed.
    pub compressed: bool,
    /// When, in milliseconds, wrapping.
    pub tick: u16,
}

/// The state of one endpoint, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Accepted so far, modulo [`EVENTS_WRAP`].
    pub events: u32,
    /// Events that wait in the endpoint.
    pub fill: u16,
    /// Of the last accepted event, or of the opening of the breaker.
    pub tick: u16,
    /// Highest waiting, since it was last empty.
    pub priority: u8,
    /// No more room.
    pub full: bool,
    /// Compressed data among the waiting, since it was last empty.
    pub compressed: bool,
    /// State of the circuit breaker.
    pub breaker: Breaker,
    /// Refusals in a row.
    pub failures: u8,
}

impl Fields {
    /// Everything in one word.
    #[inline]
    #[must_use]
    pub fn pack(&self) -> u64 {
        EVENTS.put(u64::from(self.events))
            | FILL.put(u64::from(self.fill))
            | TICK.put(u64::from(self.tick))
            | PRIORITY.put(u64::from(self.priority))
            | FULL.put(u64::from(self.full))
            | COMPRESSED.put(u64::from(self.compressed))
            | BREAKER.put(self.breaker as u64)
            | FAILURES.put(u64::from(self.failures))
    }

    /// The contrary of [`Self::pack`].
    #[inline]
    #[must_use]
    pub fn unpack(word: u64) -> Self {
        Self {
            events: EVENTS.get(word) as u32,
            fill: FILL.get(word) as u16,
            tick: TICK.get(word) as u16,
            priority: PRIORITY.get(word) as u8,
            full: FULL.get(word) != 0,
            compressed: COMPRESSED.get(word) != 0,
            breaker: match BREAKER.get(word) {
                0 => Breaker::Closed,
                1 => Breaker::Open,
                _ => Breaker::HalfOpen,
            },
            failures: FAILURES.get(word) as u8,
        }
    }

    /// Lets an event in, or not.
    #[inline]
    pub fn admit(&mut self, mark: Mark, limits: &Limits) -> Outcome {
        // An untouched breaker seems young again every 65.5 s: then it stays open for one more cool-down.
        if self.breaker == Breaker::Open && mark.tick.wrapping_sub(self.tick) < limits.cooldown {
            return Outcome::Open;
        }
        if self.fill >= limits.capacity {
            return self.refuse(mark, limits);
        }
        self.events = (self.events + 1) & EVENTS.max() as u32;
        self.fill += 1;
        self.full = self.fill == limits.capacity;
        self.tick = mark.tick;
        self.priority = self.priority.max(mark.priority & PRIORITY.max() as u8);
        self.compressed |= mark.compressed;
        self.failures = 0;
        self.breaker = match self.breaker {
            Breaker::Open => Breaker::HalfOpen,
            Breaker::HalfOpen | Breaker::Closed => Breaker::Closed,
        };
        Outcome::Accepted
    }

    fn refuse(&mut self, mark: Mark, limits: &Limits) -> Outcome {
        self.failures = (self.failures + 1).min(MAX_FAILURES);
        if self.breaker == Breaker::Closed && self.failures < limits.threshold {
            return Outcome::Full;
        }
        self.breaker = Breaker::Open;
        self.tick = mark.tick;
        Outcome::Tripped
    }

    /// Takes up to `most` waiting events out; answers how many.
    #[inline]
    pub fn take(&mut self, most: u16) -> u16 {
        let taken = self.fill.min(most);
        self.fill -= taken;
        if taken > 0 {
            self.full = false;
        }
        if self.fill == 0 {
            self.priority = 0;
            self.compressed = false;
        }
        taken
    }

    /// Number of the oldest waiting event, modulo [`EVENTS_WRAP`].
    #[inline]
    #[must_use]
    pub fn oldest(&self) -> u32 {
        self.events.wrapping_sub(u32::from(self.fill)) & EVENTS.max() as u32
    }
}

/// True when a payload starts like gzip, zlib, zstd, xz, bzip2 or LZ4.
#[inline]
#[must_use]
pub fn looks_compressed(payload: &[u8]) -> bool {
    matches!(
        payload,
        [0x1f, 0x8b, ..]
            | [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]
            | [0x28, 0xb5, 0x2f, 0xfd, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', ..]
            | [0x04, 0x22, 0x4d, 0x18, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { capacity: 4, threshold: 3, cooldown: 10 };

    fn at(tick: u16) -> Mark {
        Mark { priority: 1, compressed: false, tick }
    }

    #[test]
    fn every_word_round_trips() {
        let mut word = 1u64;
        for _ in 0..100_000 {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // The fourth value of the breaker does not occur.
            let word = if BREAKER.get(word) == 3 { word & !BREAKER.put(1) } else { word };
            assert_eq!(Fields::unpack(word).pack(), word);
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let most = Fields {
            events: EVENTS.max() as u32,
            fill: MAX_CAPACITY,
            tick: u16::MAX,
            priority: 3,
            full: true,
            compressed: true,
            breaker: Breaker::HalfOpen,
            failures: MAX_FAILURES,
        };
        assert_eq!(Fields::unpack(most.pack()), most);
    }

    #[test]
    fn filling_refusing_tripping_cooling_closing() {
        let mut fields = Fields::default();
        for _ in 0..4 {
            assert_eq!(fields.admit(at(1), &LIMITS), Outcome::Accepted);
        }
        assert!(fields.full && fields.fill == 4 && fields.events == 4 && fields.priority == 1);
        let refusals = [Outcome::Full, Outcome::Full, Outcome::Tripped, Outcome::Open];
        assert_eq!(refusals.map(|_| fields.admit(at(5), &LIMITS)), refusals);
        assert_eq!(fields.take(2), 2);
        assert_eq!(fields.admit(at(14), &LIMITS), Outcome::Open, "room does not close it, time does");
        assert_eq!(fields.admit(at(15), &LIMITS), Outcome::Accepted);
        assert_eq!(fields.breaker, Breaker::HalfOpen);
        assert_eq!(fields.admit(at(15), &LIMITS), Outcome::Accepted);
        assert_eq!((fields.breaker, fields.failures), (Breaker::Closed, 0));
    }

    #[test]
    fn one_refusal_opens_a_half_open_breaker_again() {
        let mut fields = Fields { breaker: Breaker::HalfOpen, fill: 4, full: true, ..Fields::default() };
        assert_eq!(fields.admit(at(20), &LIMITS), Outcome::Tripped);
        assert_eq!((fields.breaker, fields.tick), (Breaker::Open, 20));
    }

    #[test]
    fn counts_wrap_and_refusals_stop() {
        let mut fields = Fields { events: EVENTS.max() as u32, ..Fields::default() };
        assert_eq!(fields.admit(at(u16::MAX), &LIMITS), Outcome::Accepted);
        assert_eq!((fields.events, fields.oldest()), (0, EVENTS.max() as u32));
        let mut full = Fields { fill: 4, failures: MAX_FAILURES, ..Fields::default() };
        full.admit(at(0), &Limits { threshold: MAX_FAILURES, ..LIMITS });
        assert_eq!(full.failures, MAX_FAILURES);
        // The cool-down is counted across the wrap of the clock.
        let mut open = Fields { breaker: Breaker::Open, tick: u16::MAX - 2, ..Fields::default() };
        assert_eq!(open.admit(at(6), &LIMITS), Outcome::Open);
        assert_eq!(open.admit(at(7), &LIMITS), Outcome::Accepted);
    }

    #[test]
    fn emptying_forgets_what_was_waiting() {
        let mut fields = Fields::default();
        fields.admit(Mark { priority: 3, compressed: true, tick: 0 }, &LIMITS);
        fields.admit(at(0), &LIMITS);
        assert_eq!(fields.take(1), 1);
        assert!(fields.compressed && fields.priority == 3);
        assert_eq!(fields.take(9), 1);
        assert!(!fields.compressed && fields.priority == 0 && fields.take(1) == 0);
    }

    #[test]
    fn compressed_data_is_recognised() {
        assert!(
            looks_compressed(&[0x1f, 0x8b, 8])
                && looks_compressed(b"BZh9")
                && looks_compressed(&[0x78, 0x9c])
        );
        assert!(
            !looks_compressed(b"benchmark event") && !looks_compressed(b"") && !looks_compressed(&[0x1f])
        );
    }
}
