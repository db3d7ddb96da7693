//! Throughput and latency of packed atomic state against a mutex, by threads.

use anyhow::Result;

use super::{
    Lab,
    read::{Comparison, quantile},
    rows::{self, NONE, plain, table, with_interval},
};

const THREADS: [&str; 4] = ["1", "4", "8", "16"];
/// Threads, and the published bars of the two designs: throughput in percent of one thread.
const CONTENTION: [(u32, f64, f64); 5] =
    [(1, 100.0, 100.0), (2, 85.0, 97.0), (4, 60.0, 94.0), (8, 35.0, 91.0), (16, 20.0, 88.0)];
/// Latency quantiles that were published, of the two designs, ns.
const PUBLISHED: [(&str, f64, &str, &str); 4] = [
    ("p50", 0.5, "180", "42"),
    ("p90", 0.9, "420", "58"),
    ("p99", 0.99, "1,200", "95"),
    ("p99.9", 0.999, "8,500", "150"),
];

/// Measures, and makes the tables of `eventbuf`.
pub fn measure(lab: &mut Lab) -> Result<String> {
    let variants: Vec<String> = CONTENTION
        .iter()
        .flat_map(|(threads, ..)| ["standard", "packed"].map(|design| format!("{design}/{threads}")))
        .chain(["packed/1/seq-cst", "packed/16/seq-cst"].map(str::to_owned))
        .collect();
    let found = lab.bench(&["eventbuf", "--variants", &variants.join(",")], &[])?;
    let truth =
        lab.truth("eventbuf", &["--json", "--impl", "packed", "--threads", "1", "--events", "100000"])?;
    let per_cycle = truth["timer"]["ns_per_unit"].as_f64();
    Ok(throughput(&found)
        + &contention(&found)
        + &cost(&found)
        + &order(&found)
        + &latency(&found, per_cycle))
}

fn throughput(found: &Comparison) -> String {
    let millions = |value: f64| format!("{} M/s", plain(value / 1e6));
    let of = |name: &str, implementation: &str| {
        let cell = |threads: &&str| {
            with_interval(found.cell(&format!("{implementation}/{threads}"), "throughput"), millions)
        };
        std::iter::once(name.to_owned()).chain(THREADS.iter().map(cell)).collect::<Vec<String>>()
    };
    let ratio = |threads: &&str| {
        let mean = |implementation: &str| found.mean(&format!("{implementation}/{threads}"), "throughput");
        mean("packed")
            .zip(mean("standard"))
            .map_or_else(|| NONE.to_owned(), |(new, old)| format!("{:.2}x", new / old))
    };
    let published = |name: &str, values: [&str; 4]| {
        std::iter::once(name.to_owned()).chain(values.map(str::to_owned)).collect::<Vec<String>>()
    };
    let rows = [
        of("mutex (`standard`)", "standard"),
        of("atomic (`packed`)", "packed"),
        std::iter::once("improvement".to_owned()).chain(THREADS.iter().map(ratio)).collect(),
        published("published: mutex", ["2.1 M/s", "1.8 M/s", "1.2 M/s", "0.9 M/s"]),
        published("published: atomic", ["9.8 M/s", "9.5 M/s", "9.2 M/s", "8.9 M/s"]),
        published("published: improvement", ["4.7x", "5.3x", "7.7x", "9.9x"]),
    ];
    format!("\n### Throughput, by threads\n\n{}", table(&["", "1", "4", "8", "16"], &rows))
}

fn contention(found: &Comparison) -> String {
    let percent = |design: &str, threads: u32| {
        let of = |threads: u32| found.mean(&format!("{design}/{threads}"), "throughput");
        Some(of(threads)? * 100.0 / of(1)?)
    };
    let rows: Vec<Vec<String>> = CONTENTION
        .iter()
        .map(|(threads, old, new)| {
            let bars = [percent("standard", *threads), Some(*old), percent("packed", *threads), Some(*new)];
            std::iter::once(threads.to_string()).chain(bars.map(bar)).collect()
        })
        .collect();
    let head = ["threads", "mutex", "published: mutex", "atomic", "published: atomic"];
    format!("\n### Contention: throughput in percent of one thread\n\n{}", table(&head, &rows))
}

/// A bar of a sign for each ten percent.
fn bar(percent: Option<f64>) -> String {
    percent.map_or_else(
        || NONE.to_owned(),
        |percent| format!("{} {percent:.0} %", "#".repeat((percent / 10.0).round() as usize)),
    )
}

fn order(found: &Comparison) -> String {
    let row = |name: &str, ending: &str| {
        let cell = |threads: &str| {
            with_interval(found.cell(&format!("packed/{threads}{ending}"), "cpu.event"), rows::time)
        };
        vec![name.to_owned(), cell("1"), cell("16")]
    };
    let rows = [row("acquire and release", ""), row("sequentially consistent", "/seq-cst")];
    format!(
        "\n### Order of the compare-and-swap: CPU time of an accepted event, by threads\n\n{}",
        table(&["", "1", "16"], &rows)
    )
}

fn cost(found: &Comparison) -> String {
    let of = |name: &str, implementation: &str| {
        let cell = |threads: &&str| {
            with_interval(found.cell(&format!("{implementation}/{threads}"), "cpu.event"), rows::time)
        };
        std::iter::once(name.to_owned()).chain(THREADS.iter().map(cell)).collect::<Vec<String>>()
    };
    let rows = [of("mutex (`standard`)", "standard"), of("atomic (`packed`)", "packed")];
    format!(
        "\n### CPU time of an accepted event, by threads\n\nThe steadier figure where other programs run.\n\n{}",
        table(&["", "1", "4", "8", "16"], &rows)
    )
}

fn latency(found: &Comparison, ns_per_cycle: Option<f64>) -> String {
    let at = |label: &str, share: f64| {
        let cycles = found.histogram(label, "latency").and_then(|it| quantile(it, share));
        cycles.zip(ns_per_cycle).map_or_else(|| NONE.to_owned(), |(cycles, ns)| plain(cycles * ns))
    };
    let rows: Vec<Vec<String>> = PUBLISHED
        .iter()
        .map(|(name, share, old, new)| {
            let ours = ["standard/1", "packed/1", "standard/16", "packed/16"].map(|label| at(label, *share));
            let published = [(*old).to_owned(), (*new).to_owned()];
            std::iter::once((*name).to_owned()).chain(ours).chain(published).collect()
        })
        .collect();
    let head = [
        "",
        "mutex, 1 thread",
        "atomic, 1",
        "mutex, 16",
        "atomic, 16",
        "published: mutex",
        "published: atomic",
    ];
    format!("\n### Latency of an offer, ns, all rounds together\n\n{}", table(&head, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_a_sign_for_ten_percent() {
        assert_eq!([Some(100.0), Some(34.0), None].map(bar), ["########## 100 %", "### 34 %", "-"]);
    }
}
