//! Layout of the memory that a target is given.
//!
//! ```text
//! base             signature and list of what was replaced     read and execute, private
//! base + STUB      how the rest comes to be
//! base + PADS      one pad of code for each place
//! base + CODE      one page: the number of the process          wiped in a child after fork
//! area             counters, shared with the tool
//!   stripes        of the process itself, by thread: a page each, then two large ones
//!   + NUMBERS      the processes that have counted, by number
//!   + ROWS         counters by lock, by process and by thread
//! ```
//!
//! A child finds no number, takes the next one, and counts in rows that carry it: so counts of different processes are
//! never mixed, and remain readable when the processes have ended.

use binary::locate::replaceable::{JUMP, Passing};
use serde::{Deserialize, Serialize};

/// Signature of the first page.
pub const SIGNATURE: [u8; 16] = *b"pulse-trace\0pad3";
/// Offset of the code that sets up the memory.
pub const STUB: u64 = 0x400;
/// Offset of the pads.
pub const PADS: u64 = 0x800;
/// Length of the executable part.
pub const CODE: u64 = 0x3000;
/// Length of the page with the number.
pub const PAGE: u64 = 0x1000;

/// Number of stripes; the address of a thread selects one.
pub const SPREAD: u64 = 256;
/// Words of a stripe before its spin counts.
pub const TOTALS: u64 = 8;
/// Bytes of a thread's stripe: a page.
pub const STRIPE: u64 = 4096;
/// Spin counts that a thread's stripe tells apart: larger ones are counted in the common stripe.
pub const STRIPE_SPINS: u64 = STRIPE / 8 - TOTALS;
/// Spin counts that are told apart: glibc's limit is at most 32,767, and the last pause may pass it by 31.
pub const SPINS: u64 = 33_272;
/// Bytes of a stripe that tells all of them apart.
pub const LARGE: u64 = (TOTALS + SPINS) * 8;
/// Offset of the common stripe in the area: for threads that find both of their stripes taken (the last thread's
/// neighbour has one more), and for large spin counts.
pub const COMMON: u64 = (SPREAD + 1) * STRIPE;
/// Offset of the stripe for counts that fit nowhere else.
pub const NOWHERE: u64 = COMMON + LARGE;
/// Offset of the list of processes in the area: the number of forked children, then by number the ids of the thread
/// that counted first and of the one that the process was born with, 32 bits each.
pub const NUMBERS: u64 = NOWHERE + LARGE;
/// One more than the largest number of a process.
pub const MOST_PROCESSES: u64 = 4096;
/// The number of the process that the counters were put into.
pub const FIRST: u64 = 1;
/// Bits of a row's second word that hold the address of the thread; the number of the process is above them.
pub const THREAD_BITS: u32 = 48;

/// Offset of the rows in the area.
pub const ROWS: u64 = NUMBERS + MOST_PROCESSES * 8;
/// Rows where locks are told apart.
pub const LOCK_ROWS: u64 = 4096;
/// Rows where locks are not told apart: only forked children have any, one for each of their threads.
pub const KIND_ROWS: u64 = 1024;
/// Bytes of a row: a page.
pub const ROW: u64 = 4096;
/// Words of a row before its spin counts: the lock, the thread with the number of its process, totals.
pub const ROW_TOTALS: u64 = 8;
/// Number of row words that a stripe does not have: totals of a row are shifted by it.
pub const ROW_SHIFT: u64 = 1;
/// Spin counts that a row tells apart. The library's own limit makes at most 131; larger ones, where that limit was
/// raised, are counted in the stripes.
pub const ROW_SPINS: u64 = ROW / 8 - ROW_TOTALS;
/// Value in place of the lock's address where locks are not told apart.
pub const ALL_LOCKS: u64 = 1;
/// Rows that are probed before the search is given up.
pub const STEPS: u64 = 16;

/// Word of a stripe that counts a passing; the first word is the thread that the stripe belongs to. Spins are
/// counted behind them.
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

/// Addresses of all parts in one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// First address of the whole memory: its first page holds the header.
    pub base: u64,
    /// Number of rows, a power of two.
    pub rows: u64,
}

impl Layout {
    /// The word with the number of the process, shifted to where rows have it; 0 in a child that has none yet.
    pub fn number(self) -> u64 {
        self.base + CODE
    }

    /// Address of the counters.
    pub fn area(self) -> u64 {
        self.base + CODE + PAGE
    }

    /// Size of the counters, in bytes.
    pub fn area_len(self) -> u64 {
        area_len(self.rows)
    }
}

/// Size of the counters with so many rows, in bytes.
pub const fn area_len(rows: u64) -> u64 {
    ROWS + rows * ROW
}

/// Size of the whole memory with so many rows, in bytes.
pub const fn whole(rows: u64) -> u64 {
    CODE + PAGE + area_len(rows)
}

/// The process of the tool that reads the counters: its id in a PID namespace, and its start time, in clock
/// ticks since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Process id in that namespace.
    pub pid: u32,
    /// Inode of the PID namespace that the id belongs to.
    pub namespace: u32,
    /// Start time, clock ticks since boot.
    pub started: u64,
}

/// Replaced instruction, as the first page lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Address of the instruction.
    pub address: u64,
    /// Bytes that the jump has replaced.
    pub original: [u8; JUMP],
}

const ENTRY: usize = 16;
/// Most replaced instructions that the first page has room for.
pub const ENTRIES: usize = 32;
const LIST: usize = 64;

/// Contents of the first page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Addresses of all parts.
    pub layout: Layout,
    /// The tool that reads the counters.
    pub owner: Owner,
    /// Replaced instructions, at most [`ENTRIES`].
    pub entries: Vec<Entry>,
}

impl Header {
    /// Encodes the header as it stands in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        let Owner { pid, namespace, started } = self.owner;
        let words = [
            self.entries.len() as u64,
            self.layout.rows,
            u64::from(pid) | u64::from(namespace) << 32,
            started,
        ];
        words.into_iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.resize(LIST, 0);
        for entry in &self.entries {
            bytes.extend(entry.address.to_le_bytes());
            bytes.extend(entry.original);
            bytes.extend([0; ENTRY - 8 - JUMP]);
        }
        bytes
    }

    /// Decodes the header from the bytes at `base`. `None` where there is no header.
    pub fn parse(base: u64, bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&SIGNATURE)?;
        let word = |at: usize| Some(u64::from_le_bytes(rest.get(8 * at..8 * at + 8)?.try_into().ok()?));
        let (count, rows, process, started) = (usize::try_from(word(0)?).ok()?, word(1)?, word(2)?, word(3)?);
        if !rows.is_power_of_two() || rows > LOCK_ROWS {
            return None;
        }
        let entries = bytes.get(LIST..)?.chunks_exact(ENTRY).take(count.min(ENTRIES)).map(|entry| {
            let address = u64::from_le_bytes(entry[..8].try_into().ok()?);
            Some(Entry { address, original: entry[8..8 + JUMP].try_into().ok()? })
        });
        let entries = entries.collect::<Option<Vec<Entry>>>().filter(|entries| entries.len() == count)?;
        let owner = Owner { pid: process as u32, namespace: (process >> 32) as u32, started };
        Some(Self { layout: Layout { base, rows }, owner, entries })
    }
}

/// Number of bytes to read for the whole header.
pub const HEADER: usize = LIST + ENTRIES * ENTRY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_nothing_else_is_one() {
        let entries = vec![Entry { address: 0x7f00_1234_5678, original: [1, 2, 3, 4, 5] }; 3];
        let owner = Owner { pid: 77, namespace: 0xf000_0001, started: 9 };
        let header = Header { layout: Layout { base: 0x1000, rows: KIND_ROWS }, owner, entries };
        let mut bytes = header.bytes();
        bytes.resize(HEADER, 0);
        assert_eq!(Header::parse(0x1000, &bytes), Some(header));
        for (at, value) in [(0, b'x'), (16, 40), (24, 3)] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            assert_eq!(Header::parse(0x1000, &damaged), None, "byte {at}");
        }
    }

    #[test]
    fn what_processes_share_is_made_of_whole_pages() {
        for part in [COMMON, NOWHERE, NUMBERS, ROWS, area_len(KIND_ROWS)] {
            assert_eq!(part % PAGE, 0);
        }
        assert!(whole(KIND_ROWS) < 6 << 20 && whole(LOCK_ROWS) < 19 << 20);
    }
}
