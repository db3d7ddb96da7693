//! The entries of the `futex` probe, as raw values of the kernel side.

use std::{collections::HashSet, mem::offset_of, sync::atomic::Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, Queue},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::{
    pool::{owner, purpose},
    probes::futex::{Futex, Holder, Waiting, holder_parts, key},
};

use super::{
    Kernel,
    attach::settle,
    limits::Limits,
    loaded::{LoadError, filled, map, typed},
    mapped::Mapped,
};

/// Purposes of an entry's histograms, in the order of [`Futex::histograms`].
const PURPOSES: [u64; 4] =
    [purpose::FUTEX_WAIT, purpose::FUTEX_BLOCKED, purpose::FUTEX_RUN_QUEUE, purpose::FUTEX_SPINS];

/// Maps of the probe.
pub(super) struct FutexMaps {
    entries: Mapped<Futex>,
    free: Queue<MapData, u32>,
    free_others: Queue<MapData, u32>,
    waiting: Mapped<Waiting>,
    ids: HashMap<MapData, [u64; 2], u32>,
    holders: Mapped<Holder>,
    free_holders: Queue<MapData, u32>,
    holder_ids: HashMap<MapData, u64, u32>,
    off: Array<MapData, u64>,
}

impl FutexMaps {
    pub(super) fn open(ebpf: &mut Ebpf, maps: &mut Vec<MapData>, limits: &Limits) -> Result<Self, LoadError> {
        Ok(Self {
            entries: map(ebpf, maps, "FUTEXES")?,
            free: filled(ebpf, "FREE_FUTEXES", 1..=limits.futexes)?,
            free_others: filled(ebpf, "FREE_OTHER_FUTEXES", limits.futexes + 1..=limits.all_futexes())?,
            waiting: map(ebpf, maps, "WAITING")?,
            ids: typed(ebpf, "FUTEX_IDS")?,
            holders: map(ebpf, maps, "HOLDERS")?,
            free_holders: filled(ebpf, "FREE_HOLDERS", 1..=limits.holders)?,
            holder_ids: typed(ebpf, "HOLDER_IDS")?,
            off: typed(ebpf, "FUTEX_OFF")?,
        })
    }
}

/// Entries and histograms that were freed with a row.
#[derive(Debug, Default)]
pub struct FreedFutexes {
    /// Ids of the freed entries.
    pub entries: Vec<u32>,
    /// Ids of the freed histograms.
    pub histograms: Vec<u32>,
}

impl FreedFutexes {
    /// Appends the ids of another set.
    pub fn extend(&mut self, more: Self) {
        self.entries.extend(more.entries);
        self.histograms.extend(more.histograms);
    }
}

impl Kernel {
    /// Makes the kernel side ignore futex calls that begin from here on, or count them again.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn look_at_futexes(&mut self, on: bool) -> Result<(), LoadError> {
        let name = "FUTEX_OFF";
        self.futex.off.set(0, u64::from(!on), 0).map_err(|cause| LoadError::Map { name, cause })?;
        // Calls that are beginning at this moment may still be counted.
        settle();
        Ok(())
    }

    /// Number of futexes and operations that have entries of their own at the same time.
    #[must_use]
    pub fn room_for_futexes(&self) -> usize {
        self.limits.futexes as usize
    }

    /// Entries of the calls on futexes that threads are in.
    #[must_use]
    pub fn futexes_in_calls(&self) -> HashSet<u32> {
        let in_calls = self.seated().filter(|(_, thread)| thread.call != 0);
        in_calls.filter_map(|(seat, _)| Some(self.futex.waiting.read(seat as usize)?.entry)).collect()
    }

    /// Detaches an entry from its futex. Calls that have just looked the entry up may still add to it, so it is to be
    /// read once more before it is freed.
    pub fn retire_futex(&mut self, id: u32, futex: &Futex) {
        let _ = self.futex.ids.remove(&key(futex.row, futex.op, futex.address));
        self.next_use(id);
        if let Some(row) = self.futex.entries.word(id as usize, offset_of!(Futex, row)) {
            row.store(0, Relaxed);
        }
    }

    fn next_use(&self, id: u32) {
        if let Some(generation) = self.futex.entries.word(id as usize, offset_of!(Futex, generation)) {
            generation.fetch_add(1, Relaxed);
        }
    }

    /// An entry, in use or not.
    #[must_use]
    pub fn futex(&self, id: u32) -> Option<Futex> {
        self.futex.entries.read(id as usize)
    }

    /// Entries in use.
    pub fn futexes(&self) -> impl Iterator<Item = (u32, Futex)> + '_ {
        (1..self.futex.entries.len()).filter_map(|id| {
            let used = self.futex.entries.word(id, offset_of!(Futex, row))?.load(Relaxed) != 0;
            if used { Some((id as u32, self.futex.entries.read(id)?)) } else { None }
        })
    }

    /// Threads that were found to hold the lock of an entry, with their number of times: entry, thread id, count.
    pub fn holders(&self) -> impl Iterator<Item = (u32, u32, u64)> + '_ {
        self.used_holders().map(|(_, holder)| {
            let (entry, tid) = holder_parts(holder.key);
            (entry, tid, holder.count)
        })
    }

    fn used_holders(&self) -> impl Iterator<Item = (u32, Holder)> + '_ {
        (1..self.futex.holders.len()).filter_map(|id| {
            let used = self.futex.holders.double(id, offset_of!(Holder, key))?.load(Relaxed) != 0;
            if used { Some((id as u32, self.futex.holders.read(id)?)) } else { None }
        })
    }

    /// Frees the entries of a finished row, and returns the freed ids.
    pub fn free_futexes(&mut self, row: u32) -> FreedFutexes {
        let mine: Vec<(u32, Futex)> = self.futexes().filter(|(_, futex)| futex.row == row).collect();
        for (_, futex) in &mine {
            let _ = self.futex.ids.remove(&key(row, futex.op, futex.address));
        }
        self.free_entries(&mine)
    }

    /// Frees entries that no look-up finds any more, and returns the freed ids.
    pub fn free_entries(&mut self, mine: &[(u32, Futex)]) -> FreedFutexes {
        let mut freed = FreedFutexes::default();
        if mine.is_empty() {
            return freed;
        }
        freed.entries = mine.iter().map(|(id, _)| *id).collect();
        let ids: HashSet<u32> = freed.entries.iter().copied().collect();
        // First: an entry that is free may have another lock, with holders of its own, at once.
        let of_mine = |holder: &Holder| ids.contains(&holder_parts(holder.key).0);
        let gone: Vec<(u32, Holder)> = self.used_holders().filter(|(_, holder)| of_mine(holder)).collect();
        for (id, holder) in gone {
            self.futex.holders.write(id as usize, Holder::zeroed());
            let _ = self.futex.holder_ids.remove(&holder.key);
            let _ = self.futex.free_holders.push(id, 0);
        }
        for (id, futex) in mine {
            for (purpose, histogram) in PURPOSES.into_iter().zip(futex.histograms) {
                self.pool.free(owner(purpose, *id), histogram);
                freed.histograms.push(histogram);
            }
            let generation = futex.generation.wrapping_add(1);
            self.futex.entries.write(*id as usize, Futex { generation, ..Futex::zeroed() });
            // It had room for it before.
            let of_others = *id > self.limits.futexes;
            let free = if of_others { &mut self.futex.free_others } else { &mut self.futex.free };
            let _ = free.push(*id, 0);
        }
        freed
    }
}
