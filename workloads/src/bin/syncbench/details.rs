//! Results of single groups beyond a time per operation.

use crate::report::line;
use crate::truth::{Benchmark, Detail};
use crate::units::time;

/// Appends a section for each group that has something to add.
pub fn write(out: &mut String, detail: &Detail) {
    together(out, detail);
    fairness(out, detail);
    herds(out, detail);
    sharing(out, detail);
    progressive(out, detail);
}

fn of<'a>(detail: &'a Detail, group: &str) -> Vec<&'a Benchmark> {
    detail.benchmarks.iter().filter(|result| result.group == group).collect()
}

/// Parties at one lock or channel: were they really there together, and what did a single operation take?
fn together(out: &mut String, detail: &Detail) {
    let groups = ["contention", "rwlock", "channel", "progressive"];
    let results: Vec<_> = groups
        .iter()
        .flat_map(|group| of(detail, group))
        .filter(|result| result.parties > 1 && result.observed.is_some())
        .collect();
    if results.is_empty() {
        return;
    }
    line(out, format_args!(""));
    line(
        out,
        format_args!(
            "{:38}{:>7} {:>5} {:>10} {:>9} {:>9} {:>9} {:>9}",
            "operation by operation", "overlap", "CPUs", "lock taken", "p50", "p99", "p99.9", "max"
        ),
    );
    for result in results {
        let Some(seen) = &result.observed else { continue };
        let taken = seen.contended.map_or("-".to_owned(), |contended| {
            format!("{:.1} %", 100.0 * contended as f64 / seen.operations.max(1) as f64)
        });
        let at = |q| seen.latency.quantile(q).map_or("-".to_owned(), |ns| time(ns as f64));
        let batch = if seen.batch > 1 { format!("  (means of {})", seen.batch) } else { String::new() };
        line(
            out,
            format_args!(
                "  {:36}{:>7.2} {:>5.2} {taken:>10} {:>9} {:>9} {:>9} {:>9}{batch}",
                result.name,
                result.overlap,
                result.cpus_used,
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            ),
        );
    }
}

fn fairness(out: &mut String, detail: &Detail) {
    let races: Vec<_> =
        detail.benchmarks.iter().filter_map(|result| Some((result, result.fairness.as_ref()?))).collect();
    if races.is_empty() {
        return;
    }
    line(out, format_args!(""));
    line(
        out,
        format_args!(
            "{:38}{:>7} {:>7} {:>11} {:>9}  {}",
            "fairness, lap by lap", "Jain", "worst", "least share", "streak", "share of each, all laps, in %"
        ),
    );
    for (result, race) in races {
        let all: u64 = race.shares.iter().sum();
        let shares: Vec<String> = race
            .shares
            .iter()
            .map(|share| format!("{:.0}", 100.0 * *share as f64 / all.max(1) as f64))
            .collect();
        line(
            out,
            format_args!(
                "  {:36}{:>7.3} {:>7.3} {:>9.0} % {:>9}  {}",
                result.name,
                race.jain_median,
                race.jain_worst,
                race.least_percent,
                race.longest_streak,
                shares.join(" ")
            ),
        );
    }
}

fn herds(out: &mut String, detail: &Detail) {
    let herds = of(detail, "herd");
    if herds.is_empty() {
        return;
    }
    line(out, format_args!(""));
    line(out, format_args!("{:38}{:>9} {:>9} {:>9}", "herd: release to own turn", "p50", "p99", "max"));
    for result in herds {
        let at = |q| {
            let seen = result.observed.as_ref();
            seen.and_then(|seen| seen.latency.quantile(q)).map_or("-".to_owned(), |ns| time(ns as f64))
        };
        line(out, format_args!("  {:36}{:>9} {:>9} {:>9}", result.name, at(0.5), at(0.99), at(1.0)));
    }
}

/// Each layout against the one that certainly shares no line.
fn sharing(out: &mut String, detail: &Detail) {
    let layouts = of(detail, "sharing");
    let Some(apart) = layouts.iter().find(|result| result.name == "sharing/padded-128") else { return };
    line(out, format_args!(""));
    for result in &layouts {
        let times = result.time.median / apart.time.median;
        line(out, format_args!("  {:36} {times:.1} times padded-128", result.name));
    }
}

/// Throughput in percent of what one thread does of the same work.
fn progressive(out: &mut String, detail: &Detail) {
    let results = of(detail, "progressive");
    let kind = |name: &str| name.rsplit_once('-').map_or("", |(kind, _)| kind).to_owned();
    let alone = |result: &Benchmark| {
        let name = format!("{}-1", kind(result.name));
        results.iter().find(|other| other.name == name).map(|other| other.time.median)
    };
    if results.iter().all(|result| alone(result).is_none()) {
        return;
    }
    line(out, format_args!(""));
    line(out, format_args!("throughput of the same work, in % of the first of each kind"));
    for result in &results {
        if let Some(alone) = alone(result) {
            let share = 100.0 * alone / result.time.median;
            line(out, format_args!("  {:36} {share:>6.0} %", result.name));
        }
    }
}
