//! Futexes: contended locks of several kinds, and waits that are no contention at all.

use std::collections::BTreeMap;

use super::{INTERVAL_NS, Shape, random::Random, sched::some_thread, stacks};
use crate::locks::{FutexFrame, FutexStats, LockPlace, MutexKind, MutexSeen};

const EINTR: u32 = 4;
const EAGAIN: u32 = 11;
const ETIMEDOUT: u32 = 110;

/// An adaptive mutex of one process.
pub const ADAPTIVE: MutexKind =
    MutexKind { form: 3, robust: false, inherits: false, protects: false, shared: false };
/// One that processes share.
pub const SHARED: MutexKind = MutexKind { shared: true, ..ADAPTIVE };
const INHERITING: MutexKind = MutexKind { form: 0, inherits: true, robust: true, ..ADAPTIVE };

/// Waits on a lock: calls, those of them without sleep and after too long a sleep, and the length of a sleep.
struct Waits {
    calls: u64,
    again: u64,
    timed_out: u64,
    sleep_ns: u64,
}

/// Address at which a process has the lock of this number.
pub const fn address(index: u32, lock: u64) -> u64 {
    0x7f3a_0000_0000 + ((index as u64) << 24) + lock * 0x1040
}

/// The lock that the first two processes share; the others share another one.
pub fn shared_place(index: u32) -> LockPlace {
    let (inode, offset, path) = if index < 2 {
        (42, 0, "/dev/shm/q")
    } else {
        (77, 0x1000, "/tmp/evil\x1b[2J\u{202e}map/a-directory-with-a-rather-long-name/and-the-file-in-it")
    };
    LockPlace::Shared { device: 0x1a, inode, offset, path: path.to_owned() }
}

pub fn process(random: &mut Random, shape: Shape, index: u32, number: u32) -> Vec<FutexFrame> {
    let mut locks = Locks { random, shape, index, number, frames: Vec::new() };
    locks.contended(private(index, 0), address(index, 0), ADAPTIVE);
    if index.is_multiple_of(2) || index < 2 {
        locks.contended(shared_place(index), address(index, 1), SHARED);
    }
    locks.condition();
    match index % 3 {
        0 => locks.timer(),
        1 => locks.inheriting(),
        _ => locks.rust(),
    }
    if index % 4 == 3 {
        locks.gone();
    }
    locks.frames
}

/// A place in the memory of one process.
pub const fn private(index: u32, lock: u64) -> LockPlace {
    LockPlace::Private { address: address(index, lock) }
}

struct Locks<'a> {
    random: &'a mut Random,
    shape: Shape,
    index: u32,
    number: u32,
    frames: Vec<FutexFrame>,
}

impl Locks<'_> {
    fn contended(&mut self, place: LockPlace, address: u64, kind: MutexKind) {
        let calls = 100 + self.random.below(200);
        let waits = Waits { calls, again: calls * 2 / 5, timed_out: 0, sleep_ns: 20_000 };
        let mut stats = self.waits(&waits);
        let unlike = self.random.below(3);
        stats.mutex = Some(self.mutex(kind, calls - unlike));
        stats.unlike_mutex = unlike;
        stats.stacks = stacks::mutex(self.random);
        self.push(place.clone(), address, "WAIT", stats);
        let wakes = self.wakes(calls, calls / 9);
        self.push(place, address, "WAKE", wakes);
    }

    fn condition(&mut self) {
        let calls = 10 + self.random.below(10);
        let waits = Waits { calls, again: 0, timed_out: calls * 2 / 3, sleep_ns: 45_000_000 };
        let mut stats = self.waits(&waits);
        stats.unlike_mutex = calls;
        stats.stacks = stacks::condition(self.random);
        self.push(private(self.index, 2), address(self.index, 2), "WAIT_BITSET", stats);
        let wakes = self.wakes(calls / 3, 1);
        self.push(private(self.index, 2), address(self.index, 2), "WAKE", wakes);
    }

    fn timer(&mut self) {
        let waits = Waits { calls: 5, again: 0, timed_out: 5, sleep_ns: 190_000_000 };
        let stats = FutexStats { unlike_mutex: 5, ..self.waits(&waits) };
        self.push(private(self.index, 3), address(self.index, 3), "WAITV", stats);
    }

    fn inheriting(&mut self) {
        let calls = 20 + self.random.below(30);
        let mut stats = self.waits(&Waits { calls, again: 0, timed_out: 0, sleep_ns: 300_000 });
        stats.mutex = Some(self.mutex(INHERITING, calls));
        self.push(private(self.index, 4), address(self.index, 4), "LOCK_PI", stats);
        let wakes = self.wakes(calls, 0);
        self.push(private(self.index, 4), address(self.index, 4), "UNLOCK_PI", wakes);
    }

    /// A mutex whose memory says nothing about who holds it.
    fn rust(&mut self) {
        let calls = 60 + self.random.below(60);
        let mut stats = self.waits(&Waits { calls, again: calls / 10, timed_out: 0, sleep_ns: 90_000 });
        stats.unlike_mutex = calls;
        stats.stacks = stacks::rust_mutex(self.random);
        self.push(private(self.index, 5), address(self.index, 5), "WAIT_BITSET", stats);
        let wakes = self.wakes(calls, calls / 7);
        self.push(private(self.index, 5), address(self.index, 5), "WAKE", wakes);
    }

    /// A shared lock of a process that had ended before its place was looked up.
    fn gone(&mut self) {
        let stats = self.waits(&Waits { calls: 3, again: 1, timed_out: 0, sleep_ns: 10_000 });
        let address = address(self.index, 6);
        self.push(LockPlace::Unresolved { address }, address, "WAIT", stats);
    }

    fn push(&mut self, place: LockPlace, address: u64, op: &str, mut stats: FutexStats) {
        let start = u64::from(self.number) * INTERVAL_NS;
        // All of them were looked at, as if there were no more.
        stats.sampled = stats.stacks.iter().map(|stack| stack.count).sum();
        stats.seen_ns =
            Some((start + self.random.below(1000), start + INTERVAL_NS - self.random.below(1000)));
        self.frames.push(FutexFrame { place, address, op: op.to_owned(), stats });
    }

    fn waits(&mut self, waits: &Waits) -> FutexStats {
        let mut stats = FutexStats { count: waits.calls, ..FutexStats::default() };
        let interrupted = u64::from(self.random.one_in(3)).min(waits.calls - waits.again - waits.timed_out);
        let errors = [(EAGAIN, waits.again), (ETIMEDOUT, waits.timed_out), (EINTR, interrupted)];
        stats.errors = errors.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>();
        for _ in 0..waits.again {
            stats.wait.record(300 + self.random.below(700));
        }
        for _ in waits.again..waits.calls {
            let blocked = self.random.around(waits.sleep_ns) << self.random.below(3);
            let run_queue = 2_000 + self.random.below(60_000);
            stats.blocked.record(blocked);
            stats.run_queue.record(run_queue);
            stats.wait.record(blocked + run_queue + 900);
        }
        stats
    }

    fn wakes(&mut self, calls: u64, vain: u64) -> FutexStats {
        let woken = calls - vain + self.random.below(3);
        FutexStats { count: calls, woken, vain, ..FutexStats::default() }
    }

    fn mutex(&mut self, kind: MutexKind, waits: u64) -> MutexSeen {
        let mut seen = MutexSeen { kind, ..MutexSeen::default() };
        for _ in 0..waits {
            let holder = some_thread(self.random, self.shape, self.index);
            *seen.holders.entry((holder.tid, holder.comm)).or_default() += 1;
            if kind.form == ADAPTIVE.form {
                seen.spins.record(5 + self.random.below(20));
            }
        }
        if kind.form == ADAPTIVE.form {
            // Nothing is drawn for it, so that all else stays as it is stored.
            for spins in 10..20 {
                seen.sampled.all.record(spins);
                seen.sampled.moved.record(spins);
            }
        }
        seen
    }
}
