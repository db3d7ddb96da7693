//! The readable form: one paragraph per run, and a comparison at the end.

use std::fmt::Write;

use crate::cell::Cell;
use crate::truth::CellTruth;

const MEGA: f64 = 1_000_000.0;
const MEBI: f64 = (1 << 20) as f64;

/// One run, when it is done.
pub fn paragraph(truth: &CellTruth) -> String {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mut out = format!(
        "{}\n  total data passed between client and server: {:.2} MB, {:.2} million packets\n",
        title(&truth.cell),
        truth.bytes as f64 / MEBI,
        truth.packets as f64 / MEGA,
    );
    let usage = &truth.usage;
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "  real {:.3} s  user {:.3} s  sys {:.3} s   {} per round trip   switches: {} voluntary, {} involuntary",
        seconds(truth.elapsed_ns),
        seconds(usage.user_ns),
        seconds(usage.system_ns),
        truth.ns_per_round_trip.map_or_else(|| String::from("-"), |ns| format!("{ns:.0} ns")),
        usage.voluntary_switches,
        usage.involuntary_switches,
    );
    if let Some(latency) = &truth.latency {
        let quantile = |q| latency.quantile(q).unwrap_or(0);
        let _ = writeln!(
            out,
            "  round trip: p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns",
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            latency.max().unwrap_or(0),
        );
    }
    lock(&mut out, truth);
    for fault in &truth.faults {
        let _ = writeln!(out, "  FAULT: {fault}");
    }
    out
}

fn lock(out: &mut String, truth: &CellTruth) {
    let attempts = &truth.attempts;
    let _ = writeln!(
        out,
        "  attempts: {} ({} found the queue empty, {} full)",
        attempts.total(),
        attempts.empty,
        attempts.full
    );
    if let Some(futex) = truth.futex_calls() {
        let source = if truth.futex_syscalls.is_some() { "the kernel's count" } else { "our own count" };
        let _ = writeln!(out, "  futex calls: {futex} ({source})");
    }
    let Some(lock) = &truth.lock else { return };
    if lock.owner_deaths > 0 {
        let _ =
            writeln!(out, "  owners that died holding the lock, and were survived: {}", lock.owner_deaths);
    }
    if let Some(contended) = lock.contended {
        let share = 100.0 * contended as f64 / lock.acquisitions.max(1) as f64;
        let gave_up = lock.gave_up.map_or(String::new(), |n| format!(", gave up spinning {n}"));
        let _ = writeln!(
            out,
            "  lock: taken {}, contended {contended} ({share:.1} %){gave_up}",
            lock.acquisitions
        );
    }
    if let Some(spins) = lock.spins.as_ref().filter(|spins| spins.count() > 0) {
        let _ = writeln!(out, "  spin count of the contended (mean {:.1}):", spins.mean().unwrap_or(0.0));
        for row in spins.draw(40).lines() {
            let _ = writeln!(out, "    {row}");
        }
    }
}

/// All cells of a sweep side by side; the first lock of each size and length is what the others are held against.
pub fn comparison(truths: &[CellTruth]) -> String {
    let rows = rows(truths);
    let mut out = format!(
        "\n{:<24} {:>6} {:>9} {:>6} {:>11} {:>19} {:>8} {:>8} {:>12} {:>8}\n",
        "lock",
        "size",
        "trips",
        "limit",
        "ns per trip",
        "(lowest, highest)",
        "user s",
        "sys s",
        "futex/trip",
        "speed-up"
    );
    for row in &rows {
        let first = rows
            .iter()
            .find(|other| other.cell.size == row.cell.size && other.cell.repetitions == row.cell.repetitions);
        let ratio = first.filter(|_| row.ns.middle > 0.0).map(|first| first.ns.middle / row.ns.middle);
        let _ = writeln!(
            out,
            "{:<24} {:>6} {:>9} {:>6} {:>11.0} {:>19} {:>8.3} {:>8.3} {:>12} {:>8}",
            row.cell.mutex.name(),
            row.cell.size,
            row.cell.repetitions,
            row.cell.spin_tunable.map_or_else(|| String::from("-"), |limit| limit.to_string()),
            row.ns.middle,
            format!("({:.0}, {:.0})", row.ns.least, row.ns.most),
            row.user.middle / 1e9,
            row.system.middle / 1e9,
            row.futex.as_ref().map_or_else(|| String::from("-"), |futex| format!("{:.3}", futex.middle)),
            ratio.map_or_else(|| String::from("-"), |ratio| format!("{ratio:.2}")),
        );
    }
    out.push_str("Medians over the rounds. Speed-up: against the first lock of the same size and length.\n");
    out
}

struct Row {
    cell: Cell,
    ns: Spread,
    user: Spread,
    system: Spread,
    futex: Option<Spread>,
}

fn rows(truths: &[CellTruth]) -> Vec<Row> {
    let mut cells: Vec<Cell> = Vec::new();
    for truth in truths {
        if !cells.contains(&truth.cell) {
            cells.push(truth.cell);
        }
    }
    cells
        .into_iter()
        .filter_map(|cell| {
            let of: Vec<&CellTruth> =
                truths.iter().filter(|truth| truth.cell == cell && truth.completed > 0).collect();
            let spread =
                |value: &dyn Fn(&CellTruth) -> f64| Spread::of(of.iter().map(|truth| value(truth)).collect());
            let futex =
                |truth: &CellTruth| truth.futex_calls().map(|calls| calls as f64 / truth.completed as f64);
            Some(Row {
                cell,
                ns: spread(&|truth| truth.elapsed_ns as f64 / truth.completed as f64)?,
                user: spread(&|truth| truth.usage.user_ns as f64)?,
                system: spread(&|truth| truth.usage.system_ns as f64)?,
                futex: of.iter().map(|truth| futex(truth)).collect::<Option<Vec<_>>>().and_then(Spread::of),
            })
        })
        .collect()
}

/// Median and range.
#[derive(Debug, PartialEq)]
struct Spread {
    least: f64,
    middle: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let middle =
            if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) };
        Some(Self { least, middle, most })
    }
}

fn title(cell: &Cell) -> String {
    let limit = cell.spin_tunable.map_or(String::new(), |limit| format!(", spin limit {limit}"));
    format!("{}, {} bytes, {} round trips{limit}", cell.mutex.name(), cell.size, cell.repetitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 3.0, 2.0]), Some(Spread { least: 1.0, middle: 2.5, most: 4.0 }));
        assert_eq!(Spread::of(vec![]), None);
    }
}
