//! Contended locks as probes in the code of targets see them: from the kernel side's entries to what happened since the
//! last look.

use std::collections::HashMap;

use pulse_trace_common::probes::{
    futex::kind,
    mutex::{Mutex, NO_KIND, layout},
};

mod sites;
mod unprobed;

use kernel::{FreedMutexes, Histograms, Kernel, target::Places};
use model::locks::{MutexFrame, MutexStats};
pub use sites::{Choice, HOLD_NEEDS, attachable, class_of, spots};
pub use unprobed::{REFUSED, unprobed};

use super::futex::kind_of;

/// Library or runtime that the code at a site belongs to, and its way to count spins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The library or runtime.
    pub runtime: String,
    /// Its way to count spins, where it spins.
    pub generation: Option<String>,
}

/// Changes of one lock since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct MutexChange {
    /// The row of the process.
    pub row: u32,
    /// The kernel side's entry, which stacks name.
    pub entry: u32,
    /// The lock and its numbers.
    pub frame: MutexFrame,
}

/// The reader of the probe's entries: remembers what it has seen.
#[derive(Default)]
pub struct Mutexes {
    origins: Vec<Origin>,
    tallies: HashMap<u32, MutexStats>,
    histograms: Histograms,
    places: Places,
}

impl Mutexes {
    /// The number that sites of an origin carry; `None` when there are too many of them.
    pub fn origin(&mut self, origin: Origin) -> Option<u16> {
        let known = self.origins.iter().position(|known| *known == origin);
        let index = known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        });
        u16::try_from(index).ok()
    }

    /// Changes since the last look.
    pub fn drain(&mut self, kernel: &Kernel) -> Vec<MutexChange> {
        self.places.begin();
        let mut changes = Vec::new();
        for (id, mutex) in kernel.mutexes() {
            let Some(row) = kernel.row(mutex.row) else { continue };
            let [spin_count, spin_time, hold] = mutex.histograms.map(|id| self.histograms.take(kernel, id));
            let mut stats = take_counters(self.tallies.entry(id).or_default(), &mutex);
            (stats.spin_count, stats.spin_time, stats.hold) = (spin_count, spin_time, hold);
            // While the process lives, whether or not anything is to be told yet.
            let place = self.places.resolve(mutex.row, &row, mutex.address, mutex.shared != 0);
            let origin = self.origins.get((mutex.which >> 8) as usize);
            if stats == MutexStats::default() {
                continue;
            }
            let frame = MutexFrame {
                place,
                address: mutex.address,
                runtime: runtime(origin, mutex.which as u8),
                generation: origin.and_then(|origin| origin.generation.clone()).filter(|_| may_spin(&mutex)),
                kind: (mutex.kind != NO_KIND).then(|| kind_of(mutex.kind)),
                stats,
            };
            changes.push(MutexChange { row: mutex.row, entry: id, frame });
        }
        changes
    }

    /// Forgets what was given back with a row.
    pub fn forget(&mut self, row: u32, freed: &FreedMutexes) {
        for id in &freed.entries {
            self.tallies.remove(id);
        }
        self.histograms.forget(&freed.histograms);
        self.places.forget(row);
    }
}

/// Runtime that the lock belongs to, and its kind where it is no mutex. Readers and writers of glibc's read-write lock
/// wait on the same word, so a row may be of both.
fn runtime(origin: Option<&Origin>, of: u8) -> String {
    let runtime = origin.map_or("unknown", |origin| origin.runtime.as_str());
    match of {
        layout::READ | layout::WRITE => format!("{runtime} rwlock"),
        _ => runtime.to_owned(),
    }
}

/// True if acquisitions spin before they wait.
fn spins(mutex: &Mutex) -> bool {
    let bits = kind::FORM | kind::ROBUST | kind::INHERITS | kind::PROTECTS;
    mutex.which as u8 == layout::MUTEX && mutex.kind & bits == kind::ADAPTIVE
}

/// True unless it is known that acquisitions do not spin: calls are seen before the kind of the mutex decides.
fn may_spin(mutex: &Mutex) -> bool {
    mutex.kind == NO_KIND || spins(mutex)
}

/// Everything but histograms.
fn take_counters(seen: &mut MutexStats, mutex: &Mutex) -> MutexStats {
    let gave_up = if spins(mutex) { mutex.gave_up } else { mutex.contended };
    let change = MutexStats {
        calls: mutex.calls - seen.calls,
        contended: mutex.contended - seen.contended,
        gave_up: gave_up - seen.gave_up,
        went_to_kernel: mutex.waits - seen.went_to_kernel,
        ..MutexStats::default()
    };
    seen.merge(&change);
    change
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn a_look_is_the_difference_to_the_last_one() {
        let adaptive = kind::ADAPTIVE | kind::SHARED;
        let which = u32::from(layout::MUTEX);
        let mut mutex =
            Mutex { contended: 5, gave_up: 2, waits: 1, kind: adaptive, which, ..Mutex::zeroed() };
        let mut seen = MutexStats::default();
        let first = take_counters(&mut seen, &mutex);
        assert_eq!((first.contended, first.gave_up, first.went_to_kernel), (5, 2, 1));
        assert_eq!(first.got_by_spinning(), 3);
        mutex.contended = 7;
        let second = take_counters(&mut seen, &mutex);
        assert_eq!((second.contended, second.gave_up, second.went_to_kernel), (2, 0, 0));
        assert_eq!(take_counters(&mut seen, &mutex), MutexStats::default());
    }

    #[test]
    fn what_does_not_spin_gets_nothing_by_spinning() {
        for (kind, of) in
            [(0, layout::MUTEX), (kind::ADAPTIVE | kind::ROBUST, layout::MUTEX), (3, layout::READ)]
        {
            let mutex = Mutex { contended: 5, waits: 5, kind, which: of.into(), ..Mutex::zeroed() };
            assert_eq!(take_counters(&mut MutexStats::default(), &mutex).got_by_spinning(), 0);
        }
    }

    #[test]
    fn origins_keep_their_numbers() {
        let mut mutexes = Mutexes::default();
        let origin = |name: &str| Origin { runtime: name.to_owned(), generation: None };
        assert_eq!((mutexes.origin(origin("a")), mutexes.origin(origin("b"))), (Some(0), Some(1)));
        assert_eq!(mutexes.origin(origin("a")), Some(0));
        for of in [layout::READ, layout::WRITE] {
            assert_eq!(runtime(mutexes.origins.first(), of), "a rwlock");
        }
    }
}
