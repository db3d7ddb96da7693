//! The lock of a process's memory map: how long threads wait for it, and how long they have it.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::Array,
    programs::BtfTracePointContext,
};
use pulse_trace_common::probes::mmaplock::{FIRST, kind};

use crate::{
    events::{self, Took},
    memory::slot,
    probes::moment::Moment,
    stage, targets,
};

/// Two locks can be had at a time: that of the parent and that of the child in a `fork`.
const LOCKS: usize = 2;

/// A lock that a thread has.
struct Held {
    /// Address of the memory map; 0 for none.
    map: u64,
    since: Moment,
    /// 1 if it is held for writing.
    writes: u64,
}

/// What a thread has to do with such locks.
struct Locking {
    /// When it began to want one; 0 where it does not.
    wanted: Moment,
    held: [Held; LOCKS],
    /// [`events::generation`] of what stands here.
    generation: u64,
}

/// By seat; only the thread itself writes to it.
#[map]
static LOCKING: Array<Locking> = Array::with_max_entries(1, 0);

/// What the thread in a seat has to do with such locks since the probe was last switched on.
#[inline(always)]
fn locking(seat: u32) -> Option<&'static mut Locking> {
    let locking = slot(&LOCKING, seat)?;
    let generation = events::generation();
    if locking.generation != generation {
        locking.generation = generation;
        locking.wanted.ns = 0;
        locking.held.iter_mut().for_each(|held| held.map = 0);
    }
    Some(locking)
}

/// `void (struct mm_struct *mm, bool write)`
#[btf_tracepoint(function = "mmap_lock_start_locking")]
pub fn mmaplock_wanted(_: BtfTracePointContext) -> i32 {
    let _ = wanted();
    0
}

#[inline(always)]
fn wanted() -> Option<()> {
    let thread = targets::admit(false)?;
    locking(thread.seat)?.wanted = Moment::now(thread.seat);
    Some(())
}

/// `void (struct mm_struct *mm, bool write, bool success)`
///
/// Also where the lock was only tried, and where one that was held for writing is held for reading from now on.
#[btf_tracepoint(function = "mmap_lock_acquire_returned")]
pub fn mmaplock_taken(ctx: BtfTracePointContext) -> i32 {
    let (write, success): (u64, u64) = (ctx.arg(1), ctx.arg(2));
    let _ = taken(ctx.arg(0), write & 1, success & 1 != 0);
    0
}

#[inline(always)]
fn taken(map: u64, writes: u64, success: bool) -> Option<()> {
    let thread = targets::admit(false)?;
    let locking = locking(thread.seat)?;
    let now = Moment::now(thread.seat);
    let wanted = locking.wanted;
    locking.wanted.ns = 0;
    if !success {
        return None;
    }
    for held in &mut locking.held {
        if held.map == map {
            count(thread.row, kind::HOLD, held.writes, now.since(held.since));
            (held.since, held.writes) = (now, writes);
            return Some(());
        }
    }
    let waited = if wanted.ns == 0 { Took::NOTHING } else { now.since(wanted) };
    count(thread.row, kind::WAIT, writes, waited);
    for held in &mut locking.held {
        if held.map == 0 {
            (held.map, held.since, held.writes) = (map, now, writes);
            return Some(());
        }
    }
    None
}

/// `void (struct mm_struct *mm, bool write)`
#[btf_tracepoint(function = "mmap_lock_released")]
pub fn mmaplock_released(ctx: BtfTracePointContext) -> i32 {
    let _ = released(ctx.arg(0));
    0
}

#[inline(always)]
fn released(map: u64) -> Option<()> {
    let thread = targets::find(targets::running())?;
    let locking = locking(thread.seat)?;
    for held in &mut locking.held {
        if held.map == map {
            held.map = 0;
            count(thread.row, kind::HOLD, held.writes, Moment::now(thread.seat).since(held.since));
            return Some(());
        }
    }
    None
}

#[inline(always)]
fn count(row: u32, kind: u32, writes: u64, took: Took) {
    if stage::is_session() {
        events::count(row, FIRST + kind + kind::WRITE * writes as u32, took);
    }
}
