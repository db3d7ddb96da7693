//! Sites on the contended paths of locks, in the code of targets. The trap that leads here costs more than all that is
//! done here, and some of it runs with the lock held: look up, count, leave.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_get_current_pid_tgid,
    macros::{map, uprobe},
    maps::{Array, HashMap, PerCpuArray, Queue},
    programs::ProbeContext,
};
use pulse_trace_common::{
    loss::Slot,
    pool::{owner, purpose},
    probes::{
        futex::{self, kind},
        mutex::{Mutex, NO_KIND, Site, Spinning, class, key, layout, role, which},
    },
    stack,
    target::Thread,
};

use crate::{
    config, holds,
    kernel::{self, Object},
    loss,
    memory::{self, MMAPABLE, add, slot},
    pool,
    probes::lifecycle,
    registry::{self, Entry},
    stacks, stage, targets,
};

/// Contended locks. The first belongs to no lock: calibration writes to it.
#[map]
static MUTEXES: Array<Mutex> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused entries.
#[map]
static FREE_MUTEXES: Queue<u32> = Queue::with_max_entries(1, 0);
/// Key to entry.
#[map]
static MUTEX_IDS: HashMap<[u64; 2], u32> = HashMap::with_max_entries(1, 0);
/// Contended acquisitions in flight, by seat.
#[map]
static SPINNING: Array<Spinning> = Array::with_max_entries(1, MMAPABLE);
/// Hits, by class of the site.
#[map]
static TRAPS: PerCpuArray<[u64; class::COUNT]> = PerCpuArray::with_max_entries(1, 0);

/// Offset of the byte in glibc's `pthread_rwlock_t` that says that other processes may use it.
const RWLOCK_SHARED: u64 = 28;

/// `struct pt_regs *regs`
///
/// On sites of targets' code, which the cookie describes.
#[uprobe]
pub fn mutex_site(ctx: ProbeContext) -> u32 {
    let site = Site::of(kernel::cookie(&ctx));
    trapped(site.class);
    let _ = hit(site, Object::at(ctx.as_ptr() as u64));
    0
}

/// Counts a hit: each one costs, also those that record nothing.
#[inline(always)]
fn trapped(class: u8) {
    if let Some(traps) = TRAPS.get_ptr_mut(0) {
        memory::bump_at(traps, class as usize % class::COUNT);
    }
}

#[inline(always)]
fn hit(site: Site, registers: Object) -> Option<()> {
    let register = |at: u8| registers.double(u32::from(at) * 8);
    let address = register(site.lock);
    if site.role == role::CALIBRATION {
        return calibrate(address);
    }
    let thread = targets::find(bpf_get_current_pid_tgid() as u32)?;
    if !stage::is_session() {
        return None;
    }
    if site.role == role::RELEASE {
        let (id, elapsed) = holds::release(thread.seat, address, kernel::now())?;
        distribute(slot(&MUTEXES, id)?, id, purpose::MUTEX_HOLD, elapsed);
        return Some(());
    }
    let spinning = slot(&SPINNING, thread.seat)?;
    let id = entry(thread, spinning, site, address);
    let mutex = slot(&MUTEXES, id).filter(|_| id != 0)?;
    let contended = mutex.contended;
    match site.role {
        role::SPIN_BEGIN => spinning.began_ns = kernel::now(),
        role::SPIN_END => {
            add(&mut mutex.contended, 1);
            distribute(mutex, id, purpose::MUTEX_SPINS, u64::from(register(site.count) as u32));
            ended(mutex, id, spinning);
        }
        role::GAVE_UP => add(&mut mutex.gave_up, 1),
        role::WAIT_AFTER_SPIN => add(&mut mutex.waits, 1),
        role::TIMED_WAIT if mutex.kind & kind::FORM == kind::ADAPTIVE => add(&mut mutex.waits, 1),
        role::WAIT | role::TIMED_WAIT => {
            add(&mut mutex.contended, 1);
            add(&mut mutex.waits, 1);
        }
        role::SLOW_PATH => add(&mut mutex.contended, 1),
        role::TAKE | role::TRY => {
            holds::take(thread.seat, id, address, mutex.kind, site.role == role::TRY);
        }
        role::CALL => add(&mut mutex.calls, 1),
        _ => {}
    }
    if mutex.contended != contended {
        holds::waited(thread.seat, address, kernel::now);
        take_stack(id, contended, registers);
    }
    Some(())
}

/// Takes the stack of a contended acquisition, for a sample of them.
#[inline(always)]
fn take_stack(id: u32, contended: u64, registers: Object) {
    let weight = stacks::weight(contended, stacks::chance);
    if weight != 0 {
        stacks::take(
            stack::owner(stack::kind::MUTEX, id, weight),
            registers.double(config::REGS_IP()),
            registers.double(config::REGS_SP()),
            registers.double(config::REGS_BP()),
            registers.double(config::REGS_LR()),
        );
    }
}

/// Does the work of a target's hit, without recording it for any target.
#[inline(always)]
fn calibrate(address: u64) -> Option<()> {
    let _ = MUTEX_IDS.get_ptr([address, 0]);
    let mutex = slot(&MUTEXES, 0)?;
    add(&mut mutex.contended, 1);
    pool::record(0, address & 0x3f);
    Some(())
}

/// Records the duration of the spin, if its beginning was seen.
#[inline(always)]
fn ended(mutex: &mut Mutex, id: u32, spinning: &mut Spinning) {
    if spinning.began_ns != 0 {
        let elapsed = kernel::now().wrapping_sub(spinning.began_ns);
        spinning.began_ns = 0;
        if (elapsed as i64) >= 0 {
            distribute(mutex, id, purpose::MUTEX_SPIN_TIME, elapsed);
        }
    }
}

/// The entry of a lock, made on first use; 0 where there is none left. A thread mostly passes several sites
/// with one lock.
#[inline(always)]
fn entry(thread: &Thread, spinning: &mut Spinning, site: Site, address: u64) -> u32 {
    let which = which(site);
    if let Some(last) = slot(&MUTEXES, spinning.entry)
        && last.address == address
        && last.row == thread.process
        && last.which == which
    {
        return spinning.entry;
    }
    let id = known_or_new(thread, which, address);
    spinning.entry = id;
    id
}

#[inline(never)]
fn known_or_new(thread: &Thread, which: u32, address: u64) -> u32 {
    let make = |id| {
        if let Some(mutex) = slot(&MUTEXES, id) {
            look(mutex, which as u8, address);
            (mutex.address, mutex.which, mutex.row) = (address, which, thread.process);
        }
    };
    let unmake = |id| {
        if let Some(mutex) = slot(&MUTEXES, id) {
            mutex.row = 0;
        }
    };
    let key = key(thread.process, which, address);
    match registry::fetch(&MUTEX_IDS, &FREE_MUTEXES, &key, make, unmake) {
        Entry::Known(id) => id,
        Entry::New(id) => {
            if slot(&MUTEXES, id).is_some_and(|mutex| mutex.shared != 0) {
                // What is mapped there can be found out while the process lives.
                lifecycle::call_userspace(thread.process, thread.tgid);
            }
            id
        }
        Entry::None => {
            loss::count(Slot::MutexesFull);
            0
        }
    }
}

/// Reads of a lock what does not change while it is used.
#[inline(always)]
fn look(mutex: &mut Mutex, layout: u8, address: u64) {
    (mutex.kind, mutex.shared) = (NO_KIND, 0);
    if layout == layout::MUTEX {
        if let Some(found) = kernel::user::<futex::Mutex>(address) {
            mutex.kind = found.kind;
            mutex.shared = found.kind & kind::SHARED;
        }
    } else if layout != layout::UNKNOWN {
        mutex.shared = kernel::user::<u32>(address + RWLOCK_SHARED).unwrap_or(0);
    }
}

/// Adds to one of an entry's distributions.
#[inline(always)]
fn distribute(mutex: &mut Mutex, id: u32, purpose: u64, value: u64) {
    if let Some(histogram) = mutex.histograms.get_mut((purpose - purpose::MUTEX_SPINS) as usize) {
        pool::record_for(histogram, owner(purpose, id), value);
    }
}
