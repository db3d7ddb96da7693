//! What was measured, in words.

use std::fmt::Write as _;

use super::{
    Cell, Outcome,
    methods::METHODS,
    workload::{WORKLOADS, Workload},
};
use crate::bench::spread::Spread;

/// Probes whose cost is above the budget are out after this time, ms.
const OUT_MS: f64 = 300.0;
/// The method that sees every spin count, whatever it costs.
const UNLIMITED: usize = 2;
/// Another one that stops at every acquisition, and does not see it.
const BPFTRACE_ENTRY: usize = 3;

/// The page, of so many rounds with ours, and with others.
pub fn page(outcome: &Outcome, (rounds, peers_rounds): (u32, u32), made: &str) -> String {
    let others = rounds.min(peers_rounds);
    let mut page = format!(
        "# What watching locks costs\n\n{made} {rounds} rounds, {others} with other tools; medians, with smallest and largest.\n\nIn each round every workload \
         runs alone and under each method in turn, by its own clock, with a copy of the C library that nobody else uses. The \
         slow-down is the time under the method over the time alone, right before with ours and in the same round with others, for as \
         much work: under what slows it much it does less. `adaptive` and `plain` are `shmemq` with 256 bytes, two processes that fight for two locks; `uncontended` is one \
         thread that takes a lock which nobody else wants.\n\n| method | adaptive | plain | uncontended |\n| --- | ---: | ---: | \
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
    page + &goals(outcome) + &seen(outcome) + &outcome.distribution.section()
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
    let median = |method: usize| {
        let cell = cell(outcome, adaptive, METHODS[method].name)?;
        Some(Spread::of(cell.slowdown.iter().copied())?.median)
    };
    if let (Some(ours), Some(theirs)) = (median(UNLIMITED), median(BPFTRACE_ENTRY)) {
        let what =
            format!("{}, adaptive: less than {}", METHODS[UNLIMITED].name, METHODS[BPFTRACE_ENTRY].name);
        line(&format!("{what}, {theirs:.2}"), ours, theirs, 2);
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

/// What our probes saw, and when they were taken out.
fn seen(outcome: &Outcome) -> String {
    let mut text = "\n## What was seen\n\nAcquisitions are the program's own count. Of what the default budget ends, the report says from \
                    when it is missing.\n\n| method, workload | futex calls | contended acquisitions | of all, % | probes out after, ms |\n| \
                    --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for workload in &WORKLOADS {
        for method in &METHODS {
            let Some(cell) = cell(outcome, workload, method.name) else { continue };
            if cell.futex_calls.is_empty() {
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
        let (workload, method) = (WORKLOADS[0].name, METHODS[0].name);
        let slowdown = |values: &[f64]| Cell { slowdown: values.to_vec(), ..Cell::default() };
        outcome.cells.insert((workload, method), slowdown(&[1.0, 1.05, 2.0]));
        let text = page(&outcome, (5, 3), "Made today.");
        assert!(text.contains("adaptive: at most 1.08 | 1.05 | yes |"), "{text}");
        outcome.cells.insert((workload, method), slowdown(&[1.1]));
        let text = page(&outcome, (5, 3), "Made today.");
        assert!(text.contains("adaptive: at most 1.08 | 1.10 | **no** |"), "{text}");
    }

    #[test]
    fn probes_that_stay_too_long_are_told() {
        let mut outcome = Outcome::default();
        let of = |out_ms: &[f64]| Cell { out_ms: out_ms.to_vec(), ..Cell::default() };
        outcome.cells.insert((WORKLOADS[0].name, METHODS[1].name), of(&[100.0, 290.0]));
        assert!(page(&outcome, (2, 3), "").contains("worst | 290 | yes |"));
        outcome.cells.insert((WORKLOADS[0].name, METHODS[1].name), of(&[100.0, 310.0]));
        assert!(page(&outcome, (2, 3), "").contains("worst | 310 | **no** |"));
    }
}
