//! Counts events of kinds that are known beforehand, by row. The whole of a probe that does so is its hooks.

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray},
};
use pulse_trace_common::{
    events::{EventCell, cell},
    pool::{owner, purpose},
};

use crate::{
    memory::{MMAPABLE, add, add32, own, raise, slot},
    pool, stacks,
};

/// By row and kind. Rows have several threads, on several CPUs.
#[map]
static EVENTS: Array<EventCell> = Array::with_max_entries(1, MMAPABLE);

/// Events after which the distance of stacks does not change any more.
const SEEN_ENOUGH: u32 = 1 << 20;

/// Runs of programs on software events of perf. The kernel leaves some out, and tells nothing of it but by its own count
/// of the events.
#[map]
static SOFTWARE_RUNS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Number of times that probes of events were switched on: what a thread was in before is not what it is in now.
#[map]
static GENERATION: Array<u64> = Array::with_max_entries(1, 0);

/// The present number.
#[inline(always)]
pub fn generation() -> u64 {
    GENERATION.get(0).map_or(0, |generation| *generation)
}

/// A program on a software event runs.
#[inline(always)]
pub fn runs() {
    if let Some(runs) = own(&SOFTWARE_RUNS) {
        add(runs, 1);
    }
}

/// Time that an event took, with the parts of it that its thread was not on a CPU.
#[derive(Clone, Copy)]
pub struct Took {
    pub ns: u64,
    pub blocked_ns: u64,
    pub queued_ns: u64,
}

impl Took {
    /// No time at all.
    pub const NOTHING: Self = Self { ns: 0, blocked_ns: 0, queued_ns: 0 };
}

/// Counts an event. Tells how many like it the stack of this one is to stand for; 0 where it is not to be taken.
#[inline(always)]
pub fn count(row: u32, kind: u32, took: Took) -> u32 {
    let id = cell(row, kind);
    let Some(cell) = slot(&EVENTS, id) else { return 0 };
    if took.blocked_ns != 0 {
        add(&mut cell.blocked_ns, took.blocked_ns);
    }
    if took.queued_ns != 0 {
        add(&mut cell.queued_ns, took.queued_ns);
    }
    let seen = cell.seen;
    if seen < SEEN_ENOUGH {
        add32(&mut cell.seen, 1);
    }
    if !pool::record_for(&mut cell.histogram, owner(purpose::EVENT, id), took.ns) {
        raise(&mut cell.lean_max_ns, took.ns);
        add(&mut cell.lean_sum_ns, took.ns);
        add(&mut cell.lean_count, 1);
    }
    stacks::weight(u64::from(seen), stacks::chance)
}

/// Owner of the stack of an event.
#[inline(always)]
pub fn stack_owner(row: u32, kind: u32, weight: u32) -> u64 {
    pulse_trace_common::stack::owner(pulse_trace_common::stack::kind::EVENT, cell(row, kind), weight)
}
