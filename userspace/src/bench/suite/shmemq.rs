//! Locks between two processes: `shmemq`.

use serde_json::Value;
use views::compare::json::{Section, Unit};

use super::{
    super::truth::{Outcome, number},
    Parts, words,
};

const LOCKS: [&str; 12] = [
    "plain",
    "adaptive",
    "pi",
    "robust",
    "recursive",
    "errorcheck",
    "spin",
    "ticket",
    "futex",
    "adaptive-restated-2.22",
    "adaptive-restated-2.36",
    "lockfree",
];

pub const PARTS: Parts = Parts {
    program: "shmemq",
    per: "round trip",
    usual: &[
        "plain/16",
        "adaptive/16",
        "plain/128",
        "adaptive/128",
        "plain/256",
        "adaptive/256",
        "plain/1024",
        "adaptive/1024",
        "plain/8192",
        "adaptive/8192",
        "plain/65536",
        "adaptive/65536",
    ],
    known: "LOCK/BYTES: plain, adaptive, pi, robust, recursive, errorcheck, spin, ticket, futex, adaptive-restated-2.22, \
            adaptive-restated-2.36 and lockfree",
    arguments,
    outcome,
};

/// Large messages are rare, so that no variant takes much longer than another.
fn arguments(name: &str) -> Result<Vec<String>, String> {
    let (lock, size) = name.split_once('/').unwrap_or((name, "256"));
    if !LOCKS.contains(&lock) {
        return Err("there is no such lock".to_owned());
    }
    let size: u32 = size.parse().map_err(|_| format!("{size:?} is no number of bytes"))?;
    let repetitions = match size {
        0..=4096 => 30_000,
        4097..=16_384 => 5_000,
        _ => 2_000,
    };
    Ok(words(&format!("--json --mutex {lock} --size {size} --repetitions {repetitions}")))
}

fn outcome(truth: &Value) -> Outcome {
    let cell = &truth["cells"][0];
    let trips = number(cell, "/completed").filter(|trips| *trips > 0.0);
    let mut outcome = Outcome { per: trips, ..Outcome::default() };
    let seconds = number(cell, "/elapsed_ns").filter(|ns| *ns > 0.0).map(|ns| ns / 1e9);
    outcome.rate(
        "throughput",
        "round trips per second",
        trips.zip(seconds).map(|(trips, time)| trips / time),
    );
    outcome.latency("latency", "round trip", &cell["latency"]);
    let per = |pointer: &str| Some(number(cell, pointer)? / trips?);
    let counts = [
        ("lock.acquisitions", "lock acquisitions", "/lock/acquisitions"),
        ("lock.contended", "lock contended", "/lock/contended"),
        ("lock.futex_waits", "lock futex waits", "/lock/futex_waits"),
        ("attempts.empty", "attempts on an empty queue", "/attempts/empty"),
    ];
    for (key, name, pointer) in counts {
        outcome.less(key, name, Section::Locks, Unit::Count, per(pointer));
    }
    outcome.less(
        "lock.spins.mean",
        "lock spins, mean",
        Section::Locks,
        Unit::Count,
        number(cell, "/lock/spins/mean"),
    );
    outcome
}
