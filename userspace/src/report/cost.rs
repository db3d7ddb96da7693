//! What the measurement itself cost, and where that is more than what was measured.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::model::{
    frame::{Overhead, ProgramCost},
    session::Session,
    syscalls,
    text::printable,
    units,
};

use super::{
    calls::QUANTILES,
    layout::{Layout, Row, Tone},
};

const NONE: &str = "-";

/// A warning when quantiles are below the cost of the probes that measured them; empty when none is.
pub fn warning(session: &Session, layout: Layout) -> String {
    let Some(cost) = session.overhead.ns_per_call() else {
        return String::new();
    };
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for process in session.processes.values() {
        for (call, stats) in process.calls() {
            let below = |(_, share): &&(&str, f64)| {
                stats.latency.quantile(*share).is_some_and(|value| (value as f64) < cost)
            };
            let quantiles = QUANTILES.iter().take_while(below).count();
            let highest = calls.entry(syscalls::name(&session.header.arch, call).into_owned()).or_default();
            *highest = quantiles.max(*highest);
        }
    }
    let upto = |(name, quantiles): (&String, &usize)| {
        let (label, _) = QUANTILES.get(quantiles.checked_sub(1)?)?;
        Some(if *label == "p50" { format!("{name} p50") } else { format!("{name} p50 to {label}") })
    };
    let listed: Vec<String> = calls.iter().filter_map(upto).collect();
    if listed.is_empty() {
        return String::new();
    }
    let words = format!(
        "these are below what the probes themselves cost ({} per call), which is part of them: {}",
        units::fraction_of_time(cost),
        listed.join(", ")
    );
    layout.paint(Tone::Alarm, "warning: ") + layout.wrap("         ", &words).trim_start()
}

/// The table of programs and the line about the tool.
pub fn render(session: &Session, layout: Layout) -> String {
    let overhead = &session.overhead;
    let mut text = layout.paint(Tone::Title, "own cost") + "\n";
    let mut programs: Vec<&ProgramCost> = overhead.programs.iter().collect();
    // The kernel lists them in no order that means anything.
    programs.sort_by_key(|program| (Reverse(program.run_ns), &program.name));
    let rows: Vec<Row> = programs.into_iter().map(|program| row(program, overhead)).collect();
    if !rows.is_empty() {
        text += &layout.table(&["BPF program", "events", "per event", "of a CPU", "missed"], &rows);
        text += &layout.wrap("", &basis(session));
    }
    text + &layout.wrap("", &tool(session))
}

fn row(program: &ProgramCost, overhead: &Overhead) -> Row {
    let per_event = program.net_ns_per_event(overhead.empty_program_ns);
    let cells = vec![
        printable(&program.name),
        program.events.map_or(NONE.to_owned(), units::count),
        per_event.map_or(NONE.to_owned(), units::fraction_of_time),
        overhead.cpu_share(program).map_or(NONE.to_owned(), units::percent),
        units::count(program.missed),
    ];
    Row { cells, notes: Vec::new() }
}

/// What the numbers of the table rest on.
fn basis(session: &Session) -> String {
    let overhead = &session.overhead;
    if overhead.programs.iter().all(|program| program.events.is_none()) {
        return "The kernel's run statistics could not be switched on: costs are not known.".to_owned();
    }
    let net = match overhead.empty_program_ns {
        Some(empty) => format!("net of the {} that an empty program shows", units::fraction_of_time(empty)),
        None => "the statistics' own cost (about 50ns a run) included".to_owned(),
    };
    format!(
        "Sampled for {} of {}, {net}. Calls of processes that are not traced run these programs too, and leave \
         them at once.",
        units::time(overhead.measured_ns),
        units::time(session.duration_ns)
    )
}

fn tool(session: &Session) -> String {
    let overhead = &session.overhead;
    format!(
        "The tool: {} of CPU time ({} of a CPU), {} resident, {} of kernel memory.",
        units::time(overhead.tool_cpu_ns),
        units::percent(overhead.tool_cpu_share(session.duration_ns)),
        units::bytes(overhead.tool_bytes),
        units::bytes(overhead.kernel_bytes)
    )
}
