//! The loss array, per CPU. Programs can be interrupted by others, and on newer kernels moved: each loss is one atomic
//! addition.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use pulse_trace_common::loss::{SLOTS, Slot};

use crate::memory::{add, own};

#[map]
static LOSS: PerCpuArray<[u64; SLOTS]> = PerCpuArray::with_max_entries(1, 0);

/// Counts one event into a slot.
#[inline(always)]
pub fn count(slot: Slot) {
    // The index is below `SLOTS` by construction.
    if let Some(slots) = own(&LOSS) {
        add(&mut slots[slot as usize], 1);
    }
}
