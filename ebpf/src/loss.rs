//! The loss array: per CPU, so that counting a loss can itself not lose.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use pulse_trace_common::loss::{SLOTS, Slot};

#[map]
static LOSS: PerCpuArray<[u64; SLOTS]> = PerCpuArray::with_max_entries(1, 0);

/// Counts one event into a slot.
#[inline(always)]
pub fn count(slot: Slot) {
    if let Some(slots) = LOSS.get_ptr_mut(0) {
        // SAFETY: this CPU's own copy, and `slot` is below `SLOTS` by construction.
        unsafe { (*slots)[slot as usize] += 1 };
    }
}
