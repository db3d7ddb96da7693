//! Who wakes whom: a part of the `sched` probe.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::sched::{Edge, Sched, context, edge_key},
    target::Thread,
};

use crate::{
    loss,
    memory::{MMAPABLE, slot},
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

/// Notes who wakes a thread: the running task, or nobody where an interrupt does.
#[inline(always)]
pub fn note(thread: &Thread, sched: &mut Sched, context: impl Fn() -> u64) {
    let id = bpf_get_current_pid_tgid();
    let key = if id as u32 == 0 {
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
            edge.comm = bpf_get_current_comm().unwrap_or_default();
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
