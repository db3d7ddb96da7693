//! Futexes: from the kernel side's entries to what happened since the last look.

mod retired;
mod samples;

use std::collections::{HashMap, HashSet};

use kernel::{
    Errors, FreedFutexes, Histograms, Kernel,
    target::{self, Places},
};
use model::{
    hist::Hist,
    locks::{FutexFrame, FutexStats, LockPlace, MutexKind, MutexSeen, SpinSamples},
    text,
};
use pulse_trace_common::{
    probes::futex::{Futex, OTHERS, SHARED, error_at, kind, op},
    target::COMM_LEN,
};

use self::{
    retired::{GRACE_NS, Retired},
    samples::Samples,
};

/// Counts of one operation on one futex since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct FutexChange {
    /// The row of the process.
    pub row: u32,
    /// The kernel side's entry, which stacks name.
    pub entry: u32,
    /// The futex and its numbers.
    pub frame: FutexFrame,
}

/// The reader of the probe's entries: remembers what it has seen.
#[derive(Default)]
pub struct Futexes {
    tallies: HashMap<u32, Tally>,
    histograms: Histograms,
    /// Times that a thread was found to hold the lock of an entry.
    holders: HashMap<(u32, u32), u64>,
    /// Names of threads that held one.
    names: HashMap<u32, String>,
    places: Places,
    samples: Samples,
    retired: Retired,
}

/// Counts of an entry that have been read.
#[derive(Default)]
struct Tally {
    total: FutexStats,
    errors: Errors,
    like_mutex: u64,
    /// Spin counts that were read before the futex was known for a mutex.
    spins: Hist,
    /// Samples that were read before the futex was known for a mutex.
    sampled: SpinSamples,
}

impl Futexes {
    /// Changes since the last look, in a session that began at this time of the monotonic clock.
    pub fn drain(&mut self, kernel: &Kernel, start_ns: u64) -> Vec<FutexChange> {
        self.places.begin();
        let mut changes = Vec::new();
        // Holders are read after all entries: those of every wait that an entry has are there by then. A wait that came
        // in between would be in the entry and in no holder, and holders are read again only if another one follows.
        let entries: Vec<(u32, Futex)> = kernel.futexes().chain(self.retired.read(kernel)).collect();
        let mut held: Option<HashMap<u32, Vec<(u32, u64)>>> = None;
        for (id, futex) in entries {
            let Some(row) = kernel.row(futex.row) else { continue };
            // While the process lives, whether or not a call has ended yet.
            let place = match futex.address {
                OTHERS => LockPlace::OTHERS,
                address => self.places.resolve(futex.row, &row, address, futex.op & SHARED != 0),
            };
            let [wait, blocked, run_queue, spins] =
                futex.histograms.map(|id| self.histograms.take(kernel, id));
            let tally = self.tallies.entry(id).or_default();
            let mut stats = FutexStats { wait, blocked, run_queue, ..tally.take_counters(&futex, start_ns) };
            tally.spins.merge(&spins);
            tally.sampled.merge(&self.samples.take(id));
            let found = std::mem::replace(&mut tally.like_mutex, futex.like_mutex) != futex.like_mutex;
            if is_mutex(&futex) && (found || tally.spins.count() != 0 || !tally.sampled.is_empty()) {
                let read = (std::mem::take(&mut tally.spins), std::mem::take(&mut tally.sampled));
                let held = held.get_or_insert_with(|| by_entry(kernel));
                stats.mutex =
                    Some(self.mutex(id, &futex, kernel, held.remove(&id).unwrap_or_default(), read));
                if Samples::is_wanted(&futex) {
                    self.samples.consider(id, &futex, &place, &row, || kernel.row(futex.row));
                }
            }
            if stats == FutexStats::default() {
                continue;
            }
            let op = name(futex.op & !SHARED);
            let frame = FutexFrame { place, address: futex.address, op, stats };
            changes.push(FutexChange { row: futex.row, entry: id, frame });
        }
        changes
    }

    fn mutex(
        &mut self,
        id: u32,
        futex: &Futex,
        kernel: &Kernel,
        holders: Vec<(u32, u64)>,
        (spins, sampled): (Hist, SpinSamples),
    ) -> MutexSeen {
        let mut seen = MutexSeen { kind: kind_of(futex.kind), spins, sampled, ..MutexSeen::default() };
        // Who holds what is private is a thread of that process.
        let home = || (futex.op & SHARED == 0).then(|| kernel.row(futex.row)).flatten().map(|row| row.comm);
        for (tid, count) in holders {
            let known = self.holders.insert((id, tid), count).unwrap_or(0);
            if count > known {
                *seen.holders.entry((tid, self.name_of(tid, kernel, home))).or_default() += count - known;
            }
        }
        seen
    }

    /// The name of a thread when it was first found to hold a lock: one name, so that its counts stay together. That of
    /// its process where it has ended.
    fn name_of(
        &mut self,
        tid: u32,
        kernel: &Kernel,
        home: impl FnOnce() -> Option<[u8; COMM_LEN]>,
    ) -> String {
        if let Some(name) = self.names.get(&tid) {
            return name.clone();
        }
        // Of a process that has ended meanwhile, its row still knows: it is given back after this.
        let of_row = || kernel.process_rows().find(|(_, row)| row.tgid == tid).map(|(_, row)| row.comm);
        let comm = target::comm(tid).or_else(of_row).or_else(home);
        let name = comm.map_or_else(String::new, |comm| text::of_comm(&comm));
        self.names.insert(tid, name.clone());
        name
    }

    /// Looks at mutexes in the targets' memory; to be called at random times.
    pub fn look(&mut self) {
        self.samples.look();
    }

    /// True if there are any to be looked at.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        self.samples.is_any()
    }

    /// Note for the reader, once.
    pub fn take_note(&mut self) -> Option<String> {
        self.samples.take_note()
    }

    /// Takes entries away from cold futexes where few are free; what those do later counts as others do. Tells what
    /// was given back.
    pub fn make_room(&mut self, kernel: &mut Kernel, now_ns: u64) -> FreedFutexes {
        let freed = self.retired.give_back(kernel, |retired| now_ns.saturating_sub(retired.at_ns) > GRACE_NS);
        self.forget_entries(&freed);
        self.retired.retire(kernel, now_ns);
        freed
    }

    /// Gives back what a finished row had, and tells what that was.
    pub fn free(&mut self, kernel: &mut Kernel, row: u32) -> FreedFutexes {
        let mut freed = self.retired.give_back(kernel, |retired| retired.row == row);
        freed.extend(kernel.free_futexes(row));
        self.forget_entries(&freed);
        self.samples.forget_row(row);
        self.places.forget(row);
        freed
    }

    fn forget_entries(&mut self, freed: &FreedFutexes) {
        if freed.entries.is_empty() {
            return;
        }
        let ids: HashSet<u32> = freed.entries.iter().copied().collect();
        for id in &ids {
            self.tallies.remove(id);
        }
        self.samples.forget(&ids);
        self.histograms.forget(&freed.histograms);
        let gone = self.holders.keys().filter(|(id, _)| ids.contains(id));
        gone.for_each(|(_, tid)| drop(self.names.remove(tid)));
        self.holders.retain(|(id, _), _| !ids.contains(id));
    }
}

/// True if a futex is to be called a mutex: at least as often as not, it looked like one that a thread holds.
fn is_mutex(futex: &Futex) -> bool {
    futex.like_mutex > 0 && futex.like_mutex >= futex.unlike_mutex
}

/// Holders of each entry's lock, and how often they were found.
fn by_entry(kernel: &Kernel) -> HashMap<u32, Vec<(u32, u64)>> {
    let mut all: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    for (entry, tid, count) in kernel.holders() {
        all.entry(entry).or_default().push((tid, count));
    }
    all
}

impl Tally {
    /// Everything but histograms and mutex.
    fn take_counters(&mut self, futex: &Futex, start_ns: u64) -> FutexStats {
        let seen = &self.total;
        let errors = (0..).zip(futex.errors);
        let mut change = FutexStats {
            count: futex.count - seen.count,
            woken: futex.woken - seen.woken,
            vain: futex.vain - seen.vain,
            unlike_mutex: futex.unlike_mutex - seen.unlike_mutex,
            errors: self.errors.take(errors.filter(|error| error.1 != 0), error_at),
            ..FutexStats::default()
        };
        if change.count != 0 {
            let since = |at: u64| at.saturating_sub(start_ns);
            // Two threads may have looked at the clock at different times of one tick.
            let (one, other) = (since(futex.first_ns), since(futex.last_ns));
            change.seen_ns = Some((one.min(other), one.max(other)));
        }
        self.total.merge(&change);
        change
    }
}

/// The kind that the C library's bits say.
#[must_use]
pub fn kind_of(bits: u32) -> MutexKind {
    MutexKind {
        form: (bits & kind::FORM) as u8,
        robust: bits & kind::ROBUST != 0,
        inherits: bits & kind::INHERITS != 0,
        protects: bits & kind::PROTECTS != 0,
        shared: bits & kind::SHARED != 0,
    }
}

/// An operation as `futex(2)` names it; calls of their own by the name of what they do there.
fn name(number: u32) -> String {
    let name = match number {
        op::WAIT => "WAIT",
        op::WAKE => "WAKE",
        op::REQUEUE => "REQUEUE",
        op::CMP_REQUEUE => "CMP_REQUEUE",
        op::WAKE_OP => "WAKE_OP",
        op::LOCK_PI => "LOCK_PI",
        op::UNLOCK_PI => "UNLOCK_PI",
        op::TRYLOCK_PI => "TRYLOCK_PI",
        op::WAIT_BITSET => "WAIT_BITSET",
        op::WAKE_BITSET => "WAKE_BITSET",
        op::WAIT_REQUEUE_PI => "WAIT_REQUEUE_PI",
        op::CMP_REQUEUE_PI => "CMP_REQUEUE_PI",
        op::LOCK_PI2 => "LOCK_PI2",
        op::WAITV => "WAITV",
        op::WAIT2 => "WAIT2",
        op::WAKE2 => "WAKE2",
        op::REQUEUE2 => "REQUEUE2",
        _ => return format!("operation {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use model::locks::{waits, wakes};
    use pulse_trace_common::probes::futex::error_index;

    use super::*;

    #[test]
    fn a_look_is_the_difference_to_the_last_one() {
        let mut tally = Tally::default();
        let mut futex = Futex { count: 5, woken: 3, vain: 1, first_ns: 150, last_ns: 400, ..Futex::zeroed() };
        futex.errors[error_index(11) as usize] = u32::MAX;
        let first = tally.take_counters(&futex, 100);
        assert_eq!((first.count, first.woken, first.vain, first.seen_ns), (5, 3, 1, Some((50, 300))));
        (futex.count, futex.last_ns) = (7, 500);
        futex.errors[error_index(11) as usize] = 1;
        futex.errors[error_index(110) as usize] = 1;
        let second = tally.take_counters(&futex, 100);
        assert_eq!((second.count, second.seen_ns), (2, Some((50, 400))));
        assert_eq!(second.errors.into_iter().collect::<Vec<_>>(), [(11, 2), (110, 1)]);
        assert_eq!(tally.take_counters(&futex, 100), FutexStats::default());
    }

    #[test]
    fn every_operation_that_waits_or_wakes_is_known_as_such() {
        let of_futex = [op::WAIT, op::WAIT_BITSET, op::LOCK_PI, op::LOCK_PI2, op::WAIT_REQUEUE_PI];
        for number in of_futex.into_iter().chain([op::WAITV, op::WAIT2]) {
            assert!(waits(&name(number)), "{number}");
        }
        let of_futex = [op::WAKE, op::WAKE_BITSET, op::WAKE_OP, op::REQUEUE, op::CMP_REQUEUE, op::UNLOCK_PI];
        for number in of_futex.into_iter().chain([op::WAKE2, op::REQUEUE2]) {
            assert!(wakes(&name(number)), "{number}");
        }
        assert_eq!(name(77), "operation 77");
    }

    #[test]
    fn kinds_are_read_from_the_librarys_bits() {
        assert_eq!(kind_of(0x83).name(), "adaptive shared");
        assert_eq!(kind_of(0x30).name(), "normal robust PI");
    }
}
