//! What is attached, what it costs, and what is not in the numbers.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    model::{frame::Ledger, text::printable, units},
    tui::{
        app::App,
        palette::{Look, Tone},
    },
};

use super::parts::{self, below, heading, line, row, top};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let session = app.history.session();
    let mut y = 0;
    for (name, summary, cost) in &app.facts.probes {
        let runs = session.header.probes.contains(name);
        let (state, tone) = if runs { ("attached ", Tone::User) } else { ("off      ", Tone::Faint) };
        let words = format!("{name:<9} {summary}; {cost}");
        line(buf, look, row(area, y), &[(state, tone), (&words, Tone::Plain)]);
        y += 1;
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
        let slow = traps.slowdown().map_or("not known".to_owned(), |it| format!("{it:.2} times"));
        let words = format!(
            "in the targets: {} hits of {}, slow-down {slow}",
            units::count(traps.hits),
            units::fraction_of_time(traps.trap_ns)
        );
        line(buf, look, row(area, y), &[(&words, Tone::Plain)]);
        y += 1;
    }
    let area = below(area, y);
    let slots = slots(&session.ledger);
    let lower = (slots.len() as u16 + 1).min(area.height / 2);
    let upper = heading(
        buf,
        look,
        top(area, area.height - lower),
        "Programs in the kernel",
        "the cost of the statistics is taken off",
    );
    parts::table(buf, look, upper, &app.shown.table, Some(app.table()));
    let lower = heading(buf, look, below(area, area.height - lower), "Ledger", "of the whole session");
    for (at, (words, tone)) in slots.iter().enumerate() {
        line(buf, look, row(lower, at as u16), &[(words, *tone)]);
    }
}

fn slots(ledger: &Ledger) -> Vec<(String, Tone)> {
    let mut lines = vec![(format!("counted   {:>10}", units::count(ledger.counted)), Tone::Plain)];
    let classes = [
        ("lost", &ledger.lost, Tone::Alarm),
        ("degraded", &ledger.degraded, Tone::Alarm),
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
