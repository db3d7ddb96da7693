//! Lines over time, histograms, heat maps, bars of a budget.

use model::{hist::Hist, sched::Budget, units};
use ratatui::{buffer::Buffer, layout::Rect};

use super::parts::{line, row, text};
use crate::{
    heat::{self, Heat},
    palette::{Look, Tone},
};

/// Columns over time, as high as the area; `None` is a time of which nothing is known.
pub fn columns(buf: &mut Buffer, look: Look, area: Rect, values: &[Option<f64>], tone: Tone) {
    let peak = values.iter().flatten().copied().fold(0.0, f64::max);
    let style = look.style(tone);
    for (at, value) in values.iter().enumerate().take(usize::from(area.width)) {
        let Some(value) = value else { continue };
        let full = usize::from(area.height) * 8;
        let mut eighths = if peak > 0.0 { (value / peak * full as f64).round() as usize } else { 0 };
        if *value > 0.0 {
            eighths = eighths.max(1);
        }
        for up in 0..area.height {
            let here = eighths.saturating_sub(usize::from(up) * 8).min(8);
            if here > 0 {
                let y = area.bottom() - 1 - up;
                let cell = Rect { x: area.x + at as u16, y, width: 1, height: 1 };
                text(buf, cell, cell.x, look.column(here), style);
            }
        }
    }
}

/// A distribution by octaves: an axis with units, bars, counts. Two sides are drawn as two bars, whose lengths are
/// shares of their side: equal bars mean equal shares, however many there are on either side.
pub fn histogram(buf: &mut Buffer, look: Look, area: Rect, values: &[&Hist], unit: fn(u32) -> String) {
    let sides: Vec<Vec<(u32, u64)>> = values.iter().map(|values| heat::octaves(values)).collect();
    let edges = sides.iter().flatten().map(|row| row.0);
    let (Some(low), Some(high)) = (edges.clone().min(), edges.max()) else {
        line(buf, look, area, &[("no values", Tone::Faint)]);
        return;
    };
    let lines_per_step = values.len() as u32;
    let steps = (u32::from(area.height) / lines_per_step).max(1);
    let octaves = (high - low + 1).div_ceil(steps);
    let step_of = |octave: u32| ((octave - low) / octaves) as usize;
    let mut counts = vec![vec![0u64; step_of(high) + 1]; sides.len()];
    for (side, rows) in sides.iter().enumerate() {
        rows.iter().for_each(|(octave, count)| counts[side][step_of(*octave)] += count);
    }
    let wholes: Vec<u64> = counts.iter().map(|counts| counts.iter().sum()).collect();
    let share = |count: u64, whole: u64| if whole == 0 { 0.0 } else { count as f64 / whole as f64 };
    let shares =
        counts.iter().zip(&wholes).flat_map(|(counts, whole)| counts.iter().map(|it| share(*it, *whole)));
    let peak = shares.fold(0.0, f64::max);
    for step in 0..=step_of(high) {
        for (side, counts) in counts.iter().enumerate() {
            let at = step * values.len() + side;
            let share = share(counts[step], wholes[side]);
            let label = if side == 0 { unit(low + step as u32 * octaves) } else { String::new() };
            let tone = if side == 0 { Tone::First } else { Tone::Second };
            let length = if peak > 0.0 { share / peak } else { 0.0 };
            bar(buf, look, row(area, at as u16), &label, (counts[step], share, length), tone);
        }
    }
}

/// One line of a distribution; `length` is that of the bar, as a share of the longest.
fn bar(
    buf: &mut Buffer,
    look: Look,
    area: Rect,
    label: &str,
    (count, share, length): (u64, f64, f64),
    tone: Tone,
) {
    let tail = format!(" {:>9} {:>5.1}%", units::count(count), share * 100.0);
    let x = line(buf, look, area, &[(&format!("{label:>7} "), Tone::Faint)]);
    let room = area.right().saturating_sub(x + tail.len() as u16);
    text(buf, area, x, &look.bar(length * f64::from(room)), look.style(tone));
    text(buf, area, x + room, &tail, look.style(if count == 0 { Tone::Faint } else { Tone::Plain }));
}

/// Width of the axis of a heat map.
const AXIS: u16 = 8;

/// Number of columns of time that a heat map has in an area.
#[must_use]
pub fn heat_columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(AXIS))
}

/// A heat map with its axis; large values stand at the top. The last line is the axis of time.
pub fn heat_map(buf: &mut Buffer, look: Look, area: Rect, map: &Heat, from_ns: i64, to_ns: u64) {
    let rows = map.cells.len() as u16;
    if map.peak <= 0.0 {
        line(buf, look, area, &[("nothing yet", Tone::Faint)]);
        return;
    }
    for (at, cells) in map.cells.iter().enumerate() {
        let line_area = row(area, rows - 1 - at as u16);
        let x = line(buf, look, line_area, &[(&format!("{:>7} ", map.label(at)), Tone::Faint)]);
        for (column, value) in cells.iter().enumerate() {
            let (shade, style) = look.heat(map.strength(*value));
            text(buf, line_area, x + column as u16, shade, style);
        }
    }
    let axis = row(area, rows);
    let x = axis.x + AXIS;
    if let Ok(from_ns) = u64::try_from(from_ns) {
        text(buf, axis, x, &units::clock(from_ns), look.style(Tone::Faint));
    }
    let end = format!("{}  darkest to brightest: up to {}/s", units::clock(to_ns), units::rate(map.peak));
    let end = if usize::from(axis.width) > end.len() + 24 { end } else { units::clock(to_ns) };
    let at = axis.right().saturating_sub(end.len() as u16).max(x);
    text(buf, axis, at, &end, look.style(Tone::Faint));
}

/// Draws a budget as one bar.
pub fn budget_bar(buf: &mut Buffer, look: Look, area: Rect, budget: &Budget) {
    let whole = budget.parts_ns().max(1) as f64;
    let parts = [
        (budget.user_ns, Tone::User),
        (budget.faults_ns, Tone::Faults),
        (budget.kernel_ns, Tone::Kernel),
        (budget.run_queue_ns(), Tone::Queue),
        (budget.blocked_ns(), Tone::Blocked),
        (budget.stopped_ns, Tone::Stopped),
        (budget.unknown_ns, Tone::Unknown),
    ];
    let mut sum = 0;
    let mut x = area.x;
    for (ns, tone) in parts {
        sum += ns;
        let end = area.x + (sum as f64 / whole * f64::from(area.width)).round() as u16;
        while x < end {
            x = text(buf, area, x, look.part(tone), look.style(tone));
        }
    }
}

/// Draws the legend of a budget.
pub fn budget_legend(buf: &mut Buffer, look: Look, area: Rect, faults: bool) {
    let mut x = area.x;
    let parts = [
        (Tone::User, if faults { " user code  " } else { " user code, page faults  " }),
        (Tone::Faults, if faults { " page faults  " } else { "" }),
        (Tone::Kernel, " kernel  "),
        (Tone::Queue, " run queue  "),
        (Tone::Blocked, " blocked  "),
        (Tone::Stopped, " stopped  "),
        (Tone::Unknown, " unknown"),
    ];
    for (tone, words) in parts.into_iter().filter(|(_, words)| !words.is_empty()) {
        x = text(buf, area, x, look.part(tone), look.style(tone));
        x = text(buf, area, x, words, look.style(Tone::Faint));
    }
}

/// From this width on the highest column is told in words.
const ROOMY: u16 = 70;
/// The room that this takes.
const PEAK: u16 = 14;

/// A number with its history: a label, the newest value, columns over time.
pub fn spark(
    buf: &mut Buffer,
    look: Look,
    area: Rect,
    (label, shown): (&str, &str),
    values: &[Option<f64>],
    peak_text: fn(f64) -> String,
) {
    let x = line(
        buf,
        look,
        row(area, 0),
        &[(&format!("{label:<13}"), Tone::Plain), (&format!("{shown:>9} "), Tone::Title)],
    );
    let x = if area.width >= ROOMY {
        let peak = values.iter().flatten().copied().fold(0.0, f64::max);
        line(
            buf,
            look,
            Rect { x, ..row(area, 0) },
            &[(&format!("{:<14}", format!("peak {}", peak_text(peak))), Tone::Faint)],
        );
        x + PEAK
    } else {
        x
    };
    let chart = Rect { x, width: area.right().saturating_sub(x), ..area };
    columns(buf, look, chart, values, Tone::First);
}

/// The width that [`spark`] leaves for columns.
#[must_use]
pub fn spark_columns(area: Rect) -> usize {
    let text = if area.width >= ROOMY { 23 + PEAK } else { 23 };
    usize::from(area.width.saturating_sub(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::Depth;

    #[test]
    fn both_sides_have_one_scale() {
        let side = |shares: [(u64, u64); 2]| {
            let mut hist = Hist::default();
            for (value, count) in shares {
                (0..count).for_each(|_| hist.record(value));
            }
            hist
        };
        let area = Rect::new(0, 0, 124, 4);
        let mut buf = Buffer::empty(area);
        let look = Look { depth: Depth::None, ascii: true };
        // Half as often, but as large a share of it as the other has of its own: shares decide.
        let sides = [side([(1, 40), (2, 60)]), side([(1, 40), (2, 10)])];
        histogram(&mut buf, look, area, &[&sides[0], &sides[1]], |octave| octave.to_string());
        let length = |y: u16| {
            let bar = (8..106).take_while(|x| buf[(*x, y)].symbol() != " ");
            bar.count()
        };
        let [low_a, low_b, high_a, high_b] = [length(0), length(1), length(2), length(3)];
        assert!(low_b > high_a && high_a > low_a && low_a > high_b, "{buf:?}");
        // 80% is the longest; 40% is half of it.
        assert!(low_a.abs_diff(low_b / 2) <= 1, "{buf:?}");
    }
}
