//! Targets. A thread's id leads to its slot through one flat array, so that a hook finds out with two inlined look-ups,
//! and a thread that is no target costs one.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    loss::Slot,
    target::{COMM_LEN, Row, TIDS_PER_BLOCK, Thread, UNTRACKED, phase, row_flag, thread_flag},
};

use crate::{
    config,
    kernel::{self, Object},
    loss,
    memory::{self, MMAPABLE, add32, slot},
    probes::{futex, sched},
    stage, tree,
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
        return if begins { retry(bpf_get_current_pid_tgid()) } else { None };
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

/// `PF_EXITING`: the end of the task has begun.
const EXITING: u32 = 4;

/// System-wide sessions meet threads as they make their first call. One whose end was seen is met no more: some hooks
/// run later than that.
#[inline(never)]
fn meet(id: u64) -> Option<&'static mut Thread> {
    let (tgid, tid) = ((id >> 32) as u32, id as u32);
    if tgid == config::OWN_TGID() || tgid == config::READER_TGID() || tid == 0 || !stage::has_begun() {
        return None;
    }
    if Object::current_task().word(config::TASK_FLAGS()) & EXITING != 0 {
        return None;
    }
    let process = known_or_new(tgid);
    join(tid, tgid, process, phase::FRESH);
    met(tid, process)
}

/// A thread that found no room begins a call: there may be some by now.
#[inline(never)]
fn retry(id: u64) -> Option<&'static mut Thread> {
    let (tgid, tid) = ((id >> 32) as u32, id as u32);
    if !stage::has_begun() {
        return None;
    }
    let process = known_or_new(tgid);
    if try_join(tid, tgid, process, phase::FRESH).is_none() {
        loss::count(Slot::UntrackedThread);
        return None;
    }
    met(tid, process)
}

/// The row of a process whose parent is not known, opened on first use.
#[inline(always)]
fn known_or_new(tgid: u32) -> u32 {
    match process_of(tgid) {
        0 => open_process(tgid, 0),
        row => row,
    }
}

/// The running thread, which has just got its slot.
#[inline(always)]
fn met(tid: u32, process: u32) -> Option<&'static mut Thread> {
    let thread = find(tid)?;
    let row = row(process)?;
    if row.comm[0] == 0 {
        row.comm = kernel::process_comm();
    }
    if row.flags & row_flag::ALONE != 0 {
        thread.flags = thread_flag::ALONE;
    }
    Some(thread)
}

/// A child of the running task was born: a thread, or a process where these are followed.
#[inline(always)]
pub fn born(tid: u32, tgid: u32, parent: Object) {
    let id = bpf_get_current_pid_tgid();
    let Some(seat) = seat_of(id as u32).map(|seat| *seat) else { return };
    let parent_tgid = (id >> 32) as u32;
    let same_process = tgid == parent_tgid;
    if seat == 0 && !same_process && config::FOLLOW_CHILDREN() != 0 && !stage::has_begun() {
        // Its parent may be a descendant of a target that has not been found yet.
        if tree::is_followed(parent) {
            join(tid, tgid, open_process(tgid, parent_tgid), phase::FRESH);
            name_child(tid);
        }
        return;
    }
    if seat == 0 || !(same_process || config::FOLLOW_CHILDREN() != 0 || config::EVERYBODY() != 0) {
        return;
    }
    let (process, is_alone) = if seat == UNTRACKED {
        let process = process_of(parent_tgid);
        (process, process != 0 && !is_whole(process))
    } else {
        let Some(parent) = slot(&THREADS, seat) else { return };
        (parent.process, parent.flags & thread_flag::ALONE != 0)
    };
    if is_alone {
        return;
    }
    let process = if same_process { process } else { open_process(tgid, parent_tgid) };
    // One that was born before the session is like all that were found.
    join(tid, tgid, process, if stage::has_begun() { phase::BORN } else { phase::FRESH });
    name_child(tid);
}

/// A child begins with the name of the running thread, its parent.
#[inline(always)]
fn name_child(tid: u32) {
    if let Some(thread) = find(tid) {
        rename(thread, bpf_get_current_comm().unwrap_or_default());
    }
}

/// Names the row of a thread that has one, and its process's with its first thread's name.
#[inline(always)]
pub fn rename(thread: &Thread, comm: [u8; COMM_LEN]) {
    if thread.tid == thread.tgid {
        name(thread.process, comm);
    }
    if thread.row != thread.process {
        name(thread.row, comm);
    }
}

/// Names a row, unless many processes share it.
#[inline(always)]
fn name(id: u32, comm: [u8; COMM_LEN]) {
    if let Some(row) = row(id).filter(|_| id != config::OTHERS()) {
        row.comm = comm;
    }
}

/// The row of a process that is followed; 0 where it is not.
#[inline(always)]
pub fn process_of(tgid: u32) -> u32 {
    let id = PROCESSES.get_ptr(tgid).map_or(0, memory::read);
    if id != 0
        && let Some(row) = row(id)
        && row.tgid == 0
    {
        // Another CPU has opened it and comes to this next: a row without a process is not read.
        row.tgid = tgid;
    }
    id
}

/// A row for a process: where there is none left, that of all for which there was none, or 0. CPUs that open the same
/// process at the same time get the same row.
#[inline(never)]
pub fn open_process(tgid: u32, parent: u32) -> u32 {
    let Ok(Some(id)) = FREE_ROWS.pop() else { return share_row(tgid) };
    let Some(row) = row(id) else { return 0 };
    (row.joined_ns, row.parent) = (kernel::now(), parent);
    if PROCESSES.insert(tgid, id, u64::from(BPF_NOEXIST)).is_ok() {
        row.tgid = tgid;
        return id;
    }
    (row.joined_ns, row.parent) = (0, 0);
    let _ = FREE_ROWS.push(id, 0);
    process_of(tgid)
}

#[inline(always)]
fn share_row(tgid: u32) -> u32 {
    let (known, others) = (process_of(tgid), config::OTHERS());
    if known != 0 || others == 0 {
        return known;
    }
    loss::count(Slot::ProcessesShared);
    // Its other threads find it by this. Without room for that, each of them comes here.
    let _ = PROCESSES.insert(tgid, others, u64::from(BPF_NOEXIST));
    others
}

/// Gives back the row of a process that ended before anything of it was counted.
#[inline(always)]
pub fn recycle(id: u32) {
    let Some(row) = row(id) else { return };
    (row.tgid, row.tid, row.parent, row.live) = (0, 0, 0, 0);
    (row.joined_ns, row.exited_ns, row.threads, row.exit_status) = (0, 0, 0, 0);
    (row.execs, row.flags, row.comm) = (0, 0, [0; COMM_LEN]);
    let _ = FREE_ROWS.push(id, 0);
}

/// A row for a thread; 0 where there is none left.
#[inline(always)]
fn open_thread(tid: u32, tgid: u32) -> u32 {
    let Ok(Some(id)) = FREE_ROWS.pop() else { return 0 };
    let Some(row) = row(id) else { return 0 };
    row.joined_ns = kernel::now();
    row.tid = tid;
    row.tgid = tgid;
    id
}

/// Seats a thread. Without a row or a free slot it is refused, and its calls are counted as lost until there is room.
#[inline(always)]
fn join(tid: u32, tgid: u32, process: u32, phase: u32) {
    if try_join(tid, tgid, process, phase).is_none() {
        refuse(tid);
    }
}

/// Seats a thread where there is room for it.
#[inline(always)]
fn try_join(tid: u32, tgid: u32, process: u32, phase: u32) -> Option<()> {
    if process == 0 {
        return None;
    }
    let (entry, row) = (seat_of(tid)?, row(process)?);
    let seat = FREE_THREADS.pop().ok()??;
    let own_row = if config::PER_THREAD() == 0 || process == config::OTHERS() {
        process
    } else {
        open_thread(tid, tgid)
    };
    let thread = slot(&THREADS, seat)?;
    if own_row == 0 {
        let _ = FREE_THREADS.push(seat, 0);
        return None;
    }
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
    Some(())
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

/// True if a row is of a process that is followed as a whole.
#[inline(always)]
pub fn is_whole(id: u32) -> bool {
    id != 0 && row(id).is_some_and(|row| row.flags & row_flag::ALONE == 0)
}

/// The process has no thread left. Tells whether this is seen for the first time: its last threads may end at once.
#[inline(always)]
pub fn close_process(tgid: u32) -> bool {
    PROCESSES.remove(tgid).is_ok()
}
