//! System calls and events: a table, and the distribution of the selected one with its errors.

use model::{errno, frame::CallStats, syscalls, units};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    parts::{self, below, heading, line, row, top},
};
use crate::{
    app::App,
    heat::edge,
    palette::{Look, Tone},
    tables::Item,
};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let detail = if area.height >= 14 { area.height / 2 } else { 0 };
    let list = top(area, area.height - detail);
    parts::table(buf, look, list, &app.shown.table, Some(app.table()));
    let sums = &app.shown.period.sums;
    let (name, noun, stats) = match app.selected() {
        Some(Item::Call(call)) => {
            (syscalls::name(&app.facts.header.arch, *call).into_owned(), "calls", sums.calls.get(call))
        }
        Some(Item::Event(event)) => (event.shown(), "events", sums.events.get(event)),
        _ => return nothing(app, look, buf, below(list, 1)),
    };
    let Some(stats) = stats.filter(|_| detail > 0) else { return };
    let remark = format!("{} {noun}, latency of those that ended", units::count(stats.count()));
    let detail = heading(buf, look, below(area, area.height - detail), &name, &remark);
    let errors = errors(stats);
    let used = if errors.is_empty() {
        0
    } else {
        line(buf, look, row(detail, 0), &[(&errors, Tone::Accent)]).min(1)
    };
    charts::histogram(buf, look, below(detail, used), &[&stats.latency], edge);
}

/// Draws the reason why a table is empty.
fn nothing(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    if app.shown.table.rows.is_empty() {
        let words = match (app.facts.header.counts_calls(), app.filter.is_empty()) {
            (false, _) => "the probe syscalls does not run in this session; choose it with --probes",
            (true, true) => "no system calls in this time",
            (true, false) => "nothing matches the filter; Esc drops it",
        };
        line(buf, look, area, &[(words, Tone::Faint)]);
    }
}

/// Errors by name, and what has no latency.
fn errors(stats: &CallStats) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (number, count) in stats.errors.iter().filter(|(_, count)| **count > 0) {
        parts.push(format!("{} {}", errno::name(*number), units::count(*count)));
    }
    let others = [
        (stats.lean.count, "without histogram"),
        (stats.untimed, "without latency"),
        (stats.unreturned, "never returned"),
        (stats.in_flight, "still running"),
        (stats.latency.clamped(), "above 18 minutes"),
    ];
    for (count, words) in others.iter().filter(|(count, _)| *count > 0) {
        parts.push(format!("{} {words}", units::count(*count)));
    }
    parts.join(", ")
}
