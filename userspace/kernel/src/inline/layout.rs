//! What lies where in the memory that a target is given.
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
//! A child finds no number, takes the next one, and counts in rows that carry it: so what processes count is never mixed,
//! and is still there when they have ended.

use binary::locate::replaceable::{JUMP, Passing};
use serde::{Deserialize, Serialize};

/// Marks the first page.
pub const SIGNATURE: [u8; 16] = *b"pulse-trace\0pad3";
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
/// The common stripe, from the beginning of the area on: for threads that find both of theirs taken (the last thread's
/// neighbour has one more), and for large spin counts.
pub const COMMON: u64 = (SPREAD + 1) * STRIPE;
/// The stripe for what fits nowhere else.
pub const NOWHERE: u64 = COMMON + LARGE;
/// Where the processes are listed, from the beginning of the area on: how many were born, then by number the
/// ids of the thread that counted first and of the one that the process was born with, 32 bits each.
pub const NUMBERS: u64 = NOWHERE + LARGE;
/// One more than the largest number of a process.
pub const MOST_PROCESSES: u64 = 4096;
/// The number of the process that the counters were put into.
pub const FIRST: u64 = 1;
/// Bits of a row's second word that hold the address of the thread; the number of the process is above them.
pub const THREAD_BITS: u32 = 48;

/// Where the rows begin, from the beginning of the area on.
pub const ROWS: u64 = NUMBERS + MOST_PROCESSES * 8;
/// Rows where locks are told apart.
pub const LOCK_ROWS: u64 = 4096;
/// Rows where they are not: only forked children have any, one for each of their threads.
pub const KIND_ROWS: u64 = 1024;
/// Bytes of a row: a page.
pub const ROW: u64 = 4096;
/// Words of a row before its spin counts: the lock, the thread with the number of its process, totals.
pub const ROW_TOTALS: u64 = 8;
/// Words of a row that a stripe does not have: its totals lie so much farther.
pub const ROW_SHIFT: u64 = 1;
/// Spin counts that a row tells apart. The library's own limit makes at most 131; larger ones, where that limit was raised,
/// are counted in the stripes.
pub const ROW_SPINS: u64 = ROW / 8 - ROW_TOTALS;
/// What stands for the lock where locks are not told apart.
pub const ALL_LOCKS: u64 = 1;
/// Rows that are looked at before it is given up.
pub const STEPS: u64 = 16;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Where it begins.
    pub base: u64,
    /// Number of rows, a power of two.
    pub rows: u64,
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

    /// Bytes of the counters.
    pub fn area_len(self) -> u64 {
        area_len(self.rows)
    }
}

/// Bytes of the counters with so many rows.
pub const fn area_len(rows: u64) -> u64 {
    ROWS + rows * ROW
}

/// Bytes of everything with so many rows.
pub const fn whole(rows: u64) -> u64 {
    CODE + PAGE + area_len(rows)
}

/// The process of the tool that reads the counters: its id in a PID namespace, and when it started, in clock ticks since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// Inode of the PID namespace that the id is of.
    pub namespace: u32,
    /// When it started.
    pub started: u64,
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
const LIST: usize = 64;

/// The first page, as far as it is written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where everything lies.
    pub layout: Layout,
    /// Whose the counters are.
    pub owner: Owner,
    /// What was replaced.
    pub entries: Vec<Entry>,
}

impl Header {
    /// As it stands in memory.
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

    /// Reads it from what lies at `base`. `None` where it is none.
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

/// Bytes that have to be read to see all of it.
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
