//! Mutexes one by one, as counters inside of the processes saw them.

use std::collections::BTreeMap;

use binary::locate::{replaceable::Passing, site::Generation};
use kernel::{
    inline::{Counts, Patch},
    target::Places,
};
use model::{
    frame::ProcessKey,
    locks::{LockPlace, MutexFrame, MutexKind},
};
use pulse_trace_common::target::Row;

use super::numbers;
use crate::kind_of;

/// Known mutexes of one process and its children.
pub struct Locks {
    target: u32,
    places: Places,
    known: BTreeMap<(ProcessKey, u64), (LockPlace, Option<MutexKind>)>,
}

impl Locks {
    /// Nothing yet of a target.
    pub fn of(target: u32) -> Self {
        let mut places = Places::default();
        places.remember(target);
        Self { target, places, known: BTreeMap::new() }
    }

    /// A new look: what was mapped before may be so no longer.
    pub fn begin(&mut self) {
        self.places.begin();
    }

    /// Frame of a mutex.
    pub fn frame(
        &mut self,
        key: ProcessKey,
        address: u64,
        new: &Counts,
        patch: &Patch,
        generation: Option<Generation>,
    ) -> MutexFrame {
        let stats = numbers::of_lock(new);
        let (place, kind) = self.known.entry((key, address)).or_insert_with(|| {
            let kind = Some(address).filter(|_| key.pid == self.target).and_then(|it| patch.kind(it));
            let kind = kind.map(kind_of).filter(|kind| agrees(*kind, new));
            let row = Row { tgid: key.pid, ..bytemuck::Zeroable::zeroed() };
            let shared = kind.is_none_or(|kind| kind.shared);
            (self.places.resolve(key.pid, &row, address, shared), kind)
        });
        let spins = kind.map_or(stats.spin_count.count() > 0, MutexKind::spins);
        MutexFrame {
            place: place.clone(),
            address,
            runtime: "glibc".to_owned(),
            generation: generation.filter(|_| spins).map(|generation| generation.to_string()),
            kind: *kind,
            stats,
        }
    }
}

/// True if a mutex of this kind takes the paths that were counted: its memory may be something else by now.
fn agrees(kind: MutexKind, counts: &Counts) -> bool {
    const PLAIN: [u8; 2] = [0, 2];
    let (adaptive, plain) = (counts.of(Passing::AdaptiveAttempt) > 0, counts.of(Passing::NormalAttempt) > 0);
    (!adaptive || kind.spins()) && (!plain || PLAIN.contains(&kind.form)) && adaptive != plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutex_without_counts_has_no_kind() {
        assert!(!agrees(kind_of(3), &Counts::default()));
    }
}
