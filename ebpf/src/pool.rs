//! Histograms: those of system calls belong to their cells, the others are handed out on first use.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    hist::{self, Histogram},
    loss::Slot,
};

use crate::{
    config, kernel, loss,
    memory::{MMAPABLE, add, add32, lower, raise, slot},
    registry::{self, Entry},
};

/// One per lane of each histogram. Those of cells have the ids of their cells and come first.
#[map]
static HISTOGRAMS: Array<Histogram> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused histograms.
#[map]
static FREE_HISTOGRAMS: Queue<u32> = Queue::with_max_entries(1, 0);
/// Owner to histogram.
#[map]
static OWNERS: HashMap<u64, u32> = HashMap::with_max_entries(1, 0);

/// Records a value; false where there is no such histogram.
#[inline(always)]
pub fn record(id: u32, value: u64) -> bool {
    let lane = kernel::cpu() & config::LANE_MASK();
    let Some(histogram) = slot(&HISTOGRAMS, id * (config::LANE_MASK() + 1) + lane) else { return false };
    raise(&mut histogram.max, value);
    lower(&mut histogram.min_plus_1, value + 1);
    if let Some(bucket) = histogram.buckets.get_mut(hist::index(value)) {
        add32(bucket, 1);
    }
    // Last: userspace looks at a histogram again once its sum has changed, and then finds all of the value.
    add(&mut histogram.sum, value);
    true
}

/// Records a value into the histogram that an entry names, which is fetched from the pool the first time. Tells
/// whether there is one.
#[inline(always)]
pub fn record_for(entry: &mut u32, owner: u64, value: u64) -> bool {
    if *entry == 0 {
        *entry = fetch(owner);
        if *entry == 0 {
            loss::count(Slot::DistributionsFull);
            return false;
        }
    }
    record(*entry, value)
}

/// The owner's histogram; 0 where there is none left.
#[inline(never)]
fn fetch(owner: u64) -> u32 {
    match registry::fetch(&OWNERS, &FREE_HISTOGRAMS, &owner, |_| {}, |_| {}) {
        Entry::Known(id) | Entry::New(id) => id,
        Entry::None => 0,
    }
}
