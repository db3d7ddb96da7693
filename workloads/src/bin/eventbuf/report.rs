//! The readable form of the truth: the tables of the claim that this program tests.

use std::fmt::Write as _;
use std::io::{self, Write};

use pulse_trace_workloads::contract::Truth;

use crate::args::{Implementation, Options, name};
use crate::case::Case;
use crate::stats::Run;
use crate::sweep::Sweep;

/// Percent for each sign of a bar.
const PERCENT_PER_SIGN: f64 = 5.0;
/// The published contention bars: threads, and percent of one thread of the mutex and of the packed design.
const PUBLISHED: [(u32, u32, u32); 5] = [(1, 100, 100), (2, 85, 97), (4, 60, 94), (8, 35, 91), (16, 20, 88)];

pub fn print(truth: &Truth<Sweep>, options: &Options) -> io::Result<()> {
    // Writing to a String cannot fail.
    let mut text = String::new();
    let runs = &truth.detail.runs;
    let timer = &truth.detail.timer;
    table(&mut text, "throughput, million accepted events a second", runs, options, |run| {
        format!("{:.2}", run.throughput / 1e6)
    });
    improvements(&mut text, runs, options);
    table(
        &mut text,
        "CPU time, ns per accepted event (everything the thread does, taking out included)",
        runs,
        options,
        |run| run.cpu_ns_per_event.map_or_else(|| "-".into(), |ns| format!("{ns:.1}")),
    );
    contention(&mut text, runs, options);
    latency(&mut text, runs, options);
    let _ = writeln!(
        text,
        "the latency pass times every offer; of each figure {:.0} ns are the clock's own cost (p50)",
        timer.ns(timer.cost_p50)
    );
    table(&mut text, "compare-and-swap success, or locks found free, %", runs, options, |run| {
        let rate = run.cas_success_rate.or(run.lock_contended_share.map(|share| 1.0 - share));
        rate.map_or_else(|| "-".into(), |rate| format!("{:.3}", rate * 100.0))
    });
    table(&mut text, "events refused (full or breaker open), %", runs, options, |run| {
        format!("{:.3}", run.refused_share * 100.0)
    });
    memory(&mut text, runs, options);
    verdict(&mut text, truth);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Same implementation and options; only the number of threads may differ.
fn same_row(one: &Run, other: &Run) -> bool {
    one.case.implementation == other.case.implementation
        && one.case.cas == other.case.cas
        && one.case.order == other.case.order
        && one.case.is_like(&other.case)
}

fn row_key(run: &Run, options: &Options) -> String {
    format!("{:<10}{:<26}", name(&run.case.implementation), run.case.label(options))
}

/// The first run of each row.
fn rows(runs: &[Run]) -> impl Iterator<Item = &Run> {
    runs.iter()
        .enumerate()
        .filter(|(nth, run)| !runs[..*nth].iter().any(|other| same_row(run, other)))
        .map(|(_, run)| run)
}

fn threads(text: &mut String, title: &str, options: &Options) {
    let heads: String = options.threads.iter().map(|threads| format!("{threads:>10}")).collect();
    let _ = writeln!(text, "{title}\n{:<36}{heads}  threads", "");
}

fn table(text: &mut String, title: &str, runs: &[Run], options: &Options, cell: impl Fn(&Run) -> String) {
    threads(text, title, options);
    for row in rows(runs) {
        let cells: String =
            runs.iter().filter(|run| same_row(row, run)).map(|run| format!("{:>10}", cell(run))).collect();
        let _ = writeln!(text, "{}{cells}", row_key(row, options));
    }
    text.push('\n');
}

/// Throughput in percent of one thread, as bars, beside what was published of that design and number of threads.
fn contention(text: &mut String, runs: &[Run], options: &Options) {
    let _ = writeln!(text, "{:<33}threads  publ.  here: throughput, % of one thread", "contention");
    for row in rows(runs) {
        let Some(one) = runs.iter().find(|other| same_row(row, other) && other.case.threads == 1) else {
            continue;
        };
        for run in runs.iter().filter(|run| same_row(row, run)) {
            let percent = run.throughput * 100.0 / one.throughput.max(1.0);
            let bar = "#".repeat((percent / PERCENT_PER_SIGN).round() as usize);
            let Case { implementation, threads, .. } = run.case;
            let published = PUBLISHED.iter().find(|it| it.0 == threads).and_then(|it| match implementation {
                Implementation::Standard => Some(it.1),
                Implementation::Packed => Some(it.2),
                Implementation::Locked => None,
            });
            let published = published.map_or_else(|| "-".into(), |percent| percent.to_string());
            let key = row_key(run, options);
            let _ = writeln!(text, "{key}{threads:>4}{published:>7}  {percent:>4.0} {bar}");
        }
    }
    text.push('\n');
}

/// Packed against each of the others, with the same options and threads.
fn improvements(text: &mut String, runs: &[Run], options: &Options) {
    let packed: Vec<&Run> =
        rows(runs).filter(|run| run.case.implementation == Implementation::Packed).collect();
    if packed.is_empty() || options.implementation.len() < 2 {
        return;
    }
    threads(text, "packed against the others, times", options);
    for other in options.implementation.iter().filter(|other| **other != Implementation::Packed) {
        for row in &packed {
            let mut cells = String::new();
            for run in runs.iter().filter(|run| same_row(row, run)) {
                let like = |base: &&Run| {
                    base.case.implementation == *other
                        && base.case.threads == run.case.threads
                        && base.case.is_like(&run.case)
                };
                let ratio = runs.iter().find(like).map(|base| run.throughput / base.throughput.max(1.0));
                let _ =
                    write!(cells, "{:>10}", ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")));
            }
            let _ =
                writeln!(text, "{:<11}{:<25}{cells}", format!("/ {} ", name(other)), row.case.label(options));
        }
    }
    text.push('\n');
}

fn latency(text: &mut String, runs: &[Run], options: &Options) {
    let _ = writeln!(text, "latency of one offer, ns");
    let _ = writeln!(
        text,
        "{:<36}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "", "threads", "p50", "p90", "p99", "p99.9", "max"
    );
    for run in runs {
        let ns = &run.latency_ns;
        let _ = writeln!(
            text,
            "{}{:>8}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>12.0}",
            row_key(run, options),
            run.case.threads,
            ns.p50,
            ns.p90,
            ns.p99,
            ns.p999,
            ns.max
        );
    }
}

fn memory(text: &mut String, runs: &[Run], options: &Options) {
    let _ =
        writeln!(text, "memory of an endpoint's state{:<7}{:>10}{:>22}", "", "bytes", "lines per operation");
    let mut seen: Vec<String> = Vec::new();
    for row in rows(runs) {
        let line = format!(
            "{}{:>10}{:>22}",
            row_key(row, options),
            row.bytes_per_endpoint,
            row.cache_lines_per_operation
        );
        if !seen.contains(&line) {
            let _ = writeln!(text, "{line}");
            seen.push(line);
        }
    }
    text.push('\n');
}

fn verdict(text: &mut String, truth: &Truth<Sweep>) {
    let sweep = &truth.detail;
    if truth.interrupted {
        let _ = writeln!(text, "stopped before the end: this is what was done");
    }
    let outcome = if truth.holds { "every event is accounted for" } else { "FAULT" };
    let tally = &sweep.tally;
    let _ = writeln!(
        text,
        "{outcome}: offered {}, accepted {}, full {}, breaker open {}, taken out {}, still waiting {}; breakers opened {}",
        sweep.offered, tally.accepted, tally.full, tally.open, tally.drained, sweep.left, tally.trips
    );
}
