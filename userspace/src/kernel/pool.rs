//! The pool of histograms as userspace sees it.

use std::{mem::offset_of, sync::atomic::Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, Queue},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::hist::{BUCKETS, Histogram};

use super::{
    limits::Limits,
    loaded::{LoadError, filled, map, typed},
    mapped::Mapped,
};

/// A histogram as the kernel side has it now.
pub(super) struct HistogramNow {
    /// Sum of the values; wraps.
    pub(super) sum: u64,
    /// The largest value.
    pub(super) max: Option<u64>,
    /// The smallest value.
    pub(super) min: Option<u64>,
    /// Counts by bucket; they wrap.
    pub(super) buckets: [u32; BUCKETS],
}

impl Default for HistogramNow {
    fn default() -> Self {
        Self { sum: 0, max: None, min: None, buckets: [0; BUCKETS] }
    }
}

impl HistogramNow {
    /// Adds what a lane says besides its buckets. The smallest value is stored plus one: 0 means that there is none.
    pub(super) fn add_lane(&mut self, sum: u64, max: u64, min_plus_1: u64) {
        self.sum = self.sum.wrapping_add(sum);
        if let Some(min) = min_plus_1.checked_sub(1) {
            self.max = self.max.max(Some(max));
            self.min = Some(self.min.map_or(min, |least| least.min(min)));
        }
    }
}

/// Histograms in lanes: those of cells, then those that are handed out on first use.
pub(super) struct Pool {
    histograms: Mapped<Histogram>,
    free: Queue<MapData, u32>,
    owners: HashMap<MapData, u64, u32>,
    lanes: u32,
}

impl Pool {
    pub(super) fn open(ebpf: &mut Ebpf, maps: &mut Vec<MapData>, limits: &Limits) -> Result<Self, LoadError> {
        Ok(Self {
            histograms: map(ebpf, maps, "HISTOGRAMS")?,
            free: filled(ebpf, "FREE_HISTOGRAMS", limits.histograms + 1..=limits.all_histograms())?,
            owners: typed(ebpf, "OWNERS")?,
            lanes: limits.lanes,
        })
    }

    fn lanes_of(&self, id: u32) -> impl Iterator<Item = usize> + use<> {
        (id * self.lanes..(id + 1) * self.lanes).map(|at| at as usize)
    }

    /// A histogram, all lanes together, in place of what was there.
    pub(super) fn read(&self, id: u32, into: &mut HistogramNow) {
        *into = HistogramNow::default();
        for at in self.lanes_of(id) {
            let field = |offset| self.histograms.double(at, offset).map_or(0, |field| field.load(Relaxed));
            into.add_lane(
                field(offset_of!(Histogram, sum)),
                field(offset_of!(Histogram, max)),
                field(offset_of!(Histogram, min_plus_1)),
            );
            self.histograms.add_words(at, offset_of!(Histogram, buckets), &mut into.buckets);
        }
    }

    /// A number that changes whenever the histogram does: its sum, and how many values were zero.
    pub(super) fn stamp(&self, id: u32) -> u64 {
        let lane = |at: usize| {
            let sum = self.histograms.double(at, offset_of!(Histogram, sum))?.load(Relaxed);
            let zeros = self.histograms.word(at, offset_of!(Histogram, buckets))?.load(Relaxed);
            Some(sum.wrapping_add(u64::from(zeros) << 32))
        };
        self.lanes_of(id).filter_map(lane).fold(0, u64::wrapping_add)
    }

    /// Empties a histogram.
    pub(super) fn clear(&self, id: u32) {
        self.lanes_of(id).for_each(|at| self.histograms.write(at, Histogram::zeroed()));
    }

    /// Takes an owner's histogram back.
    pub(super) fn free(&mut self, owner: u64, id: u32) {
        if id != 0 {
            self.clear(id);
            // Both had room for it before.
            let _ = self.owners.remove(&owner);
            let _ = self.free.push(id, 0);
        }
    }
}
