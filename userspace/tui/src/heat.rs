//! Time x latency: how many values of which size there were when.

use model::{hist::Hist, units};
use pulse_trace_common::hist;

/// Counts per second on a grid: `cells[row][column]`, the first row being the smallest values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// Counts per second by row and column.
    pub cells: Vec<Vec<f64>>,
    /// The largest number in it.
    pub peak: f64,
    /// The smallest in it that is not zero.
    least: f64,
    /// Half octaves below the lowest row.
    floor: u32,
    /// Half octaves in a row.
    halves_per_row: u32,
}

impl Heat {
    /// Draws histograms that belong to times onto a grid of a time. The axis is logarithmic and holds every value.
    #[must_use]
    pub fn new(slots: &[(u64, u64, &Hist)], from_ns: i64, to_ns: u64, columns: usize, rows: usize) -> Self {
        let edges = |slot: &(u64, u64, &Hist)| {
            let buckets = slot.2.buckets();
            Some((half_octave(buckets.first()?.0), half_octave(buckets.last()?.0)))
        };
        let span = slots.iter().filter_map(edges).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (Some((lowest, highest)), true) = (span, columns > 0 && rows > 0 && to_ns as i64 > from_ns)
        else {
            return Self { cells: vec![vec![0.0; columns]; rows], halves_per_row: 2, ..Self::default() };
        };
        let halves_per_row = (highest - lowest + 1).div_ceil(rows as u32).max(1);
        // Whole octaves have edges that people know.
        let halves_per_row = if halves_per_row == 1 { 1 } else { halves_per_row.next_multiple_of(2) };
        let lowest = lowest - lowest % 2;
        let needed = (highest - lowest + 1).div_ceil(halves_per_row) as usize;
        let mut heat = Self {
            cells: vec![vec![0.0; columns]; needed],
            floor: lowest,
            halves_per_row,
            ..Self::default()
        };
        for slot in slots {
            heat.add(slot, from_ns, to_ns, columns);
        }
        let values = || heat.cells.iter().flatten().copied().filter(|value| *value > 0.0);
        (heat.peak, heat.least) = (values().fold(0.0, f64::max), values().fold(f64::INFINITY, f64::min));
        heat
    }

    fn add(&mut self, (begin, end, values): &(u64, u64, &Hist), from_ns: i64, to_ns: u64, columns: usize) {
        let width = (to_ns as i64 - from_ns) as f64 / columns as f64;
        let seconds = end.saturating_sub(*begin).max(1) as f64 / 1e9;
        let column = |at: u64| ((at as i64 - from_ns).max(0) as f64 / width) as usize;
        let first = column(*begin);
        let last = column(end.saturating_sub(1)).min(columns - 1);
        for (bucket, count) in values.buckets() {
            let row = ((half_octave(*bucket) - self.floor) / self.halves_per_row) as usize;
            for cell in first..=last {
                self.cells[row][cell] += *count as f64 / seconds;
            }
        }
    }

    /// The lower edge of a row with its unit.
    #[must_use]
    pub fn label(&self, row: usize) -> String {
        let half = self.floor + row as u32 * self.halves_per_row;
        if half.is_multiple_of(2) {
            edge(half / 2)
        } else {
            units::time((1 << (half / 2)) + (1 << (half / 2)) / 2)
        }
    }

    /// Strength of a cell, from 0 to 1; on a logarithmic scale from the least to the most that there is, so that
    /// single values stay visible.
    #[must_use]
    pub fn strength(&self, value: f64) -> f64 {
        if value <= 0.0 || self.peak <= 0.0 {
            return 0.0;
        }
        let span = (self.peak / self.least).ln();
        if span <= 0.0 { 1.0 } else { ((value / self.least).ln() / span).clamp(FAINTEST, 1.0) }
    }
}

/// The strength of the least that there is.
const FAINTEST: f64 = 0.02;

/// The lower edge of an octave, for an axis.
#[must_use]
pub fn edge(octave: u32) -> String {
    if octave == 0 { "0ns".to_owned() } else { units::time(1 << octave) }
}

/// log2 of a bucket's lower edge.
#[must_use]
pub fn octave(bucket: u16) -> u32 {
    hist::log2(hist::lower(usize::from(bucket)))
}

/// Twice the octave of a bucket, and one more in the octave's upper half.
fn half_octave(bucket: u16) -> u32 {
    let lower = hist::lower(usize::from(bucket));
    let octave = hist::log2(lower);
    2 * octave + u32::from(octave > 0 && lower >= (1 << octave) + (1 << (octave - 1)))
}

/// A histogram by octaves: log2 of the lower edge, and how many; without gaps.
#[must_use]
pub fn octaves(values: &Hist) -> Vec<(u32, u64)> {
    let mut rows: Vec<(u32, u64)> = Vec::new();
    for (bucket, count) in values.buckets() {
        let octave = octave(*bucket);
        while rows.last().is_some_and(|row| row.0 + 1 < octave) {
            let next = rows.last().map_or(0, |row| row.0 + 1);
            rows.push((next, 0));
        }
        match rows.last_mut() {
            Some(row) if row.0 == octave => row.1 += count,
            _ => rows.push((octave, *count)),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hist(values: &[u64]) -> Hist {
        let mut hist = Hist::default();
        values.iter().for_each(|value| hist.record(*value));
        hist
    }

    #[test]
    fn every_value_has_its_place_and_rates_are_per_second() {
        let (early, late) = (hist(&[1000, 1000]), hist(&[1_000_000]));
        let slots = [(0, 1_000_000_000, &early), (1_000_000_000, 3_000_000_000, &late)];
        let heat = Heat::new(&slots, 0, 3_000_000_000, 3, 30);
        assert_eq!(heat.cells.len(), 22);
        assert_eq!(heat.cells[1], [2.0, 0.0, 0.0]);
        assert_eq!(heat.cells[21], [0.0, 0.5, 0.5]);
        let labels = [0, 1, 20, 21].map(|row| heat.label(row));
        assert_eq!(labels, ["512ns", "768ns", "524us", "786us"]);
        assert_eq!((heat.peak, heat.least), (2.0, 0.5));
    }

    #[test]
    fn few_rows_hold_everything_too() {
        let all = hist(&[1, 1 << 12, 1 << 39]);
        let heat = Heat::new(&[(0, 10, &all)], 0, 10, 1, 4);
        assert_eq!(heat.cells.iter().map(|row| (row[0] > 0.0) as u8).collect::<Vec<_>>(), [1, 1, 0, 1]);
        let nothing = Heat::new(&[], 0, 10, 2, 2);
        assert_eq!((nothing.peak, nothing.strength(1.0)), (0.0, 0.0));
    }

    #[test]
    fn time_before_the_session_stays_empty() {
        let values = hist(&[40]);
        let heat = Heat::new(&[(0, 10, &values)], -10, 10, 2, 4);
        assert_eq!(heat.cells[0][0], 0.0);
        assert!(heat.cells.iter().any(|row| row[1] > 0.0));
    }

    #[test]
    fn single_values_stay_visible_beside_a_flood() {
        let heat = Heat { peak: 1e6, least: 1.0, ..Heat::default() };
        assert!(heat.strength(1.0) > 0.0 && heat.strength(1e6) == 1.0 && heat.strength(1e3) < 0.6);
        let even = Heat { peak: 5.0, least: 5.0, ..Heat::default() };
        assert_eq!(even.strength(5.0), 1.0);
    }

    #[test]
    fn octaves_have_no_gaps() {
        assert_eq!(octaves(&hist(&[1, 9, 8, 100])), [(0, 1), (1, 0), (2, 0), (3, 2), (4, 0), (5, 0), (6, 1)]);
    }
}
