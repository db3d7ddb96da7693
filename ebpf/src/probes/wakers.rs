//! Edges from wakers to woken threads: a part of the `sched` probe.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::sched::{Edge, MAX_PROGRAMS, OTHERS, Sched, context, edge_key, edge_parts, program},
    target::Thread,
};

use crate::{
    config, kernel, loss,
    memory::{MMAPABLE, add32, slot},
    pool,
    probes::{accounts, interrupts},
    registry::{self, Entry},
    targets,
};

/// Pairs of waker and woken row.
#[map]
static EDGES: Array<Edge> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused edges.
#[map]
static FREE_EDGES: Queue<u32> = Queue::with_max_entries(1, 0);
/// Key to pair.
#[map]
static EDGE_IDS: HashMap<u64, u32> = HashMap::with_max_entries(1, 0);

/// Notes what wakes a thread: an interrupt, or the running task. `name` reads that of its process.
#[inline(always)]
pub fn note(thread: &Thread, sched: &mut Sched, name: impl Fn() -> [u64; 2]) {
    let id = bpf_get_current_pid_tgid();
    let (source, row) = (interrupts::source(), thread.row);
    let key = if source != 0 || id as u32 == 0 {
        edge_key(row, context::INTERRUPT, u64::from(source))
    } else if is_stranger((id >> 32) as u32, id as u32, thread) {
        edge_key(row, context::PROGRAM, program(name()))
    } else {
        edge_key(row, context::TASK, id >> 32)
    };
    // Most threads are woken by the same one again and again.
    if sched.edge_key != key || sched.edge == 0 {
        find(sched, key, row);
    }
}

/// True if a waker is told apart by its program only. Where every process is a target, all but the woken one's own are.
#[inline(always)]
fn is_stranger(tgid: u32, tid: u32, thread: &Thread) -> bool {
    tgid != thread.tgid && (config::EVERYBODY() != 0 || targets::seat(tid) == 0)
}

#[inline(never)]
fn find(sched: &mut Sched, key: u64, row: u32) {
    let (_, made_in, value) = edge_parts(key);
    let mut is_new_program =
        made_in == context::PROGRAM && value != OTHERS && EDGE_IDS.get_ptr(key).is_none();
    let mut key = key;
    if is_new_program && accounts::programs(row).is_none_or(|programs| *programs >= MAX_PROGRAMS) {
        is_new_program = false;
        key = edge_key(row, context::PROGRAM, OTHERS);
    }
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
    sched.edge_key = key;
    sched.edge = match registry::fetch(&EDGE_IDS, &FREE_EDGES, &key, make, unmake) {
        Entry::New(id) => {
            if is_new_program && let Some(programs) = accounts::programs(row) {
                add32(programs, 1);
            }
            id
        }
        Entry::Known(id) => id,
        Entry::None => {
            loss::count(Slot::WakersFull);
            0
        }
    };
}

/// Records how long a woken thread waited. Userspace may have given its waker's pair back meanwhile.
#[inline(always)]
pub fn record(sched: &mut Sched, row: u32, waited: u64) {
    if sched.edge == 0 {
        return;
    }
    if slot(&EDGES, sched.edge).is_some_and(|edge| edge.key != sched.edge_key) {
        find(sched, edge_key(row, context::PROGRAM, OTHERS), row);
    }
    if let Some(edge) = slot(&EDGES, sched.edge) {
        pool::record_for(&mut edge.histogram, owner(purpose::EDGE, sched.edge), waited);
    }
}
