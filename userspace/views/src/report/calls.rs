//! A table of system calls.

use model::{
    errno,
    frame::{Call, CallStats},
    hist::Largest,
    syscalls, units,
};

use super::{
    Options, Sort,
    layout::{Layout, Row},
    share::apportion,
    sort::mean_ns,
};

/// Columns of the table, the name first.
pub const COLUMNS: [&str; 10] =
    ["syscall", "count", "errors", "total", "mean", "p50", "p90", "p99", "p99.9", "max"];
/// The quantiles of the columns.
pub const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
const NONE: &str = "-";

/// A call by name and its numbers.
#[derive(Debug)]
pub struct Named {
    pub name: String,
    pub stats: CallStats,
}

/// Calls by name, in the order that was asked for.
pub fn sorted(arch: &str, calls: impl IntoIterator<Item = (Call, CallStats)>, sort: Sort) -> Vec<Named> {
    let named = calls.into_iter().filter(|(_, stats)| !stats.is_empty());
    let mut named: Vec<Named> =
        named.map(|(call, stats)| Named { name: syscalls::name(arch, call).into_owned(), stats }).collect();
    sort.apply(&mut named, |call| (call.name.as_str(), &call.stats));
    named
}

/// The table, its sum, and a line about what was left out.
pub fn table(calls: &[Named], options: &Options, layout: Layout) -> String {
    let shown = options.top.unwrap_or(calls.len()).min(calls.len());
    let mut rows: Vec<Row> = calls.iter().take(shown).map(row).collect();
    if calls.len() > 1 {
        rows.push(sum_row(calls));
    }
    let mut text = layout.table(&COLUMNS, &rows);
    if let Some(rest) = calls.get(shown..).filter(|rest| !rest.is_empty()) {
        let sum = sum(rest);
        let words = format!(
            "{} more kinds of calls are left out ({} calls, {} in total); --top {} shows them",
            rest.len(),
            units::count(sum.count()),
            units::time(sum.total_ns()),
            calls.len()
        );
        text += &layout.wrap("", &words);
    }
    text
}

/// All calls together.
pub fn sum(calls: &[Named]) -> CallStats {
    let mut sum = CallStats::default();
    calls.iter().for_each(|call| sum.merge(&call.stats));
    sum
}

/// The row of a call.
pub fn row(call: &Named) -> Row {
    let stats = &call.stats;
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), units::time);
    let mut cells = vec![
        call.name.clone(),
        units::count(stats.count()),
        units::count(stats.failed()),
        time(mean_ns(stats).map(|_| stats.total_ns())),
        mean_ns(stats).map_or(NONE.to_owned(), units::fraction_of_time),
    ];
    cells.extend(QUANTILES.map(|(_, share)| time(stats.latency.quantile(share))));
    cells.push(stats.longest().map_or(NONE.to_owned(), Largest::time));
    Row { cells, notes: notes(stats) }
}

/// The row of all calls together.
pub fn sum_row(calls: &[Named]) -> Row {
    let sum = sum(calls);
    let numbers = [units::count(sum.count()), units::count(sum.failed()), units::time(sum.total_ns())];
    Row { cells: [vec!["all".to_owned()], numbers.to_vec()].concat(), notes: Vec::new() }
}

fn notes(stats: &CallStats) -> Vec<String> {
    let errors: Vec<String> =
        by_count(stats).map(|(errno, count)| format!("{} {count}", errno::name(errno))).collect();
    let mut notes: Vec<String> = off_cpu(stats).into_iter().collect();
    if !errors.is_empty() {
        notes.push(errors.join(", "));
    }
    if stats.unreturned > 0 {
        notes.push(format!("{} never returned: the thread ended inside the call", stats.unreturned));
    }
    if stats.in_flight > 0 {
        notes.push(format!("{} more still running when the session ended, not counted", stats.in_flight));
    }
    if stats.lean.count > 0 {
        let timed = stats.latency.count();
        notes.push(format!(
            "{} without histogram: the quantiles are those of the other {timed}",
            stats.lean.count
        ));
    }
    if stats.untimed > 0 {
        notes.push(format!("{} without latency: the clock ran backwards", stats.untimed));
    }
    if stats.latency.clamped() > 0 {
        let limit = units::time(pulse_trace_common::hist::CLAMP);
        notes.push(format!("{} took {limit} or longer and share one bucket", stats.latency.clamped()));
    }
    notes
}

/// The parts of the calls' time, where they are known.
fn off_cpu(stats: &CallStats) -> Option<String> {
    stats.off_cpu_shares()?;
    let [blocked, queued] = [stats.blocked_ns, stats.queued_ns];
    let running = stats.total_ns().saturating_sub(blocked + queued);
    let percents = apportion(&[blocked, queued, running], 100);
    let parts = ["blocked", "queued (waiting for a CPU)", "running"];
    let parts = parts.iter().zip(percents).filter(|(_, percent)| *percent > 0);
    Some(parts.map(|(name, percent)| format!("{percent}% {name}")).collect::<Vec<_>>().join(", "))
}

/// Errors, the most frequent first.
fn by_count(stats: &CallStats) -> impl Iterator<Item = (u32, u64)> {
    let mut errors: Vec<(u32, u64)> = stats.errors.iter().map(|(errno, count)| (*errno, *count)).collect();
    errors.retain(|(_, count)| *count > 0);
    errors.sort_by_key(|(errno, count)| (std::cmp::Reverse(*count), *errno));
    errors.into_iter()
}
