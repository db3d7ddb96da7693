//! Copies a piece of the running thread's stack, for userspace to follow: a few of many, so that it costs next to
//! nothing.

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_prandom_u32, bpf_probe_read_user},
    },
    macros::map,
    maps::RingBuf,
};
use pulse_trace_common::{
    loss::Slot,
    stack::{BYTES, Copied, distance},
};

use crate::{config, loss, probes::lifecycle, targets};

/// Userspace makes it longer.
#[map]
static STACKS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Flag: submitting does not wake the reader of the ring. Copies are read when another event wakes it.
const NO_WAKEUP: u64 = 1;
/// Question to the ring: how many bytes lie in it.
const UNREAD: u64 = 0;
/// As many unread copies are reason to call userspace: a quarter of the ring.
const MANY: u64 = 512 << 10;
const PAGE: u64 = 4096;

/// Number of events that the stack of this one is to stand for, given the number of events before; 0 where it is not to
/// be taken. Left to chance, a random number: threads that take turns would otherwise be seen at the same
/// place each time.
#[inline(always)]
pub fn weight(events: u64, chance: impl FnOnce() -> u32) -> u32 {
    if config::TAKE_STACKS() == 0 {
        return 0;
    }
    let distance = distance(events);
    if distance > 1 && chance() & (distance - 1) != 0 {
        return 0;
    }
    distance
}

/// A random number.
#[inline(always)]
pub fn chance() -> u32 {
    // SAFETY: makes up a number.
    unsafe { bpf_get_prandom_u32() as u32 }
}

/// Copies the running thread's stack for an owner, from these registers on.
#[inline(never)]
pub fn take(owner: u64, ip: u64, sp: u64, bp: u64, lr: u64) {
    let Some(mut record) = STACKS.reserve::<Copied>(0) else { return loss::count(Slot::StacksLost) };
    let id = bpf_get_current_pid_tgid();
    let process = targets::find(id as u32).and_then(|thread| targets::row(thread.process));
    let copied = record.as_mut_ptr();
    // SAFETY: the record is reserved, aligned to eight bytes, and plain integers; no other program or process sees it
    // before `submit`.
    let length = unsafe {
        (*copied).owner = owner;
        (*copied).ip = ip;
        (*copied).sp = sp;
        (*copied).bp = bp;
        (*copied).lr = lr;
        (*copied).tgid = (id >> 32) as u32;
        (*copied).execs = process.map_or(0, |row| row.execs);
        (*copied).padding = 0;
        let length = copy(sp, (&raw mut (*copied).bytes).cast());
        (*copied).length = length;
        length
    };
    if length == 0 {
        record.discard(NO_WAKEUP);
        return loss::count(Slot::StackUnreadable);
    }
    record.submit(NO_WAKEUP);
    if STACKS.query(UNREAD) > MANY {
        lifecycle::call_userspace(0, (id >> 32) as u32);
    }
}

/// Copies what is there: all of it, or what lies before the end of the first page. Tells how much. Above the first
/// frame of a thread glibc keeps more than two KiB of its own, and the kernel the environment above that of a
/// process: the second case is one of other stacks.
///
/// # Safety
/// There must be room for [`BYTES`].
#[inline(always)]
unsafe fn copy(sp: u64, to: *mut u8) -> u32 {
    // SAFETY: the helper checks the address and fails instead of faulting; the caller vouches for the room.
    let read = |length: u32| unsafe { bpf_probe_read_user(to.cast(), length, sp as *const _) } == 0;
    if read(BYTES as u32) {
        return BYTES as u32;
    }
    let rest = (PAGE - (sp & (PAGE - 1))) as u32 & (BYTES as u32 - 1);
    if read(rest) { rest } else { 0 }
}
