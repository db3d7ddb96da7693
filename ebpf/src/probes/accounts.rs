//! A thread's accounts: where its time is booked. A part of the `sched` probe.

use aya_ebpf::{macros::map, maps::Array};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::sched::{OUTSIDE, SOMEWHERE, Sched, SchedRow, initial},
    target::{Thread, phase},
};

use crate::{
    loss,
    memory::{MMAPABLE, slot},
    pool,
};

/// Scheduling accounts, by row.
#[map]
static SCHED_ROWS: Array<SchedRow> = Array::with_max_entries(1, MMAPABLE);

/// True if it is known what a thread was doing of which no call was seen to begin: it was in one, or outside of any.
#[inline(always)]
pub fn was_asleep(sched: &Sched) -> bool {
    sched.initial != initial::NOTHING && sched.initial != initial::RUNNABLE
}

/// True if the call that a thread is in has been, or will be, counted into [`Thread::in_calls_ns`].
#[inline(always)]
pub fn is_in_call(thread: &Thread, call: u32) -> bool {
    thread.call != 0
        || thread.phase == phase::FRESH && call != OUTSIDE && call != SOMEWHERE && call != initial::STOPPED
}

/// The call that a thread off the CPU is in, as its index plus one.
#[inline(always)]
pub fn place_of(thread: &Thread, sched: &Sched) -> u32 {
    if thread.call != 0 {
        thread.call
    } else if was_asleep(sched) {
        sched.initial
    } else if thread.phase == phase::FRESH {
        SOMEWHERE
    } else {
        OUTSIDE
    }
}

/// Books time that a thread waited for a CPU.
#[inline(always)]
pub fn queued(thread: &mut Thread, ns: u64) {
    if thread.call != 0 {
        thread.queued_ns += ns;
    }
}

/// Books blocked time.
#[inline(always)]
pub fn blocked(thread: &mut Thread, sched: &mut Sched, call: u32, ns: u64) {
    if thread.call != 0 {
        thread.blocked_ns += ns;
    }
    if sched.stopped != 0 || call == initial::STOPPED {
        sched.stopped_ns += ns;
        return;
    }
    if call != SOMEWHERE {
        for place in &mut sched.places {
            if place.call == 0 {
                place.call = call;
            }
            if place.call == call {
                place.count += 1;
                place.ns += ns;
                return;
            }
        }
    }
    sched.elsewhere_count += 1;
    sched.elsewhere_ns += ns;
}

/// Adds to one of a row's distributions.
#[inline(always)]
pub fn distribute(row: u32, purpose: u64, value: u64) {
    if let Some(sched) = slot(&SCHED_ROWS, row)
        && let Some(entry) = sched.histograms.get_mut((purpose - purpose::WAKEUP_TO_RUN) as usize)
    {
        pool::record_for(entry, owner(purpose, row), value);
    }
}

/// One end of a stretch was not seen.
#[inline(never)]
pub fn unseen(sched: &mut Sched, ns: u64) {
    loss::count(Slot::SwitchUnseen);
    sched.unknown_ns += ns;
}

/// Takes the time that the running thread was blocked in the call that ends now, and the time that it waited for a
/// CPU in it.
#[inline(always)]
pub fn take_off_cpu(thread: &mut Thread) -> (u64, u64) {
    let off = (thread.blocked_ns, thread.queued_ns);
    // Both stores become one call of `memset`, which takes 20 ns: only where there is something to clear.
    if off != (0, 0) {
        (thread.blocked_ns, thread.queued_ns) = (0, 0);
    }
    off
}

/// Programs that are told apart among a row's wakers.
#[inline(always)]
pub fn programs(row: u32) -> Option<&'static mut u32> {
    Some(&mut slot(&SCHED_ROWS, row)?.programs)
}
