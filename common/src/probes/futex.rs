//! Wire types of the `futex` probe.

mod later;

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

pub use self::later::{Named, Waiter, asked_later, call, is_later};

/// Operations of `futex(2)`, without its flags, and those that have calls of their own.
pub mod op {
    /// Bit in the operations of calls other than `futex(2)`. No program can ask `futex(2)` for it: there the bit
    /// is a flag.
    pub const LATER: u32 = super::PRIVATE_FLAG;
    /// `futex_waitv`: sleeps while each of several words has a value.
    pub const WAITV: u32 = LATER | (super::call::WAITV - super::call::FIRST);
    /// The system call `futex_wake`: `WAKE_BITSET`.
    pub const WAKE2: u32 = LATER | (super::call::WAKE - super::call::FIRST);
    /// The system call `futex_wait`: `WAIT_BITSET`.
    pub const WAIT2: u32 = LATER | (super::call::WAIT - super::call::FIRST);
    /// The system call `futex_requeue`: `CMP_REQUEUE`.
    pub const REQUEUE2: u32 = LATER | (super::call::REQUEUE - super::call::FIRST);
    /// Sleeps while the word has a value.
    pub const WAIT: u32 = 0;
    /// Wakes threads that sleep on the futex.
    pub const WAKE: u32 = 1;
    /// Wakes some, and moves the others to another futex.
    pub const REQUEUE: u32 = 3;
    /// The same, if the word has a value.
    pub const CMP_REQUEUE: u32 = 4;
    /// Wakes, changes another word, and wakes there too.
    pub const WAKE_OP: u32 = 5;
    /// Takes a lock that inherits priorities.
    pub const LOCK_PI: u32 = 6;
    /// Lets go of one.
    pub const UNLOCK_PI: u32 = 7;
    /// Takes one if it is free.
    pub const TRYLOCK_PI: u32 = 8;
    /// Waits for some of the bits of a wake.
    pub const WAIT_BITSET: u32 = 9;
    /// Wakes those that wait for some bits.
    pub const WAKE_BITSET: u32 = 10;
    /// Waits, to be moved to a lock that inherits priorities.
    pub const WAIT_REQUEUE_PI: u32 = 11;
    /// Moves such waiters.
    pub const CMP_REQUEUE_PI: u32 = 12;
    /// `LOCK_PI` with a clock of the caller's choice.
    pub const LOCK_PI2: u32 = 13;
}

/// Flag of the operation's argument: no other process uses the futex.
pub const PRIVATE_FLAG: u32 = 128;
/// Flag of the operation's argument: which clock a timeout is of.
pub const CLOCK_REALTIME: u32 = 256;
/// Bit of [`Futex::op`]: the call said that other processes may use the futex.
pub const SHARED: u32 = 1 << 31;

/// The operation that a call of `futex(2)` asks for: one of the constants in [`op`], with or without [`SHARED`].
#[inline(always)]
#[must_use]
pub const fn asked(command: u32) -> u32 {
    command & !(PRIVATE_FLAG | CLOCK_REALTIME | SHARED) | shared(command)
}

/// [`SHARED`], where flags do not say that no other process uses a futex.
#[inline(always)]
const fn shared(flags: u32) -> u32 {
    if flags & PRIVATE_FLAG == 0 { SHARED } else { 0 }
}

/// In place of an operation, where a call began while the probe was switched off. No program can ask for it: flags are
/// taken off an operation.
pub const UNSEEN: u32 = u32::MAX;

/// Counters of errnos: the first so many are their own index.
const SMALL_ERRNOS: u32 = 40;
const ETIMEDOUT: u32 = 110;
const FIRST_RESTART: u32 = 512;
const RESTARTS: u32 = 6;
/// Length of [`Futex::errors`].
pub const ERRORS: usize = 48;
const OTHER: u32 = ERRORS as u32 - 1;

/// Index of the counter of an errno.
#[inline(always)]
#[must_use]
pub const fn error_index(errno: u32) -> u32 {
    if errno < SMALL_ERRNOS {
        errno
    } else if errno == ETIMEDOUT {
        SMALL_ERRNOS
    } else if errno >= FIRST_RESTART && errno - FIRST_RESTART < RESTARTS {
        SMALL_ERRNOS + 1 + (errno - FIRST_RESTART)
    } else {
        OTHER
    }
}

/// The errno that is counted at an index; `None` for the index of those that have no place.
#[must_use]
pub const fn error_at(index: u32) -> Option<u32> {
    if index < SMALL_ERRNOS {
        Some(index)
    } else if index == SMALL_ERRNOS {
        Some(ETIMEDOUT)
    } else if index < OTHER {
        Some(FIRST_RESTART + index - SMALL_ERRNOS - 1)
    } else {
        None
    }
}

/// State of a thread's call on a futex, filled in as the call begins. One per seat.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Waiting {
    /// The entry of the futex and the operation; 0 where there was no room for one.
    pub entry: u32,
    /// One of the constants in [`op`], with or without [`SHARED`].
    pub op: u32,
    /// Value that the word must have for a wait to sleep; once that has been checked, the generation of the entry.
    pub expected: u32,
    /// Seed of the thread's next random number, see [`next_chance`]; 0 before the first.
    pub chance: u32,
    /// Entries that the thread last used, each where [`recent_at`] says: it mostly uses the same few.
    pub recent: [u32; RECENT],
    /// The kernel's tick in which the thread last looked at the clock for what need not be exact, ...
    pub tick: u64,
    /// ... and what the clock said.
    pub tick_ns: u64,
}

/// The random number that follows another one: neither is 0, and all others come before one comes again (xorshift).
#[inline(always)]
#[must_use]
pub const fn next_chance(chance: u32) -> u32 {
    let mut next = chance ^ chance << 13;
    next ^= next >> 17;
    next ^ next << 5
}

/// Length of [`Waiting::recent`].
pub const RECENT: usize = 8;

/// Index in [`Waiting::recent`] at which an entry is remembered.
#[inline(always)]
#[must_use]
pub const fn recent_at(address: u64, op: u32) -> usize {
    ((address >> 3) as u32).wrapping_add(address as u32 >> 2).wrapping_add(op) as usize % RECENT
}

/// One operation on one futex of one process. Counters of 32 bits wrap; userspace adds up differences.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Futex {
    /// Address of the futex, or [`OTHERS`].
    pub address: u64,
    /// The row of the process; 0 marks a free entry.
    pub row: u32,
    /// One of the constants in [`op`], with or without [`SHARED`].
    pub op: u32,
    /// Calls that ended.
    pub count: u64,
    /// Waiters that were woken (by `REQUEUE` and its kin: or moved).
    pub woken: u64,
    /// Wakes that found no waiter.
    pub vain: u64,
    /// End of the first call, ns.
    pub first_ns: u64,
    /// End of the last call, ns.
    pub last_ns: u64,
    /// Waits that found a mutex which a followed thread held.
    pub like_mutex: u64,
    /// Waits that found something else.
    pub unlike_mutex: u64,
    /// Histograms in the pool, in the order of the purposes from [`crate::pool::purpose::FUTEX_WAIT`] on.
    pub histograms: [u32; 4],
    /// The kind of the mutex that was last found: the C library's bits.
    pub kind: u32,
    /// Number of the use of the entry: raised when it is taken away from a futex, and when it is given to another one.
    pub generation: u32,
    /// Ids of [`Holder`]s that were last found, each where its thread's id says.
    pub recent: [u32; HOLDERS],
    /// Failed calls by [`error_index`].
    pub errors: [u32; ERRORS],
}

/// In place of an address: all futexes for which there is no entry of their own, of one process and operation.
pub const OTHERS: u64 = 0;

/// Entries for those, beyond those that the limit allows.
pub const OTHER_ENTRIES: u32 = 256;

/// Length of [`Futex::recent`].
pub const HOLDERS: usize = 4;

/// A lock and a thread that was found to hold it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Holder {
    /// As [`holder_key`] makes it; 0 marks a free one.
    pub key: u64,
    /// Times that the thread was found to hold the lock.
    pub count: u64,
}

/// The key of an entry.
#[inline(always)]
#[must_use]
pub const fn key(row: u32, op: u32, address: u64) -> [u64; 2] {
    [address, (row as u64) << 32 | op as u64]
}

/// An entry and the thread that was found to hold it.
#[inline(always)]
#[must_use]
pub const fn holder_key(entry: u32, tid: u32) -> u64 {
    (entry as u64) << 32 | tid as u64
}

/// Entry and thread id of a key.
#[must_use]
pub const fn holder_parts(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

/// A `pthread_mutex_t`, as glibc lays it out on 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex {
    /// The word that system calls on futexes work on.
    pub word: u32,
    /// Times that its holder has taken it, for mutexes that can be taken again by their holder.
    pub count: u32,
    /// The holder's thread id.
    pub owner: u32,
    /// Those that have it, and those that wait on a condition with it.
    pub users: u32,
    /// Form and attributes: bits of [`kind`].
    pub kind: u32,
    /// Running mean of the spin count, in the lower half.
    pub spins: u32,
}

/// Bits of [`Mutex::kind`].
pub mod kind {
    /// Normal, recursive, error-checking, adaptive.
    pub const FORM: u32 = 3;
    /// The form that its holder can take again.
    pub const RECURSIVE: u32 = 1;
    /// The form that tells its holder that it has it.
    pub const CHECKED: u32 = 2;
    /// The form that spins.
    pub const ADAPTIVE: u32 = 3;
    /// Survives the death of its holder.
    pub const ROBUST: u32 = 0x10;
    /// Its holder inherits the priority of waiters.
    pub const INHERITS: u32 = 0x20;
    /// Has a priority ceiling.
    pub const PROTECTS: u32 = 0x40;
    /// May be shared between processes.
    pub const SHARED: u32 = 0x80;
    /// Every bit that there is, those of lock elision included.
    pub const KNOWN: u32 = FORM | ROBUST | INHERITS | PROTECTS | SHARED | 0x300;
}

/// Bits of a word that name the holder, where the word does.
pub const TID_MASK: u32 = 0x3fff_ffff;
/// The word of a mutex that is held and waited for.
const HELD_AND_WANTED: u32 = 2;
/// Bits of the word below those of a priority ceiling.
const BELOW_CEILING: u32 = 0x7_ffff;
/// More users than this, nothing has.
const MOST_USERS: u32 = 1 << 20;

/// Reports whether a mutex looks like one that a thread holds.
#[inline(always)]
#[must_use]
pub const fn looks_held(mutex: &Mutex) -> bool {
    let by_word = if mutex.kind & (kind::ROBUST | kind::INHERITS) != 0 {
        mutex.word & TID_MASK == mutex.owner
    } else if mutex.kind & kind::PROTECTS != 0 {
        mutex.word & BELOW_CEILING == HELD_AND_WANTED
    } else {
        mutex.word == HELD_AND_WANTED
    };
    by_word
        && mutex.kind & !kind::KNOWN == 0
        && mutex.owner != 0
        && mutex.users != 0
        && mutex.users < MOST_USERS
}

const _: () = assert!(size_of::<Futex>() == 304 && size_of::<Waiting>() == 64 && size_of::<Mutex>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_comes_back_from_its_index() {
        for errno in (0..40).chain([110]).chain(512..=517) {
            assert_eq!(error_at(error_index(errno)), Some(errno));
        }
        for errno in [40, 109, 111, 511, 518, 4095] {
            assert_eq!(error_at(error_index(errno)), None);
        }
    }

    #[test]
    fn one_in_so_many_random_numbers_is_chosen_from_any_seed() {
        for first in [1, 2, 0x8000_0000, u32::MAX] {
            let mut chance = first;
            let draws = (0..1 << 18).map(|_| {
                chance = next_chance(chance);
                chance
            });
            let chosen = draws.filter(|chance| chance & 0xff == 0).count();
            // 1,024 are to be expected, give or take 32.
            assert!((864..1_184).contains(&chosen), "{first}: {chosen}");
        }
    }

    #[test]
    fn keys_come_apart_again() {
        assert_eq!(holder_parts(holder_key(7, 4_194_303)), (7, 4_194_303));
        assert_ne!(key(1, op::WAIT, 64), key(1, op::WAIT | SHARED, 64));
        assert_ne!(key(1, op::WAIT, 64), key(2, op::WAIT, 64));
    }

    #[test]
    fn a_held_mutex_is_told_from_anything_else() {
        let held = Mutex { word: 2, owner: 77, users: 1, ..Mutex::default() };
        assert!(looks_held(&held));
        assert!(looks_held(&Mutex { kind: kind::ADAPTIVE | kind::SHARED, spins: 12, ..held }));
        let robust = Mutex { word: 77 | 1 << 31, kind: kind::ROBUST, ..held };
        assert!(looks_held(&robust));
        assert!(looks_held(&Mutex { word: 99 << 19 | 2, kind: kind::PROTECTS, ..held }));
        let others = [
            Mutex { word: 1, ..held },
            Mutex { owner: 0, ..held },
            Mutex { users: 0, ..held },
            Mutex { users: u32::MAX, ..held },
            Mutex { kind: 4, ..held },
            Mutex { owner: 78, ..robust },
        ];
        for other in others {
            assert!(!looks_held(&other), "{other:?}");
        }
    }
}
