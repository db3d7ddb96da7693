//! The entries of the `mutex` probe, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray, Queue},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::{
    pool::{owner, purpose},
    probes::mutex::{Holding, Mutex, Spinning, class, key},
};

use super::{
    Kernel,
    limits::Limits,
    loaded::{LoadError, filled, map, typed},
    mapped::Mapped,
};

/// Purposes of an entry's histograms, in the order of [`Mutex::histograms`].
const PURPOSES: [u64; 3] = [purpose::MUTEX_SPINS, purpose::MUTEX_SPIN_TIME, purpose::MUTEX_HOLD];

/// Maps of the probe.
pub(super) struct MutexMaps {
    entries: Mapped<Mutex>,
    holding: Mapped<Holding>,
    spinning: Mapped<Spinning>,
    free: Queue<MapData, u32>,
    ids: HashMap<MapData, [u64; 2], u32>,
    traps: PerCpuArray<MapData, [u64; class::COUNT]>,
}

impl MutexMaps {
    pub(super) fn open(ebpf: &mut Ebpf, maps: &mut Vec<MapData>, limits: &Limits) -> Result<Self, LoadError> {
        Ok(Self {
            entries: map(ebpf, maps, "MUTEXES")?,
            holding: map(ebpf, maps, "HOLDING")?,
            spinning: map(ebpf, maps, "SPINNING")?,
            free: filled(ebpf, "FREE_MUTEXES", 1..=limits.mutexes)?,
            ids: typed(ebpf, "MUTEX_IDS")?,
            traps: typed(ebpf, "TRAPS")?,
        })
    }
}

/// Entries and histograms that were freed with a row.
#[derive(Debug, Default)]
pub struct FreedMutexes {
    /// Ids of the freed entries.
    pub entries: Vec<u32>,
    /// Ids of the freed histograms.
    pub histograms: Vec<u32>,
}

impl Kernel {
    /// Entries in use.
    pub fn mutexes(&self) -> impl Iterator<Item = (u32, Mutex)> + '_ {
        (1..self.mutex.entries.len()).filter_map(|id| {
            let used = self.mutex.entries.word(id, offset_of!(Mutex, row))?.load(Relaxed) != 0;
            if used { Some((id as u32, self.mutex.entries.read(id)?)) } else { None }
        })
    }

    /// Sets the numbers of the present intervals without a gap, in the probes where mutexes are released and in those
    /// where they are taken: both numbers only grow, and are 0 in a gap. The end of a hold from an older interval
    /// was missed.
    ///
    /// A gap is told of before the first probe is removed and until the last one is in, which takes the kernel many
    /// milliseconds. In that time a thread may pass some of them, and miss others.
    pub fn follow_holds(&self, stretch: u32, taking: u32) {
        self.mutex.holding.write(0, Holding { tid: stretch, taking, ..Holding::zeroed() });
    }

    /// Forgets the threads that were spinning when the probes were removed: the ends of those spins were not recorded.
    pub fn forget_spins(&self) {
        for seat in 0..self.mutex.spinning.len() {
            if let Some(began) = self.mutex.spinning.double(seat, offset_of!(Spinning, began_ns)) {
                began.store(0, Relaxed);
            }
        }
    }

    /// Number of mutexes that are held now and were taken in this interval. Those that were tried may not be held at
    /// all, and are left out.
    #[must_use]
    pub fn held(&self, stretch: u32) -> u64 {
        let seats = (1..self.mutex.holding.len()).filter_map(|seat| self.mutex.holding.read(seat));
        let held = seats.flat_map(|holding| holding.held);
        held.filter(|held| held.began_ns != 0 && held.stretch == stretch && held.tried_in == 0).count() as u64
    }

    /// Hits of sites since the session began, by their class; calibration is in the last class, which has no sites.
    #[must_use]
    pub fn trap_hits(&self) -> [u64; class::COUNT] {
        let mut totals = [0; class::COUNT];
        if let Ok(per_cpu) = self.mutex.traps.get(&0, 0) {
            for hits in per_cpu.iter() {
                totals.iter_mut().zip(hits).for_each(|(total, count)| *total += count);
            }
        }
        totals[class::COUNT - 1] = 0;
        totals
    }

    /// Frees the entries of a finished row, and returns the freed ids.
    pub fn free_mutexes(&mut self, row: u32) -> FreedMutexes {
        let mut freed = FreedMutexes::default();
        let mine: Vec<(u32, Mutex)> = self.mutexes().filter(|(_, mutex)| mutex.row == row).collect();
        for (id, mutex) in mine {
            for (purpose, histogram) in PURPOSES.into_iter().zip(mutex.histograms) {
                self.pool.free(owner(purpose, id), histogram);
                freed.histograms.push(histogram);
            }
            self.mutex.entries.write(id as usize, Mutex::zeroed());
            // Both had room for it before.
            let _ = self.mutex.ids.remove(&key(row, mutex.which, mutex.address));
            let _ = self.mutex.free.push(id, 0);
            freed.entries.push(id);
        }
        freed
    }
}
