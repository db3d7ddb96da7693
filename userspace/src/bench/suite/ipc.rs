//! Ways of inter-process communication: `logagg`.

use serde_json::Value;
use views::compare::json::{Section, Unit};

use super::{
    super::truth::{Outcome, number},
    Parts, words,
};

const NAMES: [&str; 10] =
    ["unixsock", "tcp", "unixgram", "udp", "fifo", "pipe", "seqpacket", "mqueue", "shm", "shm-futex"];

pub const PARTS: Parts = Parts {
    program: "logagg",
    per: "message",
    usual: &["unixsock", "tcp", "unixgram", "udp", "fifo"],
    known: "WAY[/tokio]: unixsock, tcp, unixgram, udp, fifo, pipe, seqpacket, mqueue, shm and shm-futex",
    arguments,
    outcome,
};

/// Paced, so that latency is that of a message and not that of a queue; plain threads, so that the calls
/// are the link's.
fn arguments(name: &str) -> Result<Vec<String>, String> {
    let (name, runtime) = name.split_once('/').unwrap_or((name, "blocking"));
    if !NAMES.contains(&name) {
        return Err("there is no such way".to_owned());
    }
    let runtime = match runtime {
        "blocking" => "--blocking --stages",
        "tokio" => "",
        _ => return Err("there is no such runtime".to_owned()),
    };
    Ok(words(&format!(
        "run --json --output none {runtime} --rate 500 --jitter 40 --messages 150 --variant {name}"
    )))
}

fn outcome(truth: &Value) -> Outcome {
    let received = number(truth, "/received").filter(|received| *received > 0.0);
    let mut outcome = Outcome { per: received, ..Outcome::default() };
    outcome.rate(
        "throughput",
        "messages per second",
        number(truth, "/throughput_per_s").filter(|it| *it > 0.0),
    );
    outcome.latency("latency", "end to end", &truth["latency"]);
    outcome.latency("send", "send call", &truth["send"]);
    let losses = [
        ("lost", "messages lost"),
        ("reordered", "messages reordered"),
        ("dropped", "messages dropped"),
        ("full", "found the link full"),
    ];
    outcome.counts(truth, Section::Losses, &losses);
    let per = |pointer: &str| Some(number(truth, pointer)? / received?);
    outcome.less("cpu.producers", "CPU time, senders", Section::Cost, Unit::Ns, per("/producers_cpu_ns"));
    outcome.less("cpu.aggregator", "CPU time, receiver", Section::Cost, Unit::Ns, per("/aggregator_cpu_ns"));
    // Each byte is copied twice: on its way in, and on its way out.
    let copied = per("/bytes_sent").zip(per("/bytes_received")).map(|(sent, received)| sent + received);
    outcome.less("bytes", "bytes copied, in and out", Section::Cost, Unit::Bytes, copied);
    if truth["holds"] != Value::Bool(true) {
        outcome.notes.push("the program's own books do not agree".to_owned());
    }
    outcome
}
