//! Attached probes, their cost, and the events that are not in the numbers.

use model::{
    frame::{Ledger, Slowdown},
    text::printable,
    units,
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::parts::{self, below, heading, line, row, top};
use crate::{
    app::App,
    palette::{Look, Tone},
    rows::{self, Unit},
    tables::{Item, TableState},
};

/// The column of what a program takes of a CPU.
const COST_COLUMN: usize = 3;

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let session = app.history.outline();
    let mut y = (app.facts.probes.len() as u16 + 1).min(area.height / 2);
    parts::table(buf, look, top(area, y), &app.shown.table, Some(app.table()));
    let chosen = match app.selected() {
        Some(Item::Probe(at)) => app.facts.probes.get(*at),
        _ => None,
    };
    if let Some(probe) = chosen {
        // Whole: the table has only what fits into a line.
        let words = format!("{}: {}; {}", probe.name, probe.summary, probe.cost);
        y += parts::wrap(buf, look, below(area, y), &words, Tone::Plain);
    }
    if let Some(probe) = chosen.filter(|_| app.interval.is_some()) {
        let words = match &probe.fixed {
            Some(why) => format!("{}: cannot be switched now: {why}", probe.name),
            None => format!("{}: t switches it off, or on again", probe.name),
        };
        y += parts::wrap(buf, look, below(area, y), &words, Tone::Faint);
    }
    for note in &session.notes {
        y += parts::wrap(buf, look, below(area, y), &printable(note), Tone::Accent);
    }
    let overhead = &session.overhead;
    let tool = format!(
        "tool {} of a CPU, {} resident, {} in the kernel",
        units::percent(overhead.tool_cpu_share(session.duration_ns)),
        units::bytes(overhead.tool_bytes),
        units::bytes(overhead.kernel_bytes)
    );
    line(buf, look, row(area, y), &[(&tool, Tone::Plain)]);
    y += 1;
    if let Some(traps) = &overhead.traps {
        let slow = traps.slowdown().map_or("not known".to_owned(), Slowdown::words);
        let words = format!(
            "in the targets: {} hits of {}, slow-down {slow}",
            units::count(traps.hits),
            units::fraction_of_time(traps.trap_ns)
        );
        line(buf, look, row(area, y), &[(&words, Tone::Plain)]);
        y += 1;
    }
    let area = below(area, y);
    let unit = Unit::of(app.cumulated, app.shown.period.sums.span_ns);
    let slots = slots(&session.ledger);
    let lower = (slots.len() as u16 + 1).min(area.height / 2);
    let upper = heading(
        buf,
        look,
        top(area, area.height - lower),
        "Programs in the kernel",
        "the cost of the statistics is taken off",
    );
    let mut programs = rows::programs(&app.shown.period.sums.overhead, unit);
    TableState::by(COST_COLUMN).arrange(&mut programs.rows, &programs.columns, "");
    parts::table(buf, look, upper, &programs, None);
    let lower = heading(buf, look, below(area, area.height - lower), "Ledger", "of the whole session");
    for (at, (words, tone)) in slots.iter().enumerate() {
        line(buf, look, row(lower, at as u16), &[(words, *tone)]);
    }
}

fn slots(ledger: &Ledger) -> Vec<(String, Tone)> {
    let mut lines = vec![(format!("counted   {:>10}", units::count(ledger.counted)), Tone::Plain)];
    let classes = [
        ("lost", &ledger.lost, Tone::Alarm),
        ("partial", &ledger.degraded, Tone::Plain),
        ("censored", &ledger.censored, Tone::Plain),
        ("events", &ledger.events, Tone::Plain),
    ];
    for (class, slots, tone) in classes {
        for (name, count) in slots.iter().filter(|(_, count)| **count > 0) {
            lines.push((format!("{class:<9} {:>10}  {}", units::count(*count), printable(name)), tone));
        }
    }
    lines
}
