//! A copied piece of a user stack, on its way through a ring. Any probe that knows who waits for what may take one.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Bytes that are copied, at most: enough to reach the entry of most threads, see `docs/locks/stacks.md`.
pub const BYTES: usize = 2048;

/// Reasons for taking a stack; the upper byte of an owner.
pub mod kind {
    /// An entry of the `futex` probe, which is about to wait.
    pub const FUTEX: u32 = 1;
    /// A lock of the `mutex` probe, which was found taken.
    pub const MUTEX: u32 = 2;
    /// A cell of events.
    pub const EVENT: u32 = 3;
}

/// A thread's registers and the upper end of its stack.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Copied {
    /// Reason, entry and weight, as [`owner`] packs them.
    pub owner: u64,
    /// Its instruction pointer in user space.
    pub ip: u64,
    /// Address of its stack, and of the first byte below.
    pub sp: u64,
    /// Its frame pointer.
    pub bp: u64,
    /// Its link register; of no meaning on x86.
    pub lr: u64,
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// Times that the process had replaced its program.
    pub execs: u32,
    /// Number of bytes that were copied.
    pub length: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
    /// Upper end of the stack; the first `length` bytes are valid.
    pub bytes: [u8; BYTES],
}

/// Packs the owner of a stack: one of [`kind`], the entry there, and the number of events like this one that
/// it stands for.
#[inline(always)]
#[must_use]
pub const fn owner(kind: u32, id: u32, weight: u32) -> u64 {
    (kind as u64) << 56 | (weight as u64 & 0xff_ffff) << 32 | id as u64
}

/// Kind, entry and weight of an owner.
#[must_use]
pub const fn owner_parts(owner: u64) -> (u32, u32, u32) {
    ((owner >> 56) as u32, owner as u32, (owner >> 32) as u32 & 0xff_ffff)
}

/// The mean distance of two stacks after so many events: all of the first ones, then ever fewer, so that their cost
/// vanishes where there is much to see. A power of two.
#[inline(always)]
#[must_use]
pub const fn distance(events: u64) -> u32 {
    match events {
        0..32 => 1,
        32..512 => 8,
        512..8192 => 64,
        _ => 256,
    }
}

const _: () = assert!(size_of::<Copied>() == 56 + BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_comes_apart_again() {
        assert_eq!(owner_parts(owner(kind::MUTEX, u32::MAX, 256)), (kind::MUTEX, u32::MAX, 256));
        assert_ne!(owner(kind::FUTEX, 7, 1), 0);
    }

    #[test]
    fn distances_are_powers_of_two_and_only_grow() {
        let distances = [0, 31, 32, 511, 512, 8191, 8192, u64::MAX].map(distance);
        assert_eq!(distances, [1, 1, 8, 8, 64, 64, 256, 256]);
        assert!(distances.iter().all(|distance| distance.is_power_of_two()));
    }
}
