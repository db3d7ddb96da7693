//! A distribution as bars: one line per power of two, as long as the logarithm of its count, so that both the bulk and
//! the one slow call in a million can be seen.

use model::{hist::Hist, units};
use pulse_trace_common::hist;

use super::layout::Layout;

/// Columns that the label and the count take.
const LABELS: usize = 36;
const WIDEST_BAR: usize = 64;

/// One line of the drawing.
struct Octave {
    label: String,
    count: u64,
}

/// Unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Durations in nanoseconds.
    Time,
    /// Numbers of things.
    Count,
}

/// Draws a distribution; the nouns name what was counted, one and many.
pub fn render(title: &str, one: &str, many: &str, values: &Hist, scale: Scale, layout: Layout) -> String {
    let octaves = octaves(values, scale);
    let Some(highest) = octaves.iter().map(|octave| octave.count).max() else {
        return String::new();
    };
    let bar = (layout.width() - LABELS).min(WIDEST_BAR);
    let noun = if values.count() == 1 { one } else { many };
    let count = values.count();
    let by = if (one, scale) == ("call", Scale::Time) { " by latency" } else { "" };
    let mut text =
        String::from("\n") + &layout.wrap("", &format!("{title}: {count} {noun}{by}; bars are logarithmic"));
    for Octave { label, count } in octaves {
        let filled = length(count, highest, bar);
        text += &format!(
            "{label:<22} {:>10} |{}{}|\n",
            units::count(count),
            "@".repeat(filled),
            " ".repeat(bar - filled)
        );
    }
    text
}

/// The octaves between the lowest and the highest that hold anything; the empty ones between them too.
fn octaves(values: &Hist, scale: Scale) -> Vec<Octave> {
    let mut counts: Vec<(u32, u64)> = Vec::new();
    for (bucket, count) in values.buckets() {
        let octave = octave_of(hist::lower(usize::from(*bucket)));
        match counts.last_mut() {
            Some((last, sum)) if *last == octave => *sum += count,
            last => {
                let next = last.map_or(octave, |(last, _)| *last + 1);
                counts.extend((next..octave).map(|empty| (empty, 0)));
                counts.push((octave, *count));
            }
        }
    }
    counts.into_iter().map(|(octave, count)| Octave { label: label(octave, scale), count }).collect()
}

/// 0 holds the value 0 alone; n holds from 2^(n-1) to below 2^n, the last one everything above.
const fn octave_of(value: u64) -> u32 {
    if value == 0 { 0 } else { hist::log2(value) + 1 }
}

fn label(octave: u32, scale: Scale) -> String {
    let (shown, more) = match scale {
        Scale::Time => (units::time as fn(u64) -> String, "longer"),
        Scale::Count => (units::count as fn(u64) -> String, "more"),
    };
    if octave == 0 {
        return format!("[{}, {})", shown(0), shown(1));
    }
    let lower = 1_u64 << (octave - 1);
    if lower >= hist::CLAMP {
        return format!("[{}, and {more})", shown(lower));
    }
    format!("[{}, {})", shown(lower), shown(2 * lower))
}

/// At least one character for anything that happened at all.
fn length(count: u64, highest: u64, bar: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let share = (count as f64 + 1.0).ln() / (highest as f64 + 1.0).ln();
    ((share * bar as f64).round() as usize).clamp(1, bar)
}

#[cfg(test)]
mod tests {
    use model::frame::CallStats;

    use super::*;

    fn drawn(values: &[u64]) -> String {
        let mut stats = CallStats::default();
        values.iter().for_each(|value| stats.latency.record(*value));
        render("read", "call", "calls", &stats.latency, Scale::Time, Layout::new(80, false))
    }

    #[test]
    fn sub_buckets_are_merged_and_gaps_are_shown() {
        let text = drawn(&[4096, 5000, 8191, 8192, 40_000]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("[4.10us, 8.19us)                3 |@@"), "{text}");
        assert!(lines[1].starts_with("[8.19us, 16.4us)                1 |@@"), "{text}");
        assert!(lines[2].starts_with("[16.4us, 32.8us)                0 |  "), "{text}");
        assert!(lines.iter().all(|line| line.len() == 80 && line.ends_with('|')), "{text}");
    }

    #[test]
    fn the_rare_stays_visible_beside_the_frequent() {
        let mut values = vec![100; 1_000_000];
        values.push(1 << 41);
        let text = drawn(&values);
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("[1100s, and longer)") && last.contains("|@@ "), "{text}");
    }

    #[test]
    fn zero_has_a_line_of_its_own_and_nothing_has_none() {
        assert!(drawn(&[0]).contains("[0ns, 1ns)"));
        assert_eq!(drawn(&[]), "");
    }
}
