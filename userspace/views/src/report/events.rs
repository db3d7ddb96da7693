//! Events of probes that count them by kind: a table for each process and probe.

use std::cmp::Reverse;

use model::{
    events::{EventName, EventStats},
    frame::{CallStats, ProcessKey},
    probes::{EventKind, EventTable, Spec, with_events},
    session::{Process, Session},
};

use super::{
    DEFAULT_TOP, Options, calls, histogram,
    layout::{Layout, Row, Tone},
    place,
};

/// Stacks below a kind.
const STACKS: usize = 3;
/// The column of errors in a table of calls.
const ERRORS: usize = 2;

/// Every probe with events, and every process that has some of them.
pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let sections = with_events().map(|(spec, table)| of_probe(spec, table, session, options, layout));
    sections.filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A process with events of a probe.
struct Entry<'a> {
    key: ProcessKey,
    process: &'a Process,
    events: Vec<(EventName, EventStats)>,
    total_ns: u64,
}

fn of_probe(spec: &Spec, table: &EventTable, session: &Session, options: &Options, layout: Layout) -> String {
    if !session.header.probes.iter().any(|probe| probe == spec.name) {
        return String::new();
    }
    let mut entries = Vec::new();
    for (key, process) in &session.processes {
        let events = process.events_of(spec.name);
        let total_ns = events.iter().map(|(_, stats)| stats.times.total_ns()).sum();
        if !events.is_empty() {
            entries.push(Entry { key: *key, process, events, total_ns });
        }
    }
    entries.sort_by_key(|entry| (Reverse(entry.total_ns), entry.key));
    let mut text = layout.paint(Tone::Title, layout.wrap("", table.noun).trim_end()) + "\n";
    if entries.is_empty() {
        return text + &layout.wrap("", "None was seen.");
    }
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(entries.len());
    for entry in entries.iter().take(shown) {
        if session.processes.len() > 1 {
            text += &layout.wrap("", &entry.process.shown(entry.key));
        }
        text += &kinds(&entry.events, options, layout);
    }
    text += &layout.left_out(shown, entries.len());
    let events = || entries.iter().flat_map(|entry| &entry.events);
    let seen = |kind: &&EventKind| events().any(|(name, _)| name.kind == kind.name);
    let meanings = table.kinds.iter().filter(seen).map(|kind| format!("{}: {}", kind.name, kind.meaning));
    text + &layout.wrap("", &(meanings.collect::<Vec<_>>().join("; ") + "."))
}

fn kinds(events: &[(EventName, EventStats)], options: &Options, layout: Layout) -> String {
    let mut sorted: Vec<calls::Named> = events.iter().map(named).collect();
    options.sort.apply(&mut sorted, |kind| (kind.name.as_str(), &kind.stats));
    let mut rows: Vec<Row> = Vec::with_capacity(sorted.len() + 1);
    for kind in &sorted {
        let mut row = calls::row(kind);
        if let Some((_, stats)) = events.iter().find(|(name, _)| name.kind == kind.name) {
            row.notes.extend(place::stacks(&stats.stacks, STACKS));
        }
        rows.push(row);
    }
    if sorted.len() > 1 {
        rows.push(calls::sum_row(&sorted));
    }
    // No event fails.
    let mut columns = calls::COLUMNS.to_vec();
    columns[0] = "kind";
    columns.remove(ERRORS);
    rows.iter_mut().for_each(|row| drop(row.cells.remove(ERRORS)));
    let mut text = layout.table(&columns, &rows);
    for kind in sorted.iter().filter(|_| options.histograms) {
        let latency = &kind.stats.latency;
        text += &histogram::render(&kind.name, "event", "events", latency, histogram::Scale::Time, layout);
    }
    text
}

fn named((name, stats): &(EventName, EventStats)) -> calls::Named {
    calls::Named { name: name.kind.clone(), stats: CallStats::clone(&stats.times) }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    fn rendered(session: &Session) -> String {
        render(session, &Options::default(), Layout::new(80, false))
    }

    #[test]
    fn each_kind_has_its_numbers_its_meaning_and_its_stacks() {
        let session = synthetic::session(3, Shape { events: true, ..Shape::default() });
        let text = rendered(&session);
        assert!(text.starts_with("page faults\n10"), "{text}");
        for (key, process) in &session.processes {
            for (name, stats) in process.events_of("faults") {
                let count = model::units::count(stats.times.count());
                let row = |line: &&str| line.starts_with(&format!("{} ", name.kind)) && line.contains(&count);
                assert!(text.lines().any(|line| row(&line)), "{key:?} {name:?} {count}\n{text}");
            }
        }
        assert!(text.contains("write: a page that was not mapped was written to;"), "{text}");
        assert!(text.contains("from enqueue+0x2a"), "{text}");
    }

    #[test]
    fn without_the_probe_there_is_no_section_and_without_events_it_says_so() {
        let mut session = synthetic::session(3, Shape::default());
        assert_eq!(rendered(&session), "");
        session.header.probes.push("faults".to_owned());
        assert_eq!(rendered(&session), "page faults\nNone was seen.\n");
    }
}
