//! The results page, in words.

use std::fmt::Write as _;

use super::{
    Cell, Outcome,
    methods::{FLOOR, INLINE, METHODS, OTHERS_WITH_SPINS, TIER_1, UNLIMITED},
    workload::{WORKLOADS, Workload},
};
use crate::bench::spread::Spread;

/// Probes whose cost is above the budget are out after this time, ms.
const OUT_MS: f64 = 300.0;

/// The page, of so many rounds with ours, and with others.
pub fn page(outcome: &Outcome, (rounds, peers_rounds): (u32, u32), made: &str) -> String {
    let others = rounds.min(peers_rounds);
    let mut page = format!(
        "# What watching locks costs\n\n{made} {rounds} rounds, {others} with other tools; medians, with smallest and largest.\n\nIn each round every workload \
         runs alone and under each method in turn, by its own clock, with a copy of the C library that no other process uses. The \
         slow-down is the time under the method over the time alone, right before with ours and the floor and in the same round with \
         others, for as much work: under what slows it much it does less. `adaptive` and `plain` are `shmemq` with 256 bytes, two processes that fight for two locks; `uncontended` is one \
         thread that takes a lock which no other thread wants.\n\n| method | adaptive | plain | uncontended |\n| --- | ---: | ---: | \
         ---: |\n"
    );
    let alone = |workload: &Workload| {
        let spread = outcome.alone.get(workload.name).and_then(|times| Spread::of(times.iter().copied()));
        spread.map_or_else(|| "-".to_owned(), |it| format!("{:.0} ms", it.median))
    };
    // Writing into a string cannot fail.
    let _ = writeln!(page, "| untraced | {} |", WORKLOADS.each_ref().map(alone).join(" | "));
    for method in &METHODS {
        let slowdown = |workload: &Workload| {
            cell(outcome, workload, method.name).map_or_else(|| "-".to_owned(), |it| shown(&it.slowdown, 2))
        };
        let _ = writeln!(page, "| {} | {} |", method.name, WORKLOADS.each_ref().map(slowdown).join(" | "));
    }
    page + &goals(outcome)
        + &floor(outcome)
        + &seen(outcome)
        + &spins(outcome)
        + &outcome.distribution.section()
}

fn cell<'a>(outcome: &'a Outcome, workload: &Workload, method: &'static str) -> Option<&'a Cell> {
    outcome.cells.get(&(workload.name, method))
}

fn shown(values: &[f64], digits: usize) -> String {
    Spread::of(values.iter().copied()).map_or_else(
        || "-".to_owned(),
        |it| format!("{:.digits$} ({:.digits$} to {:.digits$})", it.median, it.min, it.max),
    )
}

fn goals(outcome: &Outcome) -> String {
    let mut text = "\n## Goals\n\n| goal | measured | met |\n| --- | ---: | --- |\n".to_owned();
    let mut line = |what: &str, measured: f64, limit: f64, digits: usize| {
        let met = if measured <= limit { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {what} | {measured:.digits$} | {met} |");
    };
    for method in &METHODS {
        for (workload, goal) in WORKLOADS.iter().zip(method.goals) {
            let spread = cell(outcome, workload, method.name)
                .and_then(|cell| Spread::of(cell.slowdown.iter().copied()));
            if let (Some(goal), Some(spread)) = (goal, spread) {
                let what = format!("{}, {}: at most {goal}", method.name, workload.name);
                line(&what, spread.median, goal, 2);
            }
        }
    }
    let adaptive = &WORKLOADS[0];
    let theirs = OTHERS_WITH_SPINS.filter_map(|method| median(outcome, adaptive, method)).reduce(f64::min);
    if let (Some(ours), Some(theirs)) = (median(outcome, adaptive, UNLIMITED), theirs) {
        let what = "adaptive: the lowest of all whose probes see the spin count";
        line(&format!("{}, {what}; of others {theirs:.2}", METHODS[UNLIMITED].name), ours, theirs, 2);
    }
    let out = outcome.cells.iter().filter(|((workload, _), _)| *workload == adaptive.name);
    if let Some(spread) = Spread::of(out.flat_map(|(_, cell)| cell.out_ms.iter().copied())) {
        line(
            &format!("probes above their budget out within {OUT_MS} ms of the go, worst"),
            spread.max,
            OUT_MS,
            0,
        );
    }
    text
}

fn median(outcome: &Outcome, workload: &Workload, method: usize) -> Option<f64> {
    let cell = cell(outcome, workload, METHODS[method].name)?;
    Some(Spread::of(cell.slowdown.iter().copied())?.median)
}

/// Lowest possible cost of a method that traces system calls.
fn floor(outcome: &Outcome) -> String {
    let one = |workload: &Workload| {
        median(outcome, workload, FLOOR).map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"))
    };
    let [adaptive, plain, uncontended] = WORKLOADS.each_ref().map(one);
    format!(
        "\nThe floor is what two programs make of it that do nothing, on the tracepoints where system calls begin and end: {adaptive} \
         adaptive, {plain} plain, {uncontended} uncontended. Tier 0 begins there; [ADR 0009](../adr/0009-floor-of-tier-0.md) \
         says why it has no other way in.\n"
    )
}

/// Spin counts by who counted them.
fn spins(outcome: &Outcome) -> String {
    let mut text = "\n## Spin counts, side by side\n\nOf the adaptive ping-pong. Quantiles are lower ends of buckets. The loop that counts \
                    itself is another build of the same algorithm, and runs alone.\n\n| counted by | contended | mean | spun once \
                    | p50 | p90 | p99 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    let _ = writeln!(text, "| the same loop stated anew, its own counters | {} |", outcome.own.cells());
    for method in [INLINE, TIER_1, UNLIMITED] {
        if let Some(cell) = cell(outcome, &WORKLOADS[0], METHODS[method].name) {
            let _ = writeln!(text, "| {} | {} |", METHODS[method].name, cell.spins.cells());
        }
    }
    text
}

/// Counts of our probes, and the time of their removal.
fn seen(outcome: &Outcome) -> String {
    let mut text = "\n## What was seen\n\nAcquisitions are the program's own count. Of what the default budget ends, the report says from \
                    when it is missing.\n\n| method, workload | futex calls | contended acquisitions | of all, % | probes out after, ms |\n| \
                    --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for workload in &WORKLOADS {
        for method in &METHODS {
            let Some(cell) = cell(outcome, workload, method.name) else { continue };
            if cell.futex_calls.is_empty() && cell.contended.is_empty() {
                continue;
            }
            let _ = writeln!(
                text,
                "| {}, {} | {} | {} | {} | {} |",
                method.name,
                workload.name,
                shown(&cell.futex_calls, 0),
                shown(&cell.contended, 0),
                shown(&cell.share, 2),
                shown(&cell.out_ms, 0)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_held_against_the_median() {
        let mut outcome = Outcome::default();
        let (workload, method) = (WORKLOADS[0].name, METHODS[1].name);
        let slowdown = |values: &[f64]| Cell { slowdown: values.to_vec(), ..Cell::default() };
        outcome.cells.insert((workload, method), slowdown(&[1.0, 1.05, 2.0]));
        let text = page(&outcome, (5, 3), "Made today.");
        assert!(text.contains("adaptive: at most 1.08 | 1.05 | yes |"), "{text}");
        outcome.cells.insert((workload, method), slowdown(&[1.1]));
        let text = page(&outcome, (5, 3), "Made today.");
        assert!(text.contains("adaptive: at most 1.08 | 1.10 | **no** |"), "{text}");
    }

    #[test]
    fn others_that_see_spins_are_held_against_ours() {
        let mut outcome = Outcome::default();
        let slowdown = |value: f64| Cell { slowdown: vec![value], ..Cell::default() };
        for (method, value) in [(FLOOR, 1.2), (UNLIMITED, 7.0), (OTHERS_WITH_SPINS.start, 9.0)] {
            outcome.cells.insert((WORKLOADS[0].name, METHODS[method].name), slowdown(value));
        }
        let text = page(&outcome, (2, 3), "");
        assert!(text.contains("see the spin count; of others 9.00 | 7.00 | yes |"), "{text}");
        assert!(text.contains("do nothing") && text.contains("1.20 adaptive, - plain"), "{text}");
    }

    #[test]
    fn probes_that_stay_too_long_are_told() {
        let mut outcome = Outcome::default();
        let of = |out_ms: &[f64]| Cell { out_ms: out_ms.to_vec(), ..Cell::default() };
        outcome.cells.insert((WORKLOADS[0].name, METHODS[TIER_1].name), of(&[100.0, 290.0]));
        assert!(page(&outcome, (2, 3), "").contains("worst | 290 | yes |"));
        outcome.cells.insert((WORKLOADS[0].name, METHODS[TIER_1].name), of(&[100.0, 310.0]));
        assert!(page(&outcome, (2, 3), "").contains("worst | 310 | **no** |"));
    }
}
