//! The entries of the `mutex` probe, as raw values of the kernel side.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray, Queue},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::{
    pool::{owner, purpose},
    probes::mutex::{Mutex, class, key},
};

use super::{
    Kernel,
    limits::Limits,
    loaded::{LoadError, filled, map, typed},
    mapped::Mapped,
};

/// Purposes of an entry's histograms, in the order of [`Mutex::histograms`].
const PURPOSES: [u64; 2] = [purpose::MUTEX_SPINS, purpose::MUTEX_SPIN_TIME];

/// Maps of the probe.
pub(super) struct MutexMaps {
    entries: Mapped<Mutex>,
    free: Queue<MapData, u32>,
    ids: HashMap<MapData, [u64; 2], u32>,
    traps: PerCpuArray<MapData, [u64; class::COUNT]>,
}

impl MutexMaps {
    pub(super) fn open(ebpf: &mut Ebpf, maps: &mut Vec<MapData>, limits: &Limits) -> Result<Self, LoadError> {
        Ok(Self {
            entries: map(ebpf, maps, "MUTEXES")?,
            free: filled(ebpf, "FREE_MUTEXES", 1..=limits.mutexes)?,
            ids: typed(ebpf, "MUTEX_IDS")?,
            traps: typed(ebpf, "TRAPS")?,
        })
    }
}

/// What was given back with a row.
#[derive(Debug, Default)]
pub struct FreedMutexes {
    /// Entries.
    pub entries: Vec<u32>,
    /// Histograms.
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

    /// Hits of sites since the session began, by their class; calibration is in the last one, which has no sites.
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

    /// Gives back what a finished row had, and tells what that was.
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
