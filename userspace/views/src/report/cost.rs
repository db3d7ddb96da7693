//! Cost of the measurement, and a remark where it is more than what was measured.

use std::{cmp::Reverse, collections::BTreeMap};

use model::{
    frame::{Call, Overhead, ProgramCost},
    hist::Hist,
    locks,
    session::{Process, Session},
    syscalls,
    text::printable,
    units,
};

use super::{
    calls::QUANTILES,
    layout::{Layout, Row, Tone},
    place,
};

const NONE: &str = "-";

/// Warnings when quantiles are below the cost of the probes that measured them; empty when none is.
pub fn warning(session: &Session, layout: Layout) -> String {
    let overhead = &session.overhead;
    let per_call = overhead.ns_per_call();
    let per_futex = per_call.map(|cost| cost + overhead.ns_per_pass(&["futex_"]).unwrap_or(0.0));
    let groups = [
        (per_call, "per call", calls(session)),
        (overhead.ns_per_pass(&["sched_"]), "per wakeup and switch", stretches(session)),
        (per_futex, "per futex call", waits(session)),
    ];
    let warnings = groups
        .into_iter()
        .map(|(cost, unit, hists)| cost.map_or(String::new(), |cost| below(cost, unit, &hists, layout)));
    warnings.collect()
}

/// One warning for all distributions that were measured in the same way.
fn below(cost: f64, unit: &str, hists: &[(String, Hist)], layout: Layout) -> String {
    let mut highest: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, hist) in hists {
        let below =
            |(_, share): &&(&str, f64)| hist.quantile(*share).is_some_and(|value| (value as f64) < cost);
        let quantiles = QUANTILES.iter().take_while(below).count();
        let known = highest.entry(name).or_default();
        *known = quantiles.max(*known);
    }
    let upto = |(name, quantiles): (&&str, &usize)| {
        let (label, _) = QUANTILES.get(quantiles.checked_sub(1)?)?;
        Some(if *label == "p50" { format!("{name} p50") } else { format!("{name} p50 to {label}") })
    };
    let listed: Vec<String> = highest.iter().filter_map(upto).collect();
    if listed.is_empty() {
        return String::new();
    }
    let words = format!(
        "these are below what the probes themselves cost ({} {unit}), which is part of them: {}",
        units::fraction_of_time(cost),
        listed.join(", ")
    );
    layout.paint(Tone::Alarm, "warning: ") + layout.wrap("         ", &words).trim_start()
}

fn calls(session: &Session) -> Vec<(String, Hist)> {
    let calls = session.processes.values().flat_map(Process::calls);
    let name = |call: Call| syscalls::name(&session.header.arch, call).into_owned();
    calls.map(|(call, stats)| (name(call), stats.latency)).collect()
}

fn stretches(session: &Session) -> Vec<(String, Hist)> {
    let whole = session.processes.values().filter_map(|process| process.sched.as_ref());
    let hists = whole.flat_map(|sched| {
        [
            ("wakeup to run", &sched.wakeup_to_run),
            ("preempted to run", &sched.preempted_to_run),
            ("on CPU", &sched.on_cpu),
            ("off CPU", &sched.off_cpu),
        ]
    });
    hists.map(|(name, hist)| (name.to_owned(), hist.clone())).collect()
}

fn waits(session: &Session) -> Vec<(String, Hist)> {
    let locks = locks::ranked(&session.processes).into_iter();
    locks.map(|lock| (place::name(&lock.place), lock.sum.wait)).collect()
}

/// The table of programs and the line about the tool.
pub fn render(session: &Session, layout: Layout) -> String {
    let overhead = &session.overhead;
    let mut text = layout.paint(Tone::Title, "own cost") + "\n";
    text += &total(session).map_or(String::new(), |words| layout.wrap("", &words));
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

/// The whole cost and its parts.
fn total(session: &Session) -> Option<String> {
    let overhead = &session.overhead;
    let all = overhead.total_cpu_share(session.duration_ns)?;
    let tool = overhead.tool_cpu_share(session.duration_ns);
    let rest = overhead.other_programs_cpu_share()?;
    let mut parts = match overhead.calls_cpu_shares() {
        Some((targets, others)) => {
            vec![(targets, "in system calls of the targets"), (others, "in those of all other processes")]
        }
        None => vec![((all - rest - tool).max(0.0), "in system calls of all processes")],
    };
    parts.extend([(rest, "in other programs"), (tool, "in the tool itself")]);
    let parts: Vec<String> =
        parts.iter().map(|(share, place)| format!("{} {place}", units::percent(*share))).collect();
    Some(format!("Tracing takes {} of a CPU: {}.", units::percent(all), parts.join(", ")))
}

/// Basis of the numbers in the table.
fn basis(session: &Session) -> String {
    let overhead = &session.overhead;
    if overhead.programs.iter().all(|program| program.events.is_none()) {
        return "The kernel's run statistics could not be switched on: costs are not known.".to_owned();
    }
    let net = match overhead.empty_program_ns {
        Some(empty) => format!("net of the {} that an empty program shows", units::fraction_of_time(empty)),
        None => "the statistics' own cost (about 50ns a run) included".to_owned(),
    };
    let has = |prefix: &str| overhead.programs.iter().any(|program| program.name.starts_with(prefix));
    let mut words = format!(
        "Sampled for {} of {}, {net}.",
        units::time(overhead.measured_ns),
        units::time(session.duration_ns)
    );
    if has("syscalls_") {
        words += " Calls of processes that are not traced run these programs too, and leave them at once. Not in these \
                  numbers: while any tracer of system calls is attached, the kernel takes a slower way through each system \
                  call of every process.";
    }
    if has("faults_") {
        words += " Nor is the kernel's way to the programs of page faults, which takes longer than they do.";
    }
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_quantile_is_held_against_its_own_probes() {
        let mut hist = Hist::default();
        [100, 300, 300, 9000].iter().for_each(|ns| hist.record(*ns));
        let hists = [("on CPU".to_owned(), hist.clone()), ("0x7f00".to_owned(), hist)];
        let text = |cost| below(cost, "per futex call", &hists, Layout::new(200, false));
        assert_eq!(text(99.0), "");
        assert_eq!(
            text(400.0),
            "warning: these are below what the probes themselves cost (400ns per futex call), which is part of them: \
             0x7f00 p50, on CPU p50\n"
        );
        assert!(text(10_000.0).ends_with("0x7f00 p50 to p99.9, on CPU p50 to p99.9\n"), "{}", text(10_000.0));
    }
}
