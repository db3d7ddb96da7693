//! Events of kinds that are known beforehand: the number of each in a row, and the time that they took.
//!
//! A probe that counts such events has a range of kinds in [`crate::probes`], and hooks that call one function of the
//! kernel side; the rest of the way to the reader is the same for all of them.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

use crate::probes::EVENT_KINDS;

/// Counters of one kind of event in one row.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct EventCell {
    /// Histogram of the times in the pool; 0 where there is none.
    pub histogram: u32,
    /// Events whose stack may be taken.
    pub seen: u32,
    /// Events that found no histogram.
    pub lean_count: u64,
    /// Their time, ns.
    pub lean_sum_ns: u64,
    /// Longest of them, ns.
    pub lean_max_ns: u64,
    /// Part of the time of all events in which the thread was blocked, ns.
    pub blocked_ns: u64,
    /// Part of it in which the thread waited for a CPU, ns.
    pub queued_ns: u64,
    /// Fills the cache line.
    pub reserved: [u64; 2],
}

/// Index of the cell of a row and a kind.
#[inline(always)]
#[must_use]
pub const fn cell(row: u32, kind: u32) -> u32 {
    row * EVENT_KINDS + kind
}

/// Row and kind of a cell.
#[must_use]
pub const fn cell_parts(cell: u32) -> (u32, u32) {
    (cell / EVENT_KINDS, cell % EVENT_KINDS)
}

const _: () = assert!(size_of::<EventCell>() == 64);
