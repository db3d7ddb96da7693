//! Packed atomic state against mutexes: `eventbuf`.

use serde_json::Value;
use views::compare::json::{Section, Unit};

use super::{
    super::truth::{Outcome, number},
    Parts, words,
};

pub const PARTS: Parts = Parts {
    program: "eventbuf",
    per: "event",
    usual: &[
        "standard/1",
        "packed/1",
        "standard/4",
        "packed/4",
        "standard/8",
        "packed/8",
        "standard/16",
        "packed/16",
    ],
    known: "IMPLEMENTATION/THREADS[/ORDER]: standard, locked, packed; of packed the orders acq-rel and seq-cst",
    arguments,
    outcome,
};

fn arguments(name: &str) -> Result<Vec<String>, String> {
    let (implementation, rest) = name.split_once('/').unwrap_or((name, "1"));
    let (threads, order) = match rest.split_once('/') {
        None => (rest, "acq-rel"),
        Some((threads, order @ ("acq-rel" | "seq-cst"))) if implementation == "packed" => (threads, order),
        Some(_) => return Err("there is no such order of it".to_owned()),
    };
    if !["standard", "locked", "packed"].contains(&implementation) {
        return Err("there is no such implementation".to_owned());
    }
    let threads: u32 = threads.parse().map_err(|_| format!("{threads:?} is no number of threads"))?;
    Ok(words(&format!("--json --impl {implementation} --threads {threads} --order {order} --events 1000000")))
}

fn outcome(truth: &Value) -> Outcome {
    let run = &truth["runs"][0];
    let offered = number(run, "/offered").filter(|offered| *offered > 0.0);
    let mut outcome = Outcome { per: offered, ..Outcome::default() };
    outcome.rate(
        "throughput",
        "accepted events per second",
        number(run, "/throughput").filter(|it| *it > 0.0),
    );
    outcome.latency("latency", "offer", &run["latency"]);
    outcome.counts(run, Section::Losses, &[("full", "refused: full"), ("open", "refused: breaker open")]);
    let cpu = number(run, "/cpu_ns_per_event");
    outcome.less("cpu.event", "CPU time per accepted event", Section::Cost, Unit::Ns, cpu);
    let percent = |pointer: &str| number(run, pointer).map(|share| share * 100.0);
    outcome.less(
        "lock.contended",
        "locks found taken",
        Section::Locks,
        Unit::Percent,
        percent("/lock_contended_share"),
    );
    let failed = percent("/cas_success_rate").map(|percent| 100.0 - percent);
    outcome.less("cas.failed", "compare-and-swaps that failed", Section::Locks, Unit::Percent, failed);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_of_the_packed_design() {
        assert!(arguments("packed/4/seq-cst").unwrap().windows(2).any(|two| two == ["--order", "seq-cst"]));
        for bad in ["standard/4/seq-cst", "packed/4/relaxed", "packed/4/seq-cst/x", "packed/x"] {
            assert!(arguments(bad).is_err(), "{bad}");
        }
    }
}
