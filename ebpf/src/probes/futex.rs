//! Operations on each futex, and the holder of its mutex. Called by the hooks of the system calls.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, Queue},
};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::futex::{
        Futex, HOLDERS as RECENT_HOLDERS, Holder, Mutex, OTHERS, RECENT, SHARED, TID_MASK, UNSEEN, Waiting,
        asked, error_index, holder_key, key, kind, looks_held, next_chance, op, recent_at,
    },
    stack,
    target::Thread,
};

use crate::{
    config, holds, kernel, loss,
    memory::{MMAPABLE, add, add32, element, slot},
    pool,
    probes::{lifecycle, sched},
    registry::{self, Entry},
    stacks, targets,
};

/// After so many calls on futexes without an entry of their own, userspace is called to make room.
const CALL_EVERY: u64 = 256;

/// Operations on futexes.
#[map]
static FUTEXES: Array<Futex> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused entries.
#[map]
static FREE_FUTEXES: Queue<u32> = Queue::with_max_entries(1, 0);
/// Those of them that are for futexes without an entry of their own.
#[map]
static FREE_OTHER_FUTEXES: Queue<u32> = Queue::with_max_entries(1, 0);
/// Key to entry.
#[map]
static FUTEX_IDS: HashMap<[u64; 2], u32> = HashMap::with_max_entries(1, 0);
/// Threads that were found to hold a lock, with counts.
#[map]
static HOLDERS: Array<Holder> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused holders.
#[map]
static FREE_HOLDERS: Queue<u32> = Queue::with_max_entries(1, 0);
/// Key to holder.
#[map]
static HOLDER_IDS: HashMap<u64, u32> = HashMap::with_max_entries(1, 0);
/// State of futex calls, by seat.
#[map]
static WAITING: Array<Waiting> = Array::with_max_entries(1, MMAPABLE);
/// Set by userspace while calls that begin are not to be looked at.
#[map]
static FUTEX_OFF: Array<u64> = Array::with_max_entries(1, 0);

/// Reports whether this probe is about the call. One comparison; none where the probe is off.
#[inline(always)]
pub fn is_one(call: u32) -> bool {
    config::PROBE_FUTEX() != 0 && call == config::FUTEX()
}

/// Reports whether this is a call that may sleep, and is therefore timed.
#[inline(always)]
pub fn waits(command: u32) -> bool {
    is_wait(asked(command) & !SHARED)
}

#[inline(always)]
fn is_wait(op: u32) -> bool {
    matches!(
        op,
        op::WAIT | op::WAIT_BITSET | op::LOCK_PI | op::LOCK_PI2 | op::WAIT_REQUEUE_PI | op::WAITV | op::WAIT2
    )
}

/// End of the call that a thread is in: of one that may sleep by the clock, of another as of the tick before.
#[inline(always)]
pub fn now(seat: u32) -> u64 {
    match slot(&WAITING, seat) {
        Some(waiting) if !is_wait(waiting.op & !SHARED) => {
            let tick = kernel::tick();
            if waiting.tick != tick {
                (waiting.tick, waiting.tick_ns) = (tick, kernel::now());
            }
            waiting.tick_ns
        }
        _ => kernel::now(),
    }
}

/// A call begins. Tells for what its stack is to be taken; 0 where it is not. Like [`exit`], part of its only hot
/// caller: the return from a function costs more than what most of these do.
#[inline(always)]
pub fn enter(thread: &Thread, address: u64, asked: u32, expected: u32) -> u64 {
    let Some(waiting) = begun(thread.seat) else { return 0 };
    (waiting.op, waiting.expected) = (asked, expected);
    waiting.entry = entry(thread, waiting, address);
    if waiting.entry == 0 {
        return 0;
    }
    match waiting.op & !SHARED {
        op::WAIT | op::WAIT_BITSET | op::LOCK_PI | op::LOCK_PI2 | op::WAIT2 => look(thread, waiting, address),
        op::WAIT_REQUEUE_PI => {}
        _ => {
            remember_use(waiting);
            return 0;
        }
    }
    remember_use(waiting);
    stack_of(thread, waiting)
}

/// Remembers which use of its entry the call of a thread is about.
#[inline(always)]
pub(super) fn remember_use(waiting: &mut Waiting) {
    waiting.expected = slot(&FUTEXES, waiting.entry).map_or(0, |futex| futex.generation);
}

/// State of the call that a thread begins; `None` where it is not to be looked at.
#[inline(always)]
pub(super) fn begun(seat: u32) -> Option<&'static mut Waiting> {
    let waiting = slot(&WAITING, seat)?;
    if FUTEX_OFF.get(0).is_some_and(|off| *off != 0) {
        (waiting.op, waiting.entry) = (UNSEEN, 0);
        return None;
    }
    Some(waiting)
}

/// State of the call that a thread is in.
#[inline(always)]
pub(super) fn waiting(seat: u32) -> Option<&'static mut Waiting> {
    slot(&WAITING, seat)
}

/// Owner of the stack to take for this wait; 0 if none is to be taken.
#[inline(always)]
pub(super) fn stack_of(thread: &Thread, waiting: &mut Waiting) -> u64 {
    let id = waiting.entry;
    let Some(futex) = slot(&FUTEXES, id) else { return 0 };
    if futex.address == OTHERS {
        return 0;
    }
    let weight = stacks::weight(futex.count, || chance(waiting));
    if weight == 0 {
        return 0;
    }
    if futex.count == 0 {
        // Whose code it is can be found out while the process lives.
        lifecycle::call_userspace(thread.process, thread.tgid);
    }
    stack::owner(stack::kind::FUTEX, id, weight)
}

/// A random number of the thread's own: the next of a sequence that the kernel's begins, without a call into
/// it each time.
#[inline(always)]
fn chance(waiting: &mut Waiting) -> u32 {
    if waiting.chance == 0 {
        waiting.chance = stacks::chance() | 1;
    }
    waiting.chance = next_chance(waiting.chance);
    waiting.chance
}

/// The entry of an operation on a futex; 0 where there is none left. What the thread used last is tried first: an entry
/// says itself whose it is.
#[inline(always)]
pub(super) fn entry(thread: &Thread, waiting: &mut Waiting, address: u64) -> u32 {
    let op = waiting.op;
    // Addresses of different processes are no futex together.
    let address = if thread.process == config::OTHERS() { OTHERS } else { address };
    let Some(recent) = element(&mut waiting.recent, recent_at(address, op)) else { return 0 };
    if let Some(futex) = slot(&FUTEXES, *recent)
        && futex.address == address
        && futex.op == op
        && futex.row == thread.process
    {
        return *recent;
    }
    *recent = known_or_new(thread, address, op);
    *recent
}

/// A thread has got this seat: what the one before it used is none of its business.
#[inline(always)]
pub fn begin(seat: u32) {
    if config::PROBE_FUTEX() != 0
        && let Some(waiting) = slot(&WAITING, seat)
    {
        (waiting.recent, waiting.tick) = ([0; RECENT], 0);
    }
}

/// The same by its key, made on first use.
#[inline(never)]
fn known_or_new(thread: &Thread, address: u64, op: u32) -> u32 {
    if address == OTHERS {
        return others(thread, op);
    }
    let id = match fetch(thread.process, op, address, &FREE_FUTEXES) {
        Entry::Known(id) => return id,
        Entry::New(id) => id,
        Entry::None => return others(thread, op),
    };
    if op & SHARED != 0 {
        // What is mapped there can be found out while the process lives.
        lifecycle::call_userspace(thread.process, thread.tgid);
    }
    id
}

#[inline(always)]
fn fetch(row: u32, op: u32, address: u64, free: &Queue<u32>) -> Entry {
    let make = |id| {
        if let Some(futex) = slot(&FUTEXES, id) {
            (futex.address, futex.op, futex.row) = (address, op, row);
        }
    };
    let unmake = |id| {
        if let Some(futex) = slot(&FUTEXES, id) {
            futex.row = 0;
        }
    };
    registry::fetch(&FUTEX_IDS, free, &key(row, op, address), make, unmake)
}

/// The entry of all futexes of a process and operation that have none of their own. Userspace, which takes entries
/// from cold futexes, is called for the first such call, and then now and again.
#[inline(never)]
fn others(thread: &Thread, op: u32) -> u32 {
    let (Entry::Known(id) | Entry::New(id)) = fetch(thread.process, op, OTHERS, &FREE_OTHER_FUTEXES) else {
        return 0;
    };
    if thread.process != config::OTHERS()
        && slot(&FUTEXES, id).is_some_and(|futex| futex.count % CALL_EVERY == 0)
    {
        lifecycle::call_userspace(thread.process, thread.tgid);
    }
    id
}

/// Reads the memory at the address: what is a mutex that a followed thread holds, looks like one. Where the word has
/// changed since the program looked, the lock has just been released, and nothing can be said.
#[inline(always)]
fn look(thread: &Thread, waiting: &Waiting, address: u64) {
    let (id, op) = (waiting.entry, waiting.op & !SHARED);
    let Some(futex) = slot(&FUTEXES, id) else { return };
    if futex.address == OTHERS {
        return;
    }
    let Some(mutex) = kernel::user::<Mutex>(address) else { return add(&mut futex.unlike_mutex, 1) };
    let released = if matches!(op, op::WAIT | op::WAIT_BITSET | op::WAIT2) {
        mutex.word != waiting.expected
    } else {
        mutex.word & TID_MASK == 0
    };
    if released {
        return;
    }
    if !looks_held(&mutex) || !is_followed(thread, mutex.owner, waiting.op & SHARED != 0) {
        return add(&mut futex.unlike_mutex, 1);
    }
    // Before the wait is counted as one with a holder: who reads that count finds the holder too.
    held_by(futex, holder_key(id, mutex.owner), mutex.owner);
    add(&mut futex.like_mutex, 1);
    futex.kind = mutex.kind;
    if mutex.kind & (kind::FORM | kind::ROBUST | kind::INHERITS | kind::PROTECTS) == kind::ADAPTIVE {
        let spins = (mutex.spins as i16).max(0) as u64;
        distribute(futex, id, purpose::FUTEX_SPINS, spins);
    }
}

/// Reports whether this thread id can be that of a lock's holder: a followed thread of the same process, or of any
/// where the lock is shared.
#[inline(always)]
fn is_followed(thread: &Thread, tid: u32, shared: bool) -> bool {
    targets::find(tid).is_some_and(|holder| shared || holder.tgid == thread.tgid)
}

/// Counts for a holder. Those that were found last are tried first: each says itself whose it is.
#[inline(always)]
fn held_by(futex: &mut Futex, key: u64, tid: u32) {
    let Some(recent) = element(&mut futex.recent, tid as usize % RECENT_HOLDERS) else { return };
    // Read once: other threads may wait for the same lock, and find another holder.
    if let Some(holder) = slot(&HOLDERS, *recent)
        && holder.key == key
    {
        return add(&mut holder.count, 1);
    }
    let id = known_or_new_holder(key);
    match slot(&HOLDERS, id) {
        Some(holder) if id != 0 => {
            *recent = id;
            add(&mut holder.count, 1);
        }
        _ => loss::count(Slot::HoldersFull),
    }
}

#[inline(never)]
fn known_or_new_holder(key: u64) -> u32 {
    let set = |id, key| {
        if let Some(holder) = slot(&HOLDERS, id) {
            holder.key = key;
        }
    };
    match registry::fetch(&HOLDER_IDS, &FREE_HOLDERS, &key, |id| set(id, key), |id| set(id, 0)) {
        Entry::Known(id) | Entry::New(id) => id,
        Entry::None => 0,
    }
}

/// A call ended of which nothing else is known.
#[inline(always)]
pub fn ended(thread: &Thread, now: u64) -> Option<&'static mut Futex> {
    let waiting = slot(&WAITING, thread.seat)?;
    if waiting.entry == 0 {
        if waiting.op != UNSEEN {
            loss::count(Slot::FutexesFull);
        }
        return None;
    }
    let mut futex = slot(&FUTEXES, waiting.entry)?;
    if futex.generation != waiting.expected {
        // It was cold and has been taken away while this call waited.
        waiting.entry = others(thread, waiting.op);
        futex = slot(&FUTEXES, waiting.entry)?;
    }
    add(&mut futex.count, 1);
    if futex.first_ns == 0 {
        futex.first_ns = now;
    }
    futex.last_ns = now;
    Some(futex)
}

/// A call, which had the address as its first argument, ended with a result, after so long a time, if that is known.
#[inline(always)]
pub fn exit(thread: &Thread, address: impl FnOnce() -> u64, ret: u64, now: u64) {
    let Some(futex) = ended(thread, now) else { return };
    let Some(waiting) = slot(&WAITING, thread.seat) else { return };
    let failed = (ret as i64) < 0;
    if failed
        && let Some(counter) = element(&mut futex.errors, error_index(ret.wrapping_neg() as u32) as usize)
    {
        add32(counter, 1);
    }
    match waiting.op & !SHARED {
        op if is_wait(op) => {
            let address = if futex.address == OTHERS { address() } else { futex.address };
            holds::waited(thread.seat, address, || now);
            waited(thread, futex, waiting.entry, now);
        }
        op::WAKE
        | op::WAKE_BITSET
        | op::WAKE_OP
        | op::REQUEUE
        | op::CMP_REQUEUE
        | op::CMP_REQUEUE_PI
        | op::WAKE2
        | op::REQUEUE2 => {
            if ret == 0 {
                add(&mut futex.vain, 1);
            } else if !failed {
                add(&mut futex.woken, ret);
            }
        }
        _ => {}
    }
}

/// Records the duration of a wait and, if it slept, its blocked and run-queue parts.
#[inline(always)]
fn waited(thread: &Thread, futex: &mut Futex, id: u32, now: u64) {
    let elapsed = now.wrapping_sub(thread.entered_ns);
    if (elapsed as i64) < 0 {
        return;
    }
    distribute(futex, id, purpose::FUTEX_WAIT, elapsed);
    if let Some((woken, ran)) = sched::last_wakeup(thread.seat)
        && woken >= thread.entered_ns
        && ran >= woken
        && now >= ran
    {
        distribute(futex, id, purpose::FUTEX_BLOCKED, woken - thread.entered_ns);
        distribute(futex, id, purpose::FUTEX_RUN_QUEUE, ran - woken);
    }
}

/// Adds to one of an entry's distributions.
#[inline(always)]
fn distribute(futex: &mut Futex, id: u32, purpose: u64, value: u64) {
    if let Some(histogram) = futex.histograms.get_mut((purpose - purpose::FUTEX_WAIT) as usize) {
        pool::record_for(histogram, owner(purpose, id), value);
    }
}
