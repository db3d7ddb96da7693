//! Wire types of the `mutex` probe.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Roles of sites: the event that a hit stands for.
pub mod role {
    /// A site of the tool's own, which shows what a hit costs on this machine.
    pub const CALIBRATION: u8 = 0;
    /// A mutex was not free, and the spin is about to begin.
    pub const SPIN_BEGIN: u8 = 1;
    /// The spin is over.
    pub const SPIN_END: u8 = 2;
    /// The spin was given up.
    pub const GAVE_UP: u8 = 3;
    /// A mutex that was given up on is waited for in the kernel.
    pub const WAIT_AFTER_SPIN: u8 = 4;
    /// A lock that does not spin is waited for in the kernel.
    pub const WAIT: u8 = 5;
    /// A mutex is waited for with a time limit, whether it spins or not.
    pub const TIMED_WAIT: u8 = 6;
    /// A function is entered that contended acquisitions alone call.
    pub const SLOW_PATH: u8 = 7;
    /// A mutex is wanted, whether or not it is free.
    pub const CALL: u8 = 8;
    /// A call begins that comes back with the mutex.
    pub const TAKE: u8 = 9;
    /// A call begins that may come back without it.
    pub const TRY: u8 = 10;
    /// A call begins that lets go of the mutex.
    pub const RELEASE: u8 = 11;
}

/// Types of the objects at a lock's address.
pub mod layout {
    /// Something that is not to be looked into.
    pub const UNKNOWN: u8 = 0;
    /// A `pthread_mutex_t` of glibc.
    pub const MUTEX: u8 = 1;
    /// A `pthread_rwlock_t` of glibc, wanted by a reader.
    pub const READ: u8 = 2;
    /// The same, wanted by a writer.
    pub const WRITE: u8 = 3;
}

/// Classes of sites by what a hit costs; hits are counted by them.
pub mod class {
    /// A five-byte nop.
    pub const NOP: u8 = 0;
    /// The kernel emulates the instruction.
    pub const EMULATED: u8 = 1;
    /// The kernel lets the instruction run elsewhere.
    pub const STEPPED: u8 = 2;
    /// Length of arrays that are indexed by class.
    pub const COUNT: usize = 4;
}

/// The data of a site that its hits carry: everything that the program has to know of it, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// One of the constants in [`role`].
    pub role: u8,
    /// One of the constants in [`class`].
    pub class: u8,
    /// One of the constants in [`layout`].
    pub layout: u8,
    /// Offset in `pt_regs` of the register with the lock, in double words.
    pub lock: u8,
    /// Offset in `pt_regs` of the register with the spin count, in double words.
    pub count: u8,
    /// The library or program that the code belongs to, and the way it counts: an index into a list
    /// that userspace keeps.
    pub origin: u16,
}

impl Site {
    /// As one word.
    #[must_use]
    pub const fn cookie(self) -> u64 {
        let low = u32::from_le_bytes([self.role, self.class, self.layout, self.lock]);
        low as u64 | (self.count as u64) << 32 | (self.origin as u64) << 48
    }

    /// From one word.
    #[inline(always)]
    #[must_use]
    pub const fn of(cookie: u64) -> Self {
        Self {
            role: cookie as u8,
            class: (cookie >> 8) as u8,
            layout: (cookie >> 16) as u8,
            lock: (cookie >> 24) as u8,
            count: (cookie >> 32) as u8,
            origin: (cookie >> 48) as u16,
        }
    }
}

/// One lock of one process. Counters are added to by several CPUs; they only grow.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Mutex {
    /// Address of the lock.
    pub address: u64,
    /// The row of the process; 0 marks a free entry.
    pub row: u32,
    /// Origin and layout of the sites that were passed with it; see [`which`].
    pub which: u32,
    /// Calls that wanted it, where these are counted.
    pub calls: u64,
    /// Acquisitions that found it taken.
    pub contended: u64,
    /// Those that gave up spinning.
    pub gave_up: u64,
    /// Those that called the kernel to wait.
    pub waits: u64,
    /// Histograms in the pool, in the order of the purposes from [`crate::pool::purpose::MUTEX_SPINS`] on.
    pub histograms: [u32; 3],
    /// The kind of a mutex: the C library's bits; [`NO_KIND`] where it could not be read.
    pub kind: u32,
    /// Nonzero if other processes may use it.
    pub shared: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
}

/// [`Mutex::kind`] of what is not known.
pub const NO_KIND: u32 = u32::MAX;

/// The contended acquisition that a thread is in. One per seat, written by that thread only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Spinning {
    /// Time at which it found the lock taken, ns; 0 if it did not.
    pub began_ns: u64,
    /// The entry that it passed a site with last.
    pub entry: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
}

/// A mutex that a thread has taken, or is about to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Held {
    /// Address of the mutex.
    pub address: u64,
    /// Earliest time at which the thread can have had it, ns; 0 where this place is free.
    pub began_ns: u64,
    /// The mutex's entry.
    pub entry: u32,
    /// Number of the period in which it was taken: one without a gap in the probes on calls that release mutexes.
    pub stretch: u32,
    /// For a call that may have failed, the number of the period without a gap in the probes on calls that take
    /// mutexes, [`IN_GAP`] in none; or 0.
    pub tried_in: u32,
    /// Keeps the size a multiple of eight.
    pub padding: u32,
}

/// [`Held::tried_in`] of a call that began in no such period: the call that got the mutex later may have been missed.
pub const IN_GAP: u32 = u32::MAX;

/// Mutexes that one thread is followed with at a time.
pub const HELD: usize = 4;

/// Mutexes that a thread holds. One per seat, written by that thread only. The first one belongs to no thread: its
/// words are the numbers of the present periods of both kinds in [`Held`], 0 where mutexes are not followed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Holding {
    /// Id of its thread: seats are reused. In the first one: number of the period for [`Held::stretch`].
    pub tid: u32,
    /// In the first one only: number of the period for [`Held::tried_in`], 0 while there is a gap.
    pub taking: u32,
    /// In no order.
    pub held: [Held; HELD],
}

/// Origin and layout in one word.
#[inline(always)]
#[must_use]
pub const fn which(site: Site) -> u32 {
    (site.origin as u32) << 8 | site.layout as u32
}

/// The key of an entry.
#[inline(always)]
#[must_use]
pub const fn key(row: u32, which: u32, address: u64) -> [u64; 2] {
    [address, (row as u64) << 32 | which as u64]
}

const _: () = assert!(size_of::<Mutex>() == 72 && size_of::<Spinning>() == 16 && size_of::<Holding>() == 136);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_comes_back_from_its_cookie() {
        let site = Site { role: 3, class: 2, layout: 1, lock: 14, count: 5, origin: 0x1234 };
        assert_eq!(Site::of(site.cookie()), site);
        let largest = Site { role: 255, class: 255, layout: 255, lock: 255, count: 255, origin: u16::MAX };
        assert_eq!(Site::of(largest.cookie()), largest);
    }

    #[test]
    fn locks_are_told_apart_by_process_origin_and_use() {
        let site = Site { role: 2, class: 1, layout: layout::READ, lock: 14, count: 5, origin: 1 };
        let writer = Site { layout: layout::WRITE, ..site };
        let linear = Site { origin: 2, ..site };
        assert_ne!(key(1, which(site), 64), key(1, which(writer), 64));
        assert_ne!(key(1, which(site), 64), key(1, which(linear), 64));
        assert_ne!(key(1, which(site), 64), key(2, which(site), 64));
        assert_eq!(which(site), which(Site { role: 4, class: 0, lock: 1, count: 0, ..site }));
    }
}
