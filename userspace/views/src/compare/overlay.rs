//! Distributions of all variants in one drawing: for each power of two, a letter for each variant at its share.

use std::collections::BTreeMap;

use model::{text::printable, units};

use super::json::{Comparison, Histogram};
use crate::export::json::Unit;

/// Columns that the label takes.
const LABEL: usize = 20;
/// Letters of the variants.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Keys of the distributions that took the most time, end to end first.
#[must_use]
pub fn chosen(comparison: &Comparison, many: usize) -> Vec<String> {
    let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
    for histogram in comparison.columns.iter().flat_map(|column| &column.histograms) {
        *sums.entry(&histogram.key).or_default() += u128::from(histogram.values.sum);
    }
    let mut keys: Vec<(&str, u128)> = sums.into_iter().collect();
    keys.sort_by_key(|(key, sum)| (*key != "latency", std::cmp::Reverse(*sum)));
    keys.into_iter().take(many).map(|(key, _)| key.to_owned()).collect()
}

/// Draws one; nothing where no variant has it.
#[must_use]
pub fn render(comparison: &Comparison, key: &str, width: usize) -> String {
    let find =
        |histograms: &[Histogram]| histograms.iter().find(|it| it.key == key && it.values.count > 0).cloned();
    let all: Vec<Option<Histogram>> =
        comparison.columns.iter().map(|column| find(&column.histograms)).collect();
    let Some(first) = all.iter().flatten().next() else { return String::new() };
    let shares: Vec<BTreeMap<u32, f64>> =
        all.iter().map(|it| it.as_ref().map(octaves).unwrap_or_default()).collect();
    let range = shares.iter().flat_map(BTreeMap::keys);
    let (Some(low), Some(high)) = (range.clone().min(), range.max()) else { return String::new() };
    let highest = shares.iter().flat_map(BTreeMap::values).copied().fold(0.0, f64::max);
    let room = width.saturating_sub(LABEL + 3).clamp(20, 100);
    let mut text = format!(
        "\n{}, share of the values in each octave; full width is {:.0} %\n",
        printable(&first.name),
        highest * 100.0
    );
    for (nth, column) in comparison.columns.iter().enumerate().filter(|(nth, _)| all[*nth].is_some()) {
        let count = all[nth].as_ref().map_or(0, |it| it.values.count);
        text += &format!("  {} {} ({count} values)\n", letter(nth), printable(&column.label));
    }
    for octave in *low..=*high {
        let mut line = vec![b' '; room + 1];
        for (nth, share) in shares.iter().enumerate() {
            let Some(share) = share.get(&octave) else { continue };
            let at = (share / highest * room as f64).round() as usize;
            line[..at].iter_mut().filter(|it| **it == b' ').for_each(|it| *it = b'-');
            // Two in one place: a sign of its own, for none is to be hidden.
            line[at] =
                if line[at].is_ascii_uppercase() || line[at] == b'+' { b'+' } else { letter(nth) as u8 };
        }
        let drawn = String::from_utf8_lossy(&line).trim_end().to_owned();
        text += format!("{:>LABEL$} |{drawn}", label(octave, first.values.unit)).trim_end();
        text += "\n";
    }
    text
}

fn letter(nth: usize) -> char {
    char::from(LETTERS[nth % LETTERS.len()])
}

fn octaves(histogram: &Histogram) -> BTreeMap<u32, f64> {
    let mut shares = BTreeMap::new();
    for (lower, _, count) in &histogram.values.buckets {
        *shares.entry(lower.checked_ilog2().map_or(0, |it| it + 1)).or_default() +=
            *count as f64 / histogram.values.count as f64;
    }
    shares
}

fn label(octave: u32, unit: Unit) -> String {
    let edge = |power: u32| {
        let value = 1u64 << power.min(62);
        match unit {
            Unit::Ns => units::time(value),
            Unit::Count => units::count(value),
            Unit::Cycles => units::count(value) + "cyc",
        }
    };
    if octave == 0 { "0".to_owned() } else { format!("{} to {}", edge(octave - 1), edge(octave)) }
}
