//! Who is traced. A thread's id leads to its slot through one flat array, so that a hook finds out with two inlined
//! look-ups, and a thread that is nobody's business costs one.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    loss::Slot,
    target::{Row, TIDS_PER_BLOCK, Thread, UNTRACKED, phase, thread_flag},
};

use crate::{
    config, kernel, loss,
    memory::{self, MMAPABLE, add32, slot},
    probes::{futex, sched},
    stage,
};

/// Thread id to seat, in blocks because the kernel pads a value to eight bytes; as long as `pid_max`.
#[map]
static TIDS: Array<[u32; TIDS_PER_BLOCK]> = Array::with_max_entries(1, MMAPABLE);
#[map]
static THREADS: Array<Thread> = Array::with_max_entries(1, MMAPABLE);
#[map]
static FREE_THREADS: Queue<u32> = Queue::with_max_entries(1, 0);
#[map]
static ROWS: Array<Row> = Array::with_max_entries(1, MMAPABLE);
#[map]
static FREE_ROWS: Queue<u32> = Queue::with_max_entries(1, 0);
/// Process id to row.
#[map]
static PROCESSES: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

#[inline(always)]
fn seat_of(tid: u32) -> Option<&'static mut u32> {
    slot(&TIDS, tid / TIDS_PER_BLOCK as u32)?.get_mut(tid as usize % TIDS_PER_BLOCK)
}

/// The seat of a thread; 0 for one that is no target or found no room.
#[inline(always)]
pub fn seat(tid: u32) -> u32 {
    match seat_of(tid) {
        Some(seat) if *seat != UNTRACKED => *seat,
        _ => 0,
    }
}

/// The thread in a seat.
#[inline(always)]
pub fn seated(seat: u32) -> Option<&'static mut Thread> {
    slot(&THREADS, seat)
}

/// The running thread, if it is a target. Calls of one that found no room are lost, each where it begins.
#[inline(always)]
pub fn admit(begins: bool) -> Option<&'static mut Thread> {
    admit_as(running(), begins)
}

/// The running thread's id.
#[inline(always)]
pub fn running() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The same as [`admit`] for who knows the running thread's id.
#[inline(always)]
pub fn admit_as(tid: u32, begins: bool) -> Option<&'static mut Thread> {
    let seat = *seat_of(tid)?;
    if seat == 0 {
        return if config::EVERYBODY() == 0 { None } else { meet(bpf_get_current_pid_tgid()) };
    }
    if seat == UNTRACKED {
        if begins {
            loss::count(Slot::UntrackedThread);
        }
        return None;
    }
    slot(&THREADS, seat)
}

/// The thread with this id, if it is a target that found room.
#[inline(always)]
pub fn find(tid: u32) -> Option<&'static mut Thread> {
    let seat = *seat_of(tid)?;
    if seat == 0 || seat == UNTRACKED { None } else { slot(&THREADS, seat) }
}

/// The row with this id.
#[inline(always)]
pub fn row(id: u32) -> Option<&'static mut Row> {
    slot(&ROWS, id)
}

/// System-wide sessions meet threads as they make their first call.
#[inline(never)]
fn meet(id: u64) -> Option<&'static mut Thread> {
    let (tgid, tid) = ((id >> 32) as u32, id as u32);
    if tgid == config::OWN_TGID() || tid == 0 || !stage::has_begun() {
        return None;
    }
    let process = match PROCESSES.get_ptr(tgid) {
        Some(row) => memory::read(row),
        None => open_process(tgid, 0),
    };
    join(tid, tgid, process, phase::FRESH);
    if let Some(row) = row(process)
        && row.comm[0] == 0
    {
        row.comm = kernel::process_comm();
    }
    find(tid)
}

/// A child of the running task was born: a thread, or a process where these are followed.
#[inline(always)]
pub fn born(tid: u32, tgid: u32) {
    let id = bpf_get_current_pid_tgid();
    let Some(seat) = seat_of(id as u32).map(|seat| *seat) else { return };
    let same_process = tgid == (id >> 32) as u32;
    if seat == 0 || !(same_process || config::FOLLOW_CHILDREN() != 0) {
        return;
    }
    if seat == UNTRACKED {
        return refuse(tid);
    }
    let Some(parent) = slot(&THREADS, seat) else { return };
    if parent.flags & thread_flag::ALONE != 0 {
        return;
    }
    let process = if same_process { parent.process } else { open_process(tgid, parent.tgid) };
    // One that was born before the session is like all that were found.
    join(tid, tgid, process, if stage::has_begun() { phase::BORN } else { phase::FRESH });
    if !same_process && let Some(row) = row(process) {
        row.comm = bpf_get_current_comm().unwrap_or_default();
    }
    // A child begins with its parent's name.
    if config::PER_THREAD() != 0
        && let Some(thread) = find(tid)
        && let Some(row) = row(thread.row)
    {
        row.comm = bpf_get_current_comm().unwrap_or_default();
    }
}

/// A row for a process; 0 where there is none left.
#[inline(always)]
fn open_process(tgid: u32, parent: u32) -> u32 {
    let row = open_row(tgid, 0, parent);
    if row != 0 && PROCESSES.insert(tgid, row, 0).is_err() {
        loss::count(Slot::TargetsFull);
    }
    row
}

/// A fresh row; 0 where there is none left.
#[inline(always)]
fn open_row(tgid: u32, tid: u32, parent: u32) -> u32 {
    let Ok(Some(id)) = FREE_ROWS.pop() else { return 0 };
    let Some(row) = row(id) else { return 0 };
    row.joined_ns = kernel::now();
    row.parent = parent;
    row.tid = tid;
    row.tgid = tgid;
    id
}

/// Seats a thread. Without a row or a free slot it is refused, and its calls are counted as lost.
#[inline(always)]
fn join(tid: u32, tgid: u32, process: u32, phase: u32) {
    let own_row = if config::PER_THREAD() == 0 || process == 0 { process } else { open_row(tgid, tid, 0) };
    if own_row == 0 {
        return refuse(tid);
    }
    let Ok(Some(seat)) = FREE_THREADS.pop() else { return refuse(tid) };
    let (Some(thread), Some(entry), Some(row)) = (slot(&THREADS, seat), seat_of(tid), row(process)) else {
        return;
    };
    thread.call = 0;
    thread.phase = phase;
    thread.row = own_row;
    thread.process = process;
    thread.tid = tid;
    thread.tgid = tgid;
    thread.flags = 0;
    thread.seat = seat;
    thread.in_calls_ns = 0;
    thread.blocked_ns = 0;
    thread.queued_ns = 0;
    sched::begin(seat, phase == phase::BORN);
    futex::begin(seat);
    add32(&mut row.live, 1);
    add32(&mut row.threads, 1);
    *entry = seat;
}

#[inline(always)]
fn refuse(tid: u32) {
    loss::count(Slot::TargetsFull);
    if let Some(entry) = seat_of(tid) {
        *entry = UNTRACKED;
    }
}

/// The running thread replaced its program and took over the id of its process's first thread.
#[inline(always)]
pub fn moved(old_tid: u32, tid: u32) {
    let (Some(old), Some(new)) = (seat_of(old_tid), seat_of(tid)) else { return };
    *new = *old;
    *old = 0;
    if let Some(thread) = find(tid) {
        thread.tid = tid;
    }
}

/// The running thread is dying: frees its slot. Its row stays until userspace has read it.
#[inline(always)]
pub fn leave(tid: u32) {
    let Some(entry) = seat_of(tid) else { return };
    let seat = *entry;
    *entry = 0;
    if seat == 0 || seat == UNTRACKED {
        return;
    }
    if let Some(thread) = slot(&THREADS, seat) {
        thread.tid = 0;
        thread.call = 0;
    }
    // The queue holds exactly as many ids as there are slots, so there is always room for one that comes back.
    let _ = FREE_THREADS.push(seat, 0);
}

/// The process has no thread left.
#[inline(always)]
pub fn close_process(tgid: u32) {
    let _ = PROCESSES.remove(tgid);
}
