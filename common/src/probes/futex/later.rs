//! The calls that came after `futex(2)`: `futex_waitv` in Linux 5.16, the others of futex2 in 6.7.

use super::{PRIVATE_FLAG, op, shared};

/// Their numbers, on every architecture.
pub mod call {
    /// No call before this one is one of them.
    pub const FIRST: u32 = WAITV;
    /// Number of the system call `futex_waitv`.
    pub const WAITV: u32 = 449;
    /// Number of the system call `futex_wake`.
    pub const WAKE: u32 = 454;
    /// Number of the system call `futex_wait`.
    pub const WAIT: u32 = 455;
    /// Number of the system call `futex_requeue`.
    pub const REQUEUE: u32 = 456;
}

/// Reports whether a call of the native ABI is one of them. For nearly all that are not, one comparison is enough.
#[inline(always)]
#[must_use]
pub const fn is_later(call: u32) -> bool {
    call >= call::FIRST && matches!(call, call::WAITV | call::WAKE..=call::REQUEUE)
}

/// The operation that one of these calls asks for, with the flags of its futex: one of the constants in [`op`], with
/// or without [`super::SHARED`].
#[inline(always)]
#[must_use]
pub const fn asked_later(call: u32, flags: u32) -> u32 {
    op::LATER | call.wrapping_sub(call::FIRST) | shared(flags)
}

/// The kernel's `struct futex_waitv`: one of the futexes that a call names in an array.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Value that the word must have for the wait to sleep.
    pub value: u64,
    /// Address of the futex.
    pub address: u64,
    /// Its size, and whether it is private.
    pub flags: u32,
    /// Reserved by the kernel; always zero.
    pub reserved: u32,
}

/// The array in which a call named its futexes: about which of them it was is known as it ends. One per seat.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Address of the array.
    pub array: u64,
    /// The address of its first futex; 0 where that could not be read.
    pub first: u64,
}

impl Named {
    /// Flags of a futex that could not be read: where nothing is known, nothing is looked for in other processes.
    pub const NO_FLAGS: u32 = PRIVATE_FLAG;
}

const _: () = assert!(size_of::<Waiter>() == 24 && size_of::<Named>() == 16);

#[cfg(test)]
mod tests {
    use super::{
        super::{SHARED, UNSEEN, asked},
        *,
    };

    #[test]
    fn the_four_calls_are_known_and_no_other_is() {
        let known = (0..1024).chain([1 << 30 | 449, u32::MAX]).filter(|call| is_later(*call));
        assert!(known.eq([449, 454, 455, 456]));
    }

    #[test]
    fn each_call_is_an_operation_that_no_program_can_ask_futex_for() {
        let ops = [(449, op::WAITV), (454, op::WAKE2), (455, op::WAIT2), (456, op::REQUEUE2)];
        for (call, op) in ops {
            assert_eq!(asked_later(call, 2 | PRIVATE_FLAG), op);
            assert_eq!(asked_later(call, 2), op | SHARED);
            for command in [op, op | SHARED, op & !PRIVATE_FLAG, op | 256] {
                assert_ne!(asked(command) & !SHARED, op);
            }
            assert_ne!(op, UNSEEN);
        }
        assert_eq!(asked(op::WAIT_BITSET | PRIVATE_FLAG | 256), op::WAIT_BITSET);
        assert_eq!(asked(op::WAKE), op::WAKE | SHARED);
    }
}
