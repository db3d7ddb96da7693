//! One queue and many producers: `casq`.

use serde_json::Value;
use views::compare::{
    Measure,
    json::{Section, Unit},
};

use super::{
    super::truth::{Outcome, number},
    Parts, words,
};

pub const PARTS: Parts = Parts {
    program: "casq",
    per: "message",
    usual: &["cas/1", "cas/3", "cas/5", "cas/9", "cas/5/deferred", "cas/5/mutex"],
    known: "QUEUE/PRODUCERS[/LOG]: queues cas, fetch-add, mutex, futex, crossbeam; logs none, deferred, mutex, per-thread",
    arguments,
    outcome,
};

fn arguments(name: &str) -> Result<Vec<String>, String> {
    let mut parts = name.split('/');
    let queue = parts.next().unwrap_or_default();
    if !["cas", "fetch-add", "mutex", "futex", "crossbeam"].contains(&queue) {
        return Err("there is no such queue".to_owned());
    }
    let producers = parts.next().unwrap_or("1");
    let producers: u32 = producers.parse().map_err(|_| format!("{producers:?} is no number of producers"))?;
    let log = parts.next().unwrap_or("none");
    if !["none", "deferred", "mutex", "per-thread"].contains(&log) || parts.next().is_some() {
        return Err("there is no such log".to_owned());
    }
    Ok(words(&format!(
        "--json --no-draw --queue {queue} --producers {producers} --log {log} --pushes 200000"
    )))
}

fn outcome(truth: &Value) -> Outcome {
    let run = &truth["runs"][0];
    let received = number(run, "/received").filter(|received| *received > 0.0);
    let mut outcome = Outcome { per: received, ..Outcome::default() };
    outcome.rate(
        "throughput",
        "messages per second",
        number(run, "/messages_per_second").filter(|it| *it > 0.0),
    );
    outcome.latency("latency", "push, from when it was due", &run["push"]);
    outcome.latency("service", "push, the try that succeeded", &run["service"]);
    let losses = [
        ("lost", "messages lost"),
        ("reordered", "messages reordered"),
        ("waited", "pushes that had to wait"),
    ];
    outcome.counts(run, Section::Losses, &losses);
    // With the writing of the samples: deferring it does not make it free.
    let elapsed = number(run, "/whole_ns/0");
    outcome.less("elapsed", "elapsed, samples written", Section::Throughput, Unit::Ns, elapsed);
    let cpus = number(run, "/cpus_utilised")
        .map(|value| Measure::exact("cpus", "CPUs utilised, producers", Section::Cost, value));
    outcome.measures.extend(cpus.map(|measure| measure.with_better(None)));
    for (key, name, unit) in [
        ("task_clock_ns", "task clock, producers", Unit::Ns),
        ("context_switches", "context switches, producers", Unit::Count),
        ("migrations", "migrations, producers", Unit::Count),
        ("page_faults", "page faults, producers", Unit::Count),
        ("cycles", "cycles, producers", Unit::Count),
        ("stalled_frontend", "stalled cycles of the front end, producers", Unit::Count),
        ("stalled_backend", "stalled cycles of the back end, producers", Unit::Count),
        ("instructions", "instructions, producers", Unit::Count),
        ("branches", "branches, producers", Unit::Count),
        ("branch_misses", "branch misses, producers", Unit::Count),
        ("cache_references", "cache references, producers", Unit::Count),
        ("cache_misses", "cache misses, producers", Unit::Count),
        ("l1d_loads", "loads of the first-level cache, producers", Unit::Count),
        ("l1d_load_misses", "load misses of the first-level cache, producers", Unit::Count),
        ("llc_loads", "loads of the last-level cache, producers", Unit::Count),
        ("llc_load_misses", "load misses of the last-level cache, producers", Unit::Count),
    ] {
        let value = number(run, &format!("/producer_counts/{key}"));
        outcome.less(&format!("producers.{key}"), name, Section::Cost, unit, value);
    }
    outcome
}
