//! The calls on futexes that came after `futex(2)`. Two of them name their futexes in an array, of which
//! `futex_waitv` tells by its result which one it was about: where that counts is decided when it ends.

use aya_ebpf::{macros::map, maps::Array};
use pulse_trace_common::{
    probes::futex::{Named, SHARED, Waiter, asked_later, call, is_later, op},
    target::Thread,
};

use crate::{config, kernel, memory::slot, probes::futex};

/// Arrays of futexes that calls named, by seat.
#[map]
static NAMED: Array<Named> = Array::with_max_entries(1, 0);

/// In place of an index: the array is not to be read any more.
pub const TOO_LATE: u64 = u64::MAX;

/// Reports whether this call is one of them. One comparison for nearly all others; none where the probe is off.
#[inline(always)]
pub fn is_one(call: u32) -> bool {
    config::PROBE_FUTEX() != 0 && is_later(call)
}

/// Reports whether this is a call that may sleep, and is therefore timed.
#[inline(always)]
pub fn waits(call: u32) -> bool {
    matches!(call, call::WAITV | call::WAIT)
}

/// A call begins. Tells for what its stack is to be taken; 0 where it is not, or not yet.
#[inline(always)]
pub fn enter(thread: &Thread, call: u32, first: u64, second: u64, fourth: impl Fn() -> u64) -> u64 {
    if matches!(call, call::WAKE | call::WAIT) {
        return enter_one(thread, first, asked_later(call, fourth() as u32), second as u32);
    }
    // How many `futex_waitv` waits for; `futex_requeue` always names two.
    let is_empty = call == call::WAITV && second as u32 == 0;
    name(thread.seat, call, first, is_empty);
    0
}

/// The same of a call that names one futex.
#[inline(never)]
fn enter_one(thread: &Thread, address: u64, asked: u32, expected: u32) -> u64 {
    futex::enter(thread, address, asked, expected)
}

/// Remembers where a call names its futexes, and which is the first: the kernel is about to read the same.
#[inline(never)]
fn name(seat: u32, call: u32, array: u64, is_empty: bool) {
    let (Some(waiting), Some(named)) = (futex::begun(seat), slot(&NAMED, seat)) else { return };
    let waiter = if is_empty { None } else { kernel::user::<Waiter>(array) };
    let (first, flags) = match waiter {
        Some(waiter) => (waiter.address, waiter.flags),
        // A futex that the call does not wait for is not tried again.
        None => (if is_empty { array } else { 0 }, Named::NO_FLAGS),
    };
    (waiting.op, waiting.entry) = (asked_later(call, flags), 0);
    *named = Named { array, first };
}

/// Such a call ends: from here on it is one on the futex at an index of its array, or on the first where that cannot
/// be read. Tells for what its stack is to be taken.
#[inline(never)]
pub fn settle(thread: &Thread, index: u64) -> u64 {
    let (Some(waiting), Some(named)) = (futex::waiting(thread.seat), slot(&NAMED, thread.seat)) else {
        return 0;
    };
    let op = waiting.op & !SHARED;
    let call = match op {
        op::WAITV => call::WAITV,
        op::REQUEUE2 => call::REQUEUE,
        _ => return 0,
    };
    let mut address = if named.first == 0 { named.array } else { named.first };
    // Where memory was not there as the call began, it is now if the kernel could read it.
    if index != TOO_LATE
        && (index != 0 || named.first == 0)
        && let Some(waiter) =
            kernel::user::<Waiter>(named.array.wrapping_add(index * size_of::<Waiter>() as u64))
    {
        waiting.op = asked_later(call, waiter.flags);
        address = waiter.address;
    }
    waiting.entry = futex::entry(thread, waiting, address);
    futex::remember_use(waiting);
    if waiting.entry == 0 || call != call::WAITV { 0 } else { futex::stack_of(thread, waiting) }
}

/// Index of the futex that a call was about: `futex_waitv` returns the one that was woken.
#[inline(always)]
pub fn index(call: u32, ret: u64) -> u64 {
    if call == call::WAITV && ret as i64 > 0 { ret } else { 0 }
}
