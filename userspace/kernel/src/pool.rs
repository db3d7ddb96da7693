//! The pool of histograms as userspace sees it.

use std::{
    mem::offset_of,
    ops::Range,
    sync::atomic::Ordering::{Acquire, Relaxed},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, Queue},
};
use bytemuck::Zeroable as _;
use pulse_trace_common::hist::{self, BUCKETS, Histogram};

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
    /// The buckets that were read; all others are zero here.
    pub(super) read: Range<usize>,
}

impl Default for HistogramNow {
    fn default() -> Self {
        Self { sum: 0, max: None, min: None, buckets: [0; BUCKETS], read: 0..0 }
    }
}

impl HistogramNow {
    fn clear(&mut self) {
        self.buckets[self.read.clone()].fill(0);
        (self.sum, self.max, self.min, self.read) = (0, None, None, 0..0);
    }

    /// Adds a lane without its buckets. The smallest value is stored plus one: 0 means that there is none.
    pub(super) fn add_lane(&mut self, sum: u64, max: u64, min_plus_1: u64) {
        self.sum = self.sum.wrapping_add(sum);
        if let Some(min) = min_plus_1.checked_sub(1) {
            self.max = self.max.max(Some(max));
            self.min = Some(self.min.map_or(min, |least| least.min(min)));
        }
    }
}

/// Range of a histogram that is read.
#[derive(Clone, Copy)]
pub(super) enum Reading<'a> {
    /// All of its buckets.
    Whole,
    /// Buckets between its smallest and its largest value, and those that are known already. Two CPUs that share a lane
    /// may race for those values: values outside of the range are found by the next whole reading.
    Near(&'a Range<usize>),
}

impl Reading<'_> {
    /// The buckets of a lane that are to be read, from an even one on; `None` where it has no values.
    fn buckets(self, max: u64, min_plus_1: u64) -> Option<Range<usize>> {
        let Self::Near(known) = self else { return Some(0..BUCKETS) };
        let lowest = hist::index(min_plus_1.checked_sub(1)?);
        let range = union(known, &(lowest..hist::index(max).max(lowest) + 1));
        // Two buckets are one word; the last one is followed by padding.
        Some(range.start & !1..range.end.next_multiple_of(2).min(BUCKETS))
    }
}

fn union(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.clone(),
        (_, true) => one.clone(),
        _ => one.start.min(other.start)..one.end.max(other.end),
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

    /// Sum, largest and smallest plus one of a lane.
    fn head(&self, at: usize) -> [u64; 3] {
        [offset_of!(Histogram, sum), offset_of!(Histogram, max), offset_of!(Histogram, min_plus_1)]
            .map(|offset| self.histograms.double(at, offset).map_or(0, |field| field.load(Relaxed)))
    }

    /// Reads a histogram, all lanes together, in place of the previous contents.
    pub(super) fn read(&self, id: u32, reading: Reading<'_>, into: &mut HistogramNow) {
        into.clear();
        for at in self.lanes_of(id) {
            let [sum, max, min_plus_1] = self.head(at);
            into.add_lane(sum, max, min_plus_1);
            let Some(range) = reading.buckets(max, min_plus_1) else { continue };
            let offset = offset_of!(Histogram, buckets) + range.start * size_of::<u32>();
            self.histograms.add_words(at, offset, &mut into.buckets[range.clone()]);
            into.read = union(&into.read, &range);
        }
    }

    /// Number of values in the known buckets and between the extremes, and the sum of all values; both wrap.
    pub(super) fn count(&self, id: u32, known: &Range<usize>) -> (u32, u64) {
        let mut all = (0_u32, 0_u64);
        for at in self.lanes_of(id) {
            let [sum, max, min_plus_1] = self.head(at);
            let Some(range) = Reading::Near(known).buckets(max, min_plus_1) else { continue };
            let offset = offset_of!(Histogram, buckets) + range.start * size_of::<u32>();
            let count = self.histograms.sum_words(at, offset, range.len());
            all = (all.0.wrapping_add(count), all.1.wrapping_add(sum));
        }
        all
    }

    /// A number that changes whenever the histogram does: its sum, and how many values were zero.
    pub(super) fn stamp(&self, id: u32) -> u64 {
        let lane = |at: usize| {
            // Read before the buckets, and written after them.
            let sum = self.histograms.double(at, offset_of!(Histogram, sum))?.load(Acquire);
            let zeros = self.histograms.word(at, offset_of!(Histogram, buckets))?.load(Relaxed);
            Some(sum.wrapping_add(u64::from(zeros) << 32))
        };
        self.lanes_of(id).filter_map(lane).fold(0, u64::wrapping_add)
    }

    /// Empties a histogram.
    pub(super) fn clear(&self, id: u32) {
        self.lanes_of(id).for_each(|at| self.histograms.write(at, Histogram::zeroed()));
    }

    /// Takes the histogram of an owner back.
    pub(super) fn free(&mut self, owner: u64, id: u32) {
        if id != 0 {
            self.clear(id);
            // Both had room for it before.
            let _ = self.owners.remove(&owner);
            let _ = self.free.push(id, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_the_extremes_or_is_known_is_read() {
        assert_eq!(Reading::Whole.buckets(0, 0), Some(0..BUCKETS));
        assert_eq!(Reading::Near(&(0..0)).buckets(0, 0), None);
        assert_eq!(Reading::Near(&(0..0)).buckets(9, 6), Some(4..10));
        assert_eq!(Reading::Near(&(3..12)).buckets(9, 6), Some(2..12));
        // The word that another CPU is about to write.
        assert_eq!(Reading::Near(&(0..0)).buckets(0, 6), Some(4..6));
        assert_eq!(Reading::Near(&(0..0)).buckets(u64::MAX, u64::MAX), Some(BUCKETS - 1..BUCKETS));
    }
}
