//! Who wakes whom: a part of the `sched` probe.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{btf_tracepoint, map},
    maps::{Array, HashMap, PerCpuArray, Queue},
    programs::BtfTracePointContext,
};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::sched::{Edge, Sched, context, edge_key},
    target::Thread,
};

use crate::{
    kernel, loss,
    memory::{MMAPABLE, read, slot, write},
    pool,
    registry::{self, Entry},
};

/// Pairs of waker and woken row.
#[map]
static EDGES: Array<Edge> = Array::with_max_entries(1, MMAPABLE);
/// Those that nobody uses.
#[map]
static FREE_EDGES: Queue<u32> = Queue::with_max_entries(1, 0);
/// Key to pair.
#[map]
static EDGE_IDS: HashMap<u64, u32> = HashMap::with_max_entries(1, 0);

/// Not 0 while this CPU runs the function of a timer, on top of whatever it was doing.
#[map]
static IN_TIMER: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// `void (struct hrtimer *timer, ktime_t *now)`
#[btf_tracepoint(function = "hrtimer_expire_entry")]
pub fn sched_timer_begins(_: BtfTracePointContext) -> i32 {
    set_in_timer(1);
    0
}

/// `void (struct hrtimer *timer)`
#[btf_tracepoint(function = "hrtimer_expire_exit")]
pub fn sched_timer_ends(_: BtfTracePointContext) -> i32 {
    set_in_timer(0);
    0
}

/// Set, not counted: should an end ever go unseen, the next timer puts it right.
#[inline(always)]
fn set_in_timer(value: u32) {
    if let Some(word) = IN_TIMER.get_ptr_mut(0) {
        write(word, value);
    }
}

#[inline(always)]
fn in_timer() -> bool {
    IN_TIMER.get_ptr(0).is_some_and(|word| read(word) != 0)
}

/// Notes who wakes a thread: the running task, or nobody where an interrupt does.
#[inline(always)]
pub fn note(thread: &Thread, sched: &mut Sched, context: impl Fn() -> u64) {
    let id = bpf_get_current_pid_tgid();
    let key = if id as u32 == 0 || in_timer() {
        edge_key(thread.row, context::INTERRUPT, 0)
    } else {
        match context() {
            context::INTERRUPT => edge_key(thread.row, context::INTERRUPT, 0),
            context => edge_key(thread.row, context, (id >> 32) as u32),
        }
    };
    // Most threads are woken by the same one again and again.
    if sched.edge_key != key || sched.edge == 0 {
        sched.edge_key = key;
        sched.edge = edge(key);
    }
}

#[inline(never)]
fn edge(key: u64) -> u32 {
    let make = |id| {
        if let Some(edge) = slot(&EDGES, id) {
            edge.comm = kernel::process_comm();
            edge.key = key;
        }
    };
    let unmake = |id| {
        if let Some(edge) = slot(&EDGES, id) {
            edge.key = 0;
        }
    };
    match registry::fetch(&EDGE_IDS, &FREE_EDGES, &key, make, unmake) {
        Entry::Known(id) | Entry::New(id) => id,
        Entry::None => {
            loss::count(Slot::WakersFull);
            0
        }
    }
}

/// Records how long a woken thread waited.
#[inline(always)]
pub fn record(id: u32, waited: u64) {
    if id == 0 {
        return;
    }
    if let Some(edge) = slot(&EDGES, id) {
        pool::record_for(&mut edge.histogram, owner(purpose::EDGE, id), waited);
    }
}
