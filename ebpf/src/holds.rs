//! Hold times of mutexes: from where a thread had one for certain to where it releases it. No probe is behind the
//! moment at which it gets the mutex: that would make every hold longer. A call that takes a mutex is seen where it
//! begins, and each later event of its wait moves the beginning on: the end of a spin, the end of a wait
//! in the kernel.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::Array};
use pulse_trace_common::{
    loss::Slot,
    probes::{
        futex::{self, kind},
        mutex::{HELD, Held, Holding, IN_GAP},
    },
};

use crate::{
    config, kernel, loss,
    memory::{MMAPABLE, element, slot},
};

/// Mutexes that threads hold, by seat.
#[map]
static HOLDING: Array<Holding> = Array::with_max_entries(1, MMAPABLE);

/// The stretch of time that is looked at; 0 where none is.
#[inline(always)]
fn stretch() -> u32 {
    slot(&HOLDING, 0).map_or(0, |holding| holding.tid)
}

/// The period in which the probes on calls that take mutexes have had no gap; 0 where none is.
#[inline(always)]
fn taking() -> u32 {
    slot(&HOLDING, 0).map_or(0, |holding| holding.taking)
}

/// The mutexes of the running thread. Entries left by the last thread in its seat are forgotten.
#[inline(always)]
fn of(seat: u32) -> Option<&'static mut Holding> {
    let holding = slot(&HOLDING, seat).filter(|_| seat != 0)?;
    let tid = bpf_get_current_pid_tgid() as u32;
    if holding.tid != tid {
        holding.tid = tid;
        for at in 0..HELD {
            if let Some(held) = element(&mut holding.held, at) {
                held.began_ns = 0;
            }
        }
    }
    Some(holding)
}

#[inline(always)]
fn is_of(held: &Held, stretch: u32) -> bool {
    held.began_ns != 0 && held.stretch == stretch
}

/// A call begins that takes a mutex, or tries to.
#[inline(never)]
pub fn take(seat: u32, entry: u32, address: u64, of_kind: u32, tries: bool) {
    let stretch = stretch();
    if stretch == 0 {
        return;
    }
    let Some(holding) = of(seat) else { return };
    let (mut same, mut free, mut tried) = (HELD, HELD, HELD);
    for at in 0..HELD {
        let Some(held) = element(&mut holding.held, at) else { return };
        if !is_of(held, stretch) {
            free = at;
        } else if held.address == address {
            same = at;
        } else if held.tried_in != 0 {
            tried = at;
        }
    }
    if same < HELD {
        let Some(held) = element(&mut holding.held, same) else { return };
        // Who has one of these already gets it once more, or is told so.
        let may_repeat = matches!(of_kind & kind::FORM, kind::RECURSIVE | kind::CHECKED);
        if held.tried_in == 0 && may_repeat {
            return;
        }
    } else if free == HELD {
        loss::count(Slot::HoldsUnfollowed);
    }
    // The one that may not be held at all makes room.
    let at = if same < HELD {
        same
    } else if free < HELD {
        free
    } else {
        tried
    };
    if at == HELD {
        return;
    }
    if let Some(held) = element(&mut holding.held, at) {
        held.tried_in = match taking() {
            _ if !tries => 0,
            0 => IN_GAP,
            period => period,
        };
        (held.address, held.entry, held.stretch) = (address, entry, stretch);
        held.began_ns = kernel::now();
    }
}

/// The running thread ends. What it has, it will not let go of.
#[inline(always)]
pub fn died(seat: u32) {
    if config::PROBE_MUTEX() != 0 && stretch() != 0 {
        forget(seat);
    }
}

#[inline(never)]
fn forget(seat: u32) {
    let stretch = stretch();
    let Some(holding) = of(seat) else { return };
    for at in 0..HELD {
        let Some(held) = element(&mut holding.held, at) else { return };
        if is_of(held, stretch) && held.tried_in == 0 {
            loss::count(Slot::HoldsUnfinished);
        }
        held.began_ns = 0;
    }
}

/// Something of the wait for a mutex is over: it was not held before.
#[inline(always)]
pub fn waited(seat: u32, address: u64, now: impl FnOnce() -> u64) {
    if config::PROBE_MUTEX() != 0 {
        let stretch = stretch();
        if stretch != 0 {
            move_on(seat, address, now(), stretch);
        }
    }
}

#[inline(never)]
fn move_on(seat: u32, address: u64, now: u64, stretch: u32) {
    let Some(holding) = of(seat) else { return };
    for at in 0..HELD {
        let Some(held) = element(&mut holding.held, at) else { return };
        if is_of(held, stretch) && held.address == address {
            held.began_ns = now;
        }
    }
}

/// A mutex is let go of: its entry and for how long it was held, if that is known.
#[inline(always)]
pub fn release(seat: u32, address: u64, now: u64) -> Option<(u32, u64)> {
    let stretch = stretch();
    let holding = of(seat)?;
    let mut found = HELD;
    for at in 0..HELD {
        let held = element(&mut holding.held, at)?;
        if is_of(held, stretch) && held.address == address {
            found = at;
        }
    }
    if found == HELD {
        return None;
    }
    let held = element(&mut holding.held, found)?;
    // Taken more than once, it is kept.
    let mutex = kernel::user::<futex::Mutex>(address)?;
    if mutex.kind & kind::FORM == kind::RECURSIVE && mutex.count > 1 {
        return None;
    }
    let elapsed = now.wrapping_sub(held.began_ns);
    held.began_ns = 0;
    if held.tried_in != 0 && held.tried_in != taking() {
        // If the attempt failed, this is the end of a hold whose beginning was not seen.
        loss::count(Slot::HoldsUnfinished);
        return None;
    }
    if (elapsed as i64) < 0 { None } else { Some((held.entry, elapsed)) }
}
