//! Two marks in time, or two processes, side by side.

use model::units;
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    parts::{self, below, fitting, heading, line, row, top},
};
use crate::{
    app::App,
    heat::edge,
    palette::{Look, Tone},
    tables::Item,
};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let mut y = 0;
    for (at, side) in app.shown.sides.iter().enumerate() {
        let (letter, tone) = [("A  ", Tone::First), ("B  ", Tone::Second)][at];
        let words = match side {
            Some((name, period)) => format!(
                "{}{} to {} ({})",
                if app.versus_processes { format!("{name}: ") } else { String::new() },
                units::clock(period.from_ns),
                units::clock(period.to_ns),
                units::time(period.sums.span_ns)
            ),
            None if app.versus_processes => "choose two processes: 6, then Enter on each".to_owned(),
            None => format!("not marked yet: {} marks the window", ["a", "b"][at]),
        };
        line(buf, look, row(area, y), &[(letter, tone), (&words, Tone::Plain)]);
        y += 1;
    }
    let what =
        if app.versus_processes { "v compares marks instead" } else { "v compares chosen processes instead" };
    if app.shown.pairs.is_empty() {
        line(buf, look, row(area, y), &[(what, Tone::Faint)]);
        return;
    }
    let area = below(area, y);
    let detail = if area.height >= 14 { area.height * 3 / 5 } else { 0 };
    parts::table(buf, look, top(area, area.height - detail), &app.shown.table, Some(app.table()));
    let Some(Item::Pair(at)) = app.selected().filter(|_| detail > 0) else { return };
    let Some(pair) = app.shown.pairs.get(*at) else { return };
    let [a, b] = pair.counts.map(units::count);
    let short = format!("{a} in A, {b} in B; bars are shares of each side, to one scale");
    let area = below(area, area.height - detail);
    let room = Rect { width: area.width.saturating_sub(pair.name.chars().count() as u16 + 1), ..area };
    let remarks = [format!("{short}; {what}"), short];
    let detail = heading(buf, look, area, &pair.name, fitting(&remarks, room));
    charts::histogram(buf, look, detail, &[&pair.values[0], &pair.values[1]], edge);
}
