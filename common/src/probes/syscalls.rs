//! Wire types of the `syscalls` probe.

mod operation;

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

pub use operation::{COMPAT_FUTEX, COMPAT_FUTEX_TIME64, INDICES, Multiplexer, operation_at};

/// Calls of the native ABI have the indices below this one.
pub const NATIVE_CALLS: u32 = 512;
/// Kinds of calls: the native ones, then those of the 32-bit ABI.
pub const CALLS: u32 = 2 * NATIVE_CALLS;
/// Index of native calls whose number is outside the table.
pub const OUT_OF_RANGE: u32 = NATIVE_CALLS - 1;
/// Index of x32 calls: the kernel takes them, no distribution ships programs that make them.
pub const X32: u32 = NATIVE_CALLS - 2;
/// Bit that marks the number of an x32 call.
pub const X32_BIT: u64 = 1 << 30;

/// Index in a row's directory of the call with this number.
#[inline(always)]
#[must_use]
pub const fn call_index(nr: u64, compat: bool, x86: bool) -> u32 {
    if compat {
        let nr = nr & 0xffff_ffff;
        return if nr < NATIVE_CALLS as u64 { NATIVE_CALLS + nr as u32 } else { CALLS - 1 };
    }
    if nr < X32 as u64 {
        return nr as u32;
    }
    if x86 && nr & X32_BIT != 0 && nr >> 31 == 0 { X32 } else { OUT_OF_RANGE }
}

/// Counters of an errno: the ordinary ones are their own index.
pub const ERRNOS: usize = 160;
const LAST_ORDINARY: u32 = 139;
const FIRST_RESTART: u32 = 512;
const UNKNOWN: u32 = ERRNOS as u32 - 1;

/// Index of the counter of an errno. 512 to 530 are the kernel's own restart codes, which never reach userspace.
#[inline(always)]
#[must_use]
pub const fn errno_index(errno: u32) -> u32 {
    if errno <= LAST_ORDINARY {
        errno
    } else if errno >= FIRST_RESTART && errno - FIRST_RESTART < UNKNOWN - LAST_ORDINARY - 1 {
        LAST_ORDINARY + 1 + (errno - FIRST_RESTART)
    } else {
        UNKNOWN
    }
}

/// The errno that is counted at an index; `None` for the index of those that have no place.
#[must_use]
pub const fn errno_at(index: u32) -> Option<u32> {
    if index <= LAST_ORDINARY {
        Some(index)
    } else if index < UNKNOWN {
        Some(FIRST_RESTART + index - LAST_ORDINARY - 1)
    } else {
        None
    }
}

/// One (row, call) pair. Counters of 32 bits wrap; userspace adds up differences.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Cell {
    /// The row in the upper half, the call's index in the lower; 0 marks a free cell.
    pub key: u64,
    /// Calls that ended, where no histogram counts them.
    pub lean_count: u64,
    /// Time of those calls.
    pub lean_sum_ns: u64,
    /// Longest of those calls.
    pub lean_max_ns: u64,
    /// Calls that ended without a latency, because the clock ran backwards.
    pub untimed: u64,
    /// Calls that can never end: the thread died in them.
    pub unreturned: u64,
    /// Blocked time within calls that ended and have a latency, ns.
    pub blocked_ns: u64,
    /// Time spent waiting for a CPU within those calls, ns.
    pub queued_ns: u64,
    /// Failed calls by [`errno_index`].
    pub errors: [u32; ERRNOS],
}

/// A row's directory: the cell of each call and each operation, 0 where there is none yet.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Directory {
    /// Cell ids by call index, then by [`Multiplexer::index`].
    pub cells: [u32; INDICES as usize],
}

const _: () = assert!(size_of::<Cell>() == 64 + 4 * ERRNOS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_comes_back_from_its_index() {
        for errno in (0..=133).chain(512..=530) {
            assert_eq!(errno_at(errno_index(errno)), Some(errno));
        }
        for errno in [140, 511, 531, 4095] {
            assert_eq!(errno_at(errno_index(errno)), None);
        }
    }

    #[test]
    fn calls_of_different_abis_never_share_an_index() {
        assert_eq!(call_index(0, false, true), 0);
        assert_eq!(call_index(0, true, true), NATIVE_CALLS);
        assert_eq!(call_index(X32_BIT, false, true), X32);
        assert_eq!(call_index(X32_BIT, false, false), OUT_OF_RANGE);
        assert_eq!(call_index(u64::MAX, false, true), OUT_OF_RANGE);
        assert_eq!(call_index(510, false, true), OUT_OF_RANGE);
        assert_eq!(call_index(0xffff_ffff, true, true), CALLS - 1);
    }
}
