//! What lies where in the memory that a target is given.
//!
//! ```text
//! base             signature and list of what was replaced     read and execute, private
//! base + STUB      how the rest comes to be
//! base + PADS      one pad of code for each place
//! base + CODE      one page: the number of the process          wiped in a child after fork
//! area             counters, shared with the tool
//!   stripes        of the process itself, by thread
//!   + NUMBERS      the processes that have counted, by number
//!   + ROWS         counters by lock, by process and by thread
//! ```
//!
//! A child finds no number, takes the next one, and counts in rows that carry it: so what processes count is never mixed,
//! and is still there when they have ended.

use crate::locate::replaceable::{JUMP, Passing};

/// Marks the first page.
pub const SIGNATURE: [u8; 16] = *b"pulse-trace\0pad2";
/// Where the code begins that sets everything up.
pub const STUB: u64 = 0x400;
/// Where the pads begin.
pub const PADS: u64 = 0x800;
/// Length of the executable part.
pub const CODE: u64 = 0x3000;
/// Length of the page with the number.
pub const PAGE: u64 = 0x1000;

/// Stripes that threads are spread over by their address.
pub const SPREAD: u64 = 256;
/// One more for those who find theirs taken; one that is shared; one for what fits nowhere else.
pub const STRIPES: u64 = SPREAD + 3;
/// Spin counts that are told apart: glibc's limit is at most 32,767, and the last pause may pass it by 31.
pub const SPINS: u64 = 33_272;
/// Words of a stripe before its spin counts.
pub const TOTALS: u64 = 8;
/// Bytes of a stripe.
pub const STRIPE: u64 = (TOTALS + SPINS) * 8;
/// Where the processes are listed, from the beginning of the area on: how many were born, then by number the
/// ids of the thread that counted first and of the one that the process was born with, 32 bits each.
pub const NUMBERS: u64 = STRIPES * STRIPE;
/// One more than the largest number of a process.
pub const MOST_PROCESSES: u64 = 4096;
/// The number of the process that the counters were put into.
pub const FIRST: u64 = 1;
/// Bits of a row's second word that hold the address of the thread; the number of the process is above them.
pub const THREAD_BITS: u32 = 48;

/// Where the rows begin, from the beginning of the area on.
pub const ROWS: u64 = NUMBERS + MOST_PROCESSES * 8;
/// How many there are.
pub const MOST_ROWS: u64 = 4096;
/// Bytes of a row: a page.
pub const ROW: u64 = 4096;
/// Words of a row before its spin counts: the lock, the thread with the number of its process, totals.
pub const ROW_TOTALS: u64 = 8;
/// Words of a row that a stripe does not have: its totals lie so much farther.
pub const ROW_SHIFT: u64 = 1;
/// Spin counts that a row tells apart. The library's own limit makes at most 131; where somebody has raised it, whoever
/// passes this one is counted where there is room for all.
pub const ROW_SPINS: u64 = ROW / 8 - ROW_TOTALS;
/// What stands for the lock where locks are not told apart.
pub const ALL_LOCKS: u64 = 1;
/// Rows that are looked at before it is given up.
pub const STEPS: u64 = 16;

/// Bytes of all.
pub const AREA: u64 = ROWS + MOST_ROWS * ROW;
/// Bytes of everything.
pub const WHOLE: u64 = CODE + PAGE + AREA;

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
    /// The word with the number of the process, shifted to where rows have it; 0 in a child that has none yet.
    pub fn number(self) -> u64 {
        self.base + CODE
    }

    /// Counters.
    pub fn area(self) -> u64 {
        self.base + CODE + PAGE
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
