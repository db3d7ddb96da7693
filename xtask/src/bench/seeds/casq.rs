//! Push time by producers, and what `perf stat` said of two ways to log.

use anyhow::Result;

use super::{
    Lab,
    read::{Comparison, quantile},
    rows::{NONE, plain, row, table, time},
};

const PRODUCERS: [&str; 4] = ["cas/1", "cas/3", "cas/5", "cas/9"];
/// The first is what differences are to.
const LOGS: [&str; 3] = ["cas/5/deferred", "cas/5/mutex", "cas/5"];

/// Measures, and makes the tables of `casq`.
pub fn measure(lab: &mut Lab) -> Result<String> {
    let by_producers = lab.bench(&["casq", "--variants", &PRODUCERS.join(",")], &[])?;
    let by_log = lab.bench(&["casq", "--variants", &LOGS.join(",")], &[])?;
    Ok(pushes(&by_producers) + &counters(&by_log))
}

/// The published figure of a row, by producers.
const PUBLISHED: [(&str, [&str; 4]); 4] = [
    ("published: mean", ["392", "261", "323", "280"]),
    ("published: median", ["390", "280", "327", "270"]),
    ("published: p99", ["557", "498", "569", "503"]),
    ("published: p99.99", ["738", "27,232", "35,358", "38,237"]),
];

const UNKNOWN: [&str; 2] = ["not supported", "not supported"];

/// Key of a row, its name, and what was published: deferred, under a mutex.
const COUNTERS: [(&str, &str, [&str; 2]); 16] = [
    ("elapsed", "elapsed, samples written", ["454 ms", "249 ms"]),
    ("cpus", "CPUs utilised", ["3.995", "2.476"]),
    ("producers.task_clock_ns", "task clock", ["1,813 ms", "616 ms"]),
    ("producers.context_switches", "context switches", ["296", "21,132"]),
    ("producers.migrations", "migrations", ["7", "116"]),
    ("producers.page_faults", "page faults", ["5,391", "308"]),
    ("producers.cycles", "cycles", ["5.49 G", "1.59 G"]),
    ("producers.stalled_frontend", "stalled cycles, front end", ["24.3 M", "89.6 M"]),
    ("producers.stalled_backend", "stalled cycles, back end", ["4.92 G", "697 M"]),
    ("producers.instructions", "instructions", ["1.62 G", "2.25 G"]),
    ("producers.branches", "branches", ["243 M", "375 M"]),
    ("producers.branch_misses", "branch misses", ["744 k", "2.11 M"]),
    ("producers.l1d_loads", "L1 data cache loads", ["885 M", "1,151 M"]),
    ("producers.l1d_load_misses", "L1 data cache load misses", ["16.0 M", "10.0 M"]),
    ("producers.llc_loads", "LLC loads", UNKNOWN),
    ("producers.llc_load_misses", "LLC load misses", UNKNOWN),
];

fn pushes(found: &Comparison) -> String {
    let mut rows = Vec::new();
    for (what, key) in [("the try that succeeded", "service"), ("from when it was due", "latency")] {
        rows.push(row(&format!("{what}: mean"), found, &PRODUCERS, &format!("{key}.mean"), plain));
        for (name, share) in [("median", 0.5), ("p99", 0.99), ("p99.99", 0.9999)] {
            let at = |label: &&str| {
                let value = found.histogram(label, key).and_then(|it| quantile(it, share));
                value.map_or_else(|| NONE.to_owned(), plain)
            };
            let head = format!("{what}: {name}");
            rows.push(std::iter::once(head).chain(PRODUCERS.iter().map(at)).collect());
        }
    }
    for (name, values) in PUBLISHED {
        rows.push(std::iter::once(name.to_owned()).chain(values.map(str::to_owned)).collect());
    }
    format!(
        "\n### Cycles of a push, by producers\n\n{}\nSigns behind a mean: `~` not told apart from one producer, `=` all rounds agree.\n",
        table(&["", "1", "3", "5", "9"], &rows)
    )
}

fn counters(found: &Comparison) -> String {
    let rows: Vec<Vec<String>> = COUNTERS
        .iter()
        .map(|(key, name, published)| {
            let shown = if key.ends_with("_ns") || *key == "elapsed" { time } else { plain };
            let mut cells = row(name, found, &LOGS, key, shown);
            for cell in cells.iter_mut().skip(1).filter(|cell| *cell == NONE) {
                "not supported".clone_into(cell);
            }
            cells.extend(published.map(str::to_owned));
            cells
        })
        .collect();
    let head = [
        "producers, whole run",
        "deferred",
        "under a mutex",
        "no log",
        "published: deferred",
        "published: mutex",
    ];
    format!(
        "\n### Counters, five producers, by way of logging\n\n{}\n`not supported`: the machine of that column does not count it. Signs: `~` not told apart from deferred.\n",
        table(&head, &rows)
    )
}
