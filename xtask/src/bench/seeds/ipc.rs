//! System calls and latencies of producers over five ways of inter-process communication.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    Lab,
    read::Comparison,
    rows::{NONE, histograms, plain, row, table, time},
};

const WAYS: [&str; 5] = ["unixsock", "tcp", "unixgram", "udp", "fifo"];
/// Published numbers of the producers' calls, by way.
const PUBLISHED: [(&str, [&str; 5]); 9] = [
    ("write", ["250", "250", "250", "250", "250"]),
    ("futex", ["910", "955", "953", "922", "960"]),
    ("epoll_pwait", ["590", "339", "560", "564", "296"]),
    ("nanosleep", ["724", "803", "632", "621", "548"]),
    ("socket", ["5", "5", "5", "5", "-"]),
    ("connect", ["5", "5", "5", "5", "-"]),
    ("setsockopt", ["-", "25", "-", "5", "-"]),
    ("openat", ["35", "35", "35", "35", "40"]),
    ("fcntl", ["30", "30", "30", "30", "40"]),
];
/// Calls whose distributions were published.
const DRAWN: [&str; 3] = ["write", "epoll_wait", "futex"];

/// The producers of one run: calls by name, each with its count and its distribution.
type Calls = BTreeMap<String, (u64, Vec<Value>)>;

/// Measures, and makes the tables of inter-process communication.
pub fn measure(lab: &mut Lab) -> Result<String> {
    let runtimes = [("tokio", vec![]), ("threads", vec!["--blocking"])];
    let mut text = String::new();
    let mut drawn = String::new();
    for (runtime, more) in runtimes {
        let mut all = Vec::new();
        for way in WAYS {
            let options = ["run", "--json", "--output", "none", "--variant", way];
            let words: Vec<&str> = options.iter().chain(&more).copied().collect();
            let (truth, session) = lab.trace("syscalls", "logagg", &words)?;
            all.push(producers(&truth, &session)?);
        }
        text += &counts(runtime, &all);
        drawn += &distributions(runtime, &all);
    }
    lab.ran = vec!["pulse-trace run --probes syscalls --no-stacks -- logagg run --json --output none --variant WAY [--blocking]".to_owned()];
    let found = lab.bench(&["ipc"], &[])?;
    Ok(text + &drawn + &cost(&found))
}

/// Calls of the processes that the truth calls producers.
fn producers(truth: &Value, session: &Value) -> Result<Calls> {
    let pids: Vec<u64> = truth["processes"]
        .as_array()
        .context("cannot tell producers")?
        .iter()
        .filter_map(|it| it["pid"].as_u64())
        .collect();
    let mut calls = Calls::new();
    for process in session["processes"].as_array().into_iter().flatten() {
        if !process["pid"].as_u64().is_some_and(|pid| pids.contains(&pid)) {
            continue;
        }
        for call in process["syscalls"].as_array().into_iter().flatten() {
            // Published figures do not tell operations apart.
            let name = call["call"].as_str().unwrap_or_default().to_owned();
            let entry = calls.entry(name).or_default();
            entry.0 += call["count"].as_u64().unwrap_or_default();
            entry.1.push(call["latency"].clone());
        }
    }
    Ok(calls)
}

fn counts(runtime: &str, all: &[Calls]) -> String {
    let mut names: Vec<(&String, u64)> = Vec::new();
    for (name, (count, _)) in all.iter().flatten() {
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, most)) => *most = (*most).max(*count),
            None => names.push((name, *count)),
        }
    }
    names.sort_by_key(|(name, most)| (std::cmp::Reverse(*most), *name));
    let row = |(name, _): &(&String, u64)| {
        let cells =
            all.iter().map(|calls| calls.get(*name).map_or_else(|| NONE.to_owned(), |it| it.0.to_string()));
        std::iter::once(format!("`{name}`")).chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = names.iter().map(row).collect();
    for (name, values) in PUBLISHED {
        rows.push(std::iter::once(format!("published: `{name}`")).chain(values.map(str::to_owned)).collect());
    }
    let head: Vec<&str> = std::iter::once("").chain(WAYS).collect();
    format!(
        "\n### System calls of five producers with 50 messages each, on {runtime}\n\n{}",
        table(&head, &rows)
    )
}

fn distributions(runtime: &str, all: &[Calls]) -> String {
    let mut text = String::new();
    for name in DRAWN {
        let sums: Vec<Option<Value>> =
            all.iter().map(|calls| calls.get(name).map(|(_, them)| merged(them))).collect();
        if sums.iter().all(Option::is_none) {
            continue;
        }
        let named: Vec<(&str, Option<&Value>)> =
            WAYS.into_iter().zip(sums.iter().map(Option::as_ref)).collect();
        text += &format!(
            "\n### Time in `{name}`, producers on {runtime}\n\n{}",
            histograms("took", &named, time)
        );
    }
    text
}

/// Several distributions as one.
fn merged(them: &[Value]) -> Value {
    let buckets = them.iter().filter_map(|it| it["buckets"].as_array()).flatten().cloned();
    serde_json::json!({ "buckets": buckets.collect::<Vec<Value>>() })
}

fn cost(found: &Comparison) -> String {
    let per = |name: &str, key: &str, shown: fn(f64) -> String| row(name, found, &WAYS, key, shown);
    let rows = [
        per("messages per second (paced)", "throughput", plain),
        per("end to end, mean", "latency.mean", time),
        per("end to end, p50", "latency.p50", time),
        per("end to end, p99", "latency.p99", time),
        per("system calls", "syscalls", plain),
        per("time in system calls", "syscall.time", time),
        per("context switches", "switches", plain),
        per("wakeups", "wakeups", plain),
        per("from wakeup to running, p50", "wakeup.p50", time),
        per("from wakeup to running, p99", "wakeup.p99", time),
        per("CPU time, senders", "cpu.producers", time),
        per("CPU time, receiver", "cpu.aggregator", time),
        per("messages lost, per round", "lost", plain),
        per("messages reordered, per round", "reordered", plain),
        per("bytes copied, in and out", "bytes", plain),
        per("of the mean: sender call", "anatomy.sender_call", time),
        per("of the mean: blocked", "anatomy.blocked", time),
        per("of the mean: run queue", "anatomy.run_queue", time),
        per("of the mean: receiver call", "anatomy.receiver_call", time),
        per("of the mean: user code", "anatomy.user_code", time),
    ];
    let head: Vec<&str> = std::iter::once("per message").chain(WAYS).collect();
    format!(
        "\n### What a message costs, on threads\n\n{}\nSigns: `~` not told apart from unixsock, `=` all rounds agree.\n",
        table(&head, &rows)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_producers_are_counted() {
        let truth = json!({"processes": [{"pid": 7}, {"pid": 8}]});
        let call =
            |count: u64| json!({"call": "write", "count": count, "latency": {"buckets": [[4, 5, count]]}});
        let session = json!({"processes": [
            {"pid": 6, "syscalls": [call(100)]}, {"pid": 7, "syscalls": [call(2)]}, {"pid": 8, "syscalls": [call(3)]},
        ]});
        let calls = producers(&truth, &session).unwrap();
        assert_eq!(calls["write"].0, 5);
        assert_eq!(merged(&calls["write"].1)["buckets"], json!([[4, 5, 2], [4, 5, 3]]));
        assert!(counts("tokio", &[calls]).contains("| `write` | 5 |"));
    }
}
