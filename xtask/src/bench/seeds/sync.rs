//! The table of targets.

use anyhow::Result;

use super::{
    Lab,
    rows::{NONE, table, time, with_interval},
};

/// Operation, published target in words and in ns, and what stands for it.
const TARGETS: [(&str, &str, f64, &[&str]); 7] = [
    ("uncontended atomic", "< 10 ns", 10.0, &["atomic/fetch-add", "atomic/compare-exchange"]),
    ("uncontended mutex", "< 20 ns", 20.0, &["mutex/std", "mutex/parking-lot", "mutex/tokio"]),
    (
        "2-thread contention",
        "< 50 ns",
        50.0,
        &["contention/fetch-add-2", "contention/std-2", "contention/parking-lot-2"],
    ),
    (
        "8-thread contention",
        "< 200 ns",
        200.0,
        &["contention/fetch-add-8", "contention/std-8", "contention/parking-lot-8"],
    ),
    (
        "channel send and receive",
        "< 100 ns",
        100.0,
        &["channel/spsc/std", "channel/spsc/crossbeam", "channel/spsc/tokio"],
    ),
    ("task spawn", "< 500 ns", 500.0, &["spawn/local", "spawn/many-remote"]),
    (
        "context switch",
        "< 1.5 us",
        1500.0,
        &["yield/tasks-200", "yield/threads-one-cpu", "yield/park-one-cpu"],
    ),
];

/// Measures, and makes the table of `syncbench`.
pub fn measure(lab: &mut Lab) -> Result<String> {
    let names: Vec<&str> = TARGETS.iter().flat_map(|(.., names)| names.iter().copied()).collect();
    let found = lab.bench(&["sync", "--variants", &names.join(",")], &[])?;
    let mut rows = Vec::new();
    for (operation, words, below, names) in TARGETS {
        for name in names {
            let cell = found.cell(name, "operation");
            let cpu = found.mean(name, "cpu.operation").map_or_else(|| NONE.to_owned(), time);
            let said = verdict(cell.and_then(|cell| cell.interval), below);
            let shown = with_interval(cell, time);
            let row = [operation, &format!("`{name}`"), &shown, &cpu, words, said];
            rows.push(row.map(str::to_owned).to_vec());
        }
    }
    let head =
        ["operation", "measured as", "median of a round: mean (95 %)", "CPU time", "target", "verdict"];
    Ok(format!("\n### Targets\n\n{}", table(&head, &rows)))
}

/// Met when the whole interval lies below the target, missed when none of it does.
fn verdict(interval: Option<(f64, f64)>, below: f64) -> &'static str {
    match interval {
        Some((_, high)) if high < below => "met",
        Some((low, _)) if low >= below => "missed",
        _ => "unsure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_in_the_interval_is_unsure() {
        let of = |low, high| verdict(Some((low, high)), 10.0);
        assert_eq!([of(1.0, 9.0), of(9.0, 11.0), of(10.0, 12.0)], ["met", "unsure", "missed"]);
        assert_eq!(verdict(None, 10.0), "unsure");
    }
}
