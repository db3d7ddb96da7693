//! Operations that concurrent programs are made of: `syncbench`.

use serde_json::Value;
use views::compare::json::{Section, Unit};

use super::{
    super::truth::{Outcome, number},
    Parts, words,
};

pub const PARTS: Parts = Parts {
    program: "syncbench",
    per: "operation",
    usual: &[
        "mutex/std",
        "mutex/parking-lot",
        "mutex/adaptive",
        "contention/std-2",
        "contention/parking-lot-2",
        "contention/adaptive-2",
    ],
    known: "the benchmarks that `syncbench --list` shows, by their whole names",
    arguments,
    outcome,
};

fn arguments(name: &str) -> Result<Vec<String>, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "/-.".contains(c);
    if !name.contains('/') || !name.chars().all(letters) {
        return Err("that is no name of a benchmark".to_owned());
    }
    Ok(words(&format!("--json --quick {name}")))
}

/// A whole name runs that benchmark alone, so what the trace counts is its own.
fn outcome(truth: &Value) -> Outcome {
    let variant = truth["variant"].as_str().unwrap_or_default();
    let all = truth["benchmarks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(found) = all.iter().find(|it| it["name"] == variant) else { return Outcome::default() };
    let operations = number(truth, "/operations").filter(|operations| *operations > 0.0);
    let mut outcome = Outcome { per: operations, ..Outcome::default() };
    let median = number(found, "/time/median");
    outcome.less("operation", "time per operation, median", Section::Latency, Unit::Ns, median);
    let cpu = number(found, "/cpu_ns_per_operation");
    outcome.less("cpu.operation", "CPU time per operation", Section::Cost, Unit::Ns, cpu);
    outcome.latency("observed", "single operations", &found["observed"]["latency"]);
    outcome
}
