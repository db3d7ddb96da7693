//! Plain against adaptive over six sizes, calls, contention, and spins: the program's own counts, and those of probes.

use anyhow::Result;
use serde_json::Value;

use super::{
    Lab,
    read::Comparison,
    rows::{NONE, histograms, plain, table, time, with_interval},
};

/// Bytes, and the seconds that were published for a million round trips: plain, adaptive.
const SIZES: [(&str, &str, &str); 6] = [
    ("16", "", "0.739"),
    ("128", "", "0.737"),
    ("256", "1.833", "0.754"),
    ("1024", "", "0.949"),
    ("8192", "", "3.221"),
    ("65536", "", "59.469"),
];
const LOOP: [&str; 6] = ["--json", "--size", "256", "--repetitions", "100000", "--time-every=0"];
const RESTATED: [(&str, &str); 2] =
    [("adaptive-restated-2.22", "loop of glibc 2.22"), ("adaptive-restated-2.36", "loop of glibc 2.36")];

/// Measures, and makes the tables of `shmemq`.
pub fn measure(lab: &mut Lab) -> Result<String> {
    let found = lab.bench(&["shmemq"], &[])?;
    let mut text = sizes(&found);
    let mut seen = Vec::new();
    for (lock, name) in RESTATED {
        let truth = lab.truth("shmemq", &[&LOOP[..], &["--mutex", lock]].concat())?;
        seen.push(Seen::told(&format!("{name}, by its own counters"), &truth));
    }
    let words = [&LOOP[..], &["--mutex", "adaptive"]].concat();
    seen.push(Seen::told("the library's, not traced", &lab.truth("shmemq", &words)?));
    let (truth, session) = lab.trace("syscalls,mutex", "shmemq", &words)?;
    seen.push(Seen::traced("the library's, `--probes syscalls,mutex`", &truth, &session));
    text += &contention(&seen);
    Ok(text)
}

fn sizes(found: &Comparison) -> String {
    let mut rows = Vec::new();
    for (bytes, plain_published, adaptive_published) in SIZES {
        let label = |lock: &str| format!("{lock}/{bytes}");
        let [plain_lock, adaptive] = ["plain", "adaptive"].map(label);
        let rate = |label: &str| with_interval(found.cell(label, "throughput"), thousands);
        let ratio = found.mean(&adaptive, "throughput").zip(found.mean(&plain_lock, "throughput"));
        let ratio =
            ratio.map_or_else(|| NONE.to_owned(), |(adaptive, plain)| format!("{:.2}", adaptive / plain));
        let calls = |label: &str| found.mean(label, "futex.count").map_or_else(|| NONE.to_owned(), plain);
        let switches = |label: &str| found.mean(label, "switches").map_or_else(|| NONE.to_owned(), plain);
        let published = match (plain_published, adaptive_published) {
            ("", seconds) => format!("{seconds} s adaptive"),
            (plain, adaptive) => format!("{plain} s plain, {adaptive} s adaptive"),
        };
        let row = [
            bytes.to_owned(),
            rate(&plain_lock),
            rate(&adaptive),
            ratio,
            format!("{}, {}", calls(&plain_lock), calls(&adaptive)),
            format!("{}, {}", switches(&plain_lock), switches(&adaptive)),
            published,
        ];
        rows.push(row.to_vec());
    }
    let head = [
        "bytes",
        "plain, round trips a second",
        "adaptive",
        "adaptive / plain",
        "futex calls per trip: plain, adaptive",
        "switches per trip: plain, adaptive",
        "published, a million trips",
    ];
    format!("\n### Plain against adaptive, by size; traced\n\n{}", table(&head, &rows))
}

fn thousands(rate: f64) -> String {
    format!("{} k", plain(rate / 1e3))
}

/// Counts of one run by one way of looking.
struct Seen {
    name: String,
    acquisitions: Option<u64>,
    contended: Option<u64>,
    gave_up: Option<u64>,
    waits: Option<u64>,
    ns_per_trip: Option<f64>,
    spins: Vec<Value>,
}

impl Seen {
    /// By the program itself.
    fn told(name: &str, truth: &Value) -> Self {
        let (cell, lock) = (&truth["cells"][0], &truth["cells"][0]["lock"]);
        let spins = &lock["spins"];
        Self {
            name: name.to_owned(),
            acquisitions: lock["acquisitions"].as_u64(),
            contended: lock["contended"].as_u64(),
            gave_up: lock["gave_up"].as_u64(),
            waits: lock["futex_waits"].as_u64(),
            ns_per_trip: cell["ns_per_round_trip"].as_f64(),
            spins: if spins.is_object() { vec![spins.clone()] } else { Vec::new() },
        }
    }

    /// By probes: the locks in shared memory, of both sides.
    fn traced(name: &str, truth: &Value, session: &Value) -> Self {
        let processes = session["processes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let locks: Vec<&Value> = processes
            .iter()
            .flat_map(|process| process["mutex"].as_array().into_iter().flatten())
            .filter(|lock| lock["place"] == "shared")
            .collect();
        let sum =
            |key: &str| (!locks.is_empty()).then(|| locks.iter().filter_map(|lock| lock[key].as_u64()).sum());
        let told = Self::told(name, truth);
        Self {
            contended: sum("contended"),
            gave_up: sum("gave_up_spinning"),
            waits: sum("went_to_kernel"),
            spins: locks.iter().map(|lock| lock["spin_count"].clone()).collect(),
            ..told
        }
    }

    fn spun(&self) -> Option<Value> {
        let buckets: Vec<Value> =
            self.spins.iter().filter_map(|it| it["buckets"].as_array()).flatten().cloned().collect();
        (!buckets.is_empty()).then(|| serde_json::json!({ "buckets": buckets }))
    }

    fn row(&self) -> Vec<String> {
        let count = |value: Option<u64>| value.map_or_else(|| NONE.to_owned(), |value| value.to_string());
        let share = self.contended.zip(self.acquisitions).filter(|(_, all)| *all > 0);
        let share = share
            .map_or_else(String::new, |(some, all)| format!(" ({:.1} %)", 100.0 * some as f64 / all as f64));
        let sum = |key: &str| self.spins.iter().filter_map(|it| it[key].as_u64()).sum::<u64>();
        let mean =
            if sum("count") > 0 { plain(sum("sum") as f64 / sum("count") as f64) } else { NONE.to_owned() };
        vec![
            self.name.clone(),
            self.ns_per_trip.map_or_else(|| NONE.to_owned(), time),
            count(self.acquisitions),
            count(self.contended) + &share,
            count(self.gave_up),
            count(self.waits),
            mean,
        ]
    }
}

fn contention(seen: &[Seen]) -> String {
    let head = [
        "",
        "per round trip",
        "acquisitions",
        "contended",
        "gave up spinning",
        "waited in the kernel",
        "mean count",
    ];
    let rows: Vec<Vec<String>> = seen.iter().map(Seen::row).collect();
    let spun: Vec<Option<Value>> = seen.iter().map(Seen::spun).collect();
    let named: Vec<(&str, Option<&Value>)> = seen
        .iter()
        .zip(&spun)
        .filter(|(_, spun)| spun.is_some())
        .map(|(seen, spun)| (seen.name.as_str(), spun.as_ref()))
        .collect();
    format!(
        "\n### Contention, 256 bytes, 100,000 round trips, both sides; one run each\n\n{}\n### Spins of contended acquisitions, by the loop's own count\n\n{}",
        table(&head, &rows),
        histograms("spins", &named, |edge| format!("{edge:.0}"))
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_probes_see_is_of_shared_locks_and_both_sides() {
        let truth = json!({"cells": [{"ns_per_round_trip": 400.0, "lock": {"acquisitions": 1000, "contended": null}}]});
        let lock = |place: &str| {
            json!({"place": place, "contended": 40, "gave_up_spinning": 3, "went_to_kernel": 2,
                   "spin_count": {"count": 40, "sum": 80, "buckets": [[2, 3, 40]]}})
        };
        let session =
            json!({"processes": [{"mutex": [lock("shared"), lock("private")]}, {"mutex": [lock("shared")]}]});
        let seen = Seen::traced("t", &truth, &session);
        assert_eq!(seen.row(), ["t", "400 ns", "1000", "80 (8.0 %)", "6", "4", "2.00"]);
        let nothing = Seen::traced("t", &truth, &json!({"processes": []}));
        assert_eq!((nothing.contended, nothing.spun()), (None, None));
    }
}
