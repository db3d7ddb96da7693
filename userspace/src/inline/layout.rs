//! What lies where in the memory that a target is given.
//!
//! ```text
//! base             signature and list of what was replaced     read and execute, private
//! base + STUB      how the rest comes to be
//! base + PADS      one pad of code for each place
//! base + CODE      one page: how far counters are away          wiped in a child after fork
//! own_area         counters of a child after fork               wiped, private
//! shared_area      counters, shared with the tool
//! ```
//!
//! A pad counts at `own_area + distance`. The distance leads to the shared counters; in a child it has become zero, and
//! so the child counts in its own, which begin at zero.

use crate::locate::replaceable::{JUMP, Passing};

/// Marks the first page.
pub const SIGNATURE: [u8; 16] = *b"pulse-trace\0pad1";
/// Where the code begins that sets everything up.
pub const STUB: u64 = 0x400;
/// Where the pads begin.
pub const PADS: u64 = 0x800;
/// Length of the executable part.
pub const CODE: u64 = 0x3000;
/// Length of the page with the distance.
pub const PAGE: u64 = 0x1000;

/// Stripes that threads are spread over by their address.
pub const SPREAD: u64 = 256;
/// One more for those who find theirs taken; one behind all, which is shared.
pub const STRIPES: u64 = SPREAD + 2;
/// Spin counts that are told apart: glibc's limit is at most 32,767, and the last pause may pass it by 31.
pub const SPINS: u64 = 33_272;
/// Words of a stripe before its spin counts.
pub const TOTALS: u64 = 8;
/// Bytes of a stripe.
pub const STRIPE: u64 = (TOTALS + SPINS) * 8;
/// Bytes of all.
pub const AREA: u64 = STRIPES * STRIPE;
/// Bytes of everything.
pub const WHOLE: u64 = CODE + PAGE + 2 * AREA;

/// Word of a stripe that counts a passing; the first is the thread that it belongs to. Spins are counted behind them.
pub fn word(passing: Passing) -> Option<u64> {
    match passing {
        Passing::AdaptiveAttempt => Some(1),
        Passing::GaveUp => Some(2),
        Passing::AdaptiveWait => Some(3),
        Passing::NormalAttempt => Some(4),
        Passing::NormalWait => Some(5),
        Passing::SpinEnd(_) => None,
    }
}

/// Where everything lies in one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where it begins.
    pub base: u64,
}

impl Layout {
    /// The word with the distance.
    pub fn distance(self) -> u64 {
        self.base + CODE
    }

    /// Counters of a child.
    pub fn own_area(self) -> u64 {
        self.base + CODE + PAGE
    }

    /// Counters that are shared with the tool.
    pub fn shared_area(self) -> u64 {
        self.own_area() + AREA
    }
}

/// An instruction that was replaced, as the first page lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its address.
    pub address: u64,
    /// What stood there.
    pub original: [u8; JUMP],
}

const ENTRY: usize = 16;
/// Places that the first page has room for.
pub const ENTRIES: usize = 32;
const LIST: usize = 32;

/// The first page's beginning.
pub fn header(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend((entries.len() as u64).to_le_bytes());
    bytes.extend(WHOLE.to_le_bytes());
    for entry in entries {
        bytes.extend(entry.address.to_le_bytes());
        bytes.extend(entry.original);
        bytes.extend([0; ENTRY - 8 - JUMP]);
    }
    bytes
}

/// Reads it; the length of everything, and the list. `None` where it is none.
pub fn parse(bytes: &[u8]) -> Option<(u64, Vec<Entry>)> {
    let rest = bytes.strip_prefix(&SIGNATURE)?;
    let word = |at: usize| Some(u64::from_le_bytes(rest.get(at..at + 8)?.try_into().ok()?));
    let (count, whole) = (usize::try_from(word(0)?).ok()?, word(8)?);
    let list = bytes.get(LIST..)?;
    let entries = list.chunks_exact(ENTRY).take(count.min(ENTRIES)).map(|entry| {
        let address = u64::from_le_bytes(entry[..8].try_into().ok()?);
        Some(Entry { address, original: entry[8..8 + JUMP].try_into().ok()? })
    });
    let entries: Option<Vec<Entry>> = entries.collect();
    entries.filter(|entries| entries.len() == count).map(|entries| (whole, entries))
}

/// Bytes that have to be read to see all of it.
pub const HEADER: usize = LIST + ENTRIES * ENTRY;
