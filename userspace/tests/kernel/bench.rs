//! Benchmarks side by side, with real programs: known differences are found, and what a message's time is made of adds
//! up.

use std::{fs, time::Duration};

use rustix::process::Signal;
use views::compare::json::{Comparison, Verdict};

use crate::support::{Tool, built, within};

fn bench(arguments: &[&str]) -> Comparison {
    let tool = Tool::start(["bench"].iter().chain(arguments));
    let (status, out, err) = tool.end();
    assert!(status.success(), "{err}");
    serde_json::from_str(&out).unwrap()
}

fn difference(comparison: &Comparison, key: &str) -> views::compare::json::Difference {
    let row = comparison.rows.iter().find(|row| row.key == key);
    row.unwrap_or_else(|| panic!("no {key}")).differences[1].unwrap()
}

/// A tenth more calls, of a program that makes as many each time.
#[test]
fn a_tenth_more_calls_is_found_in_four_rounds_and_not_claimed_in_three() {
    let dd = |count: u32| format!("exec dd if=/dev/zero of=/dev/null bs=1 count={count} 2>/dev/null");
    let of =
        |rounds: &str| bench(&["cmd", "--rounds", rounds, "--json", "-", "--", &dd(1000), "--", &dd(1100)]);
    let few = of("3");
    let undecided = difference(&few, "read.count");
    assert_eq!((undecided.absolute, undecided.verdict), (100.0, Verdict::Undecided));
    assert_eq!((undecided.more_rounds, few.method.least_rounds), (Some(1), 4));
    let found = of("4");
    for key in ["read.count", "write.count"] {
        let difference = difference(&found, key);
        assert_eq!((difference.absolute, difference.verdict), (100.0, Verdict::Worse), "{key}");
    }
    assert_eq!(found.columns.iter().map(|column| column.rounds.len()).collect::<Vec<_>>(), [4, 4]);
    assert!(found.columns.iter().all(|column| column.untraced.is_some()) && found.finished);
    let mut positions: Vec<u32> =
        found.columns.iter().flat_map(|column| &column.rounds).map(|round| round.position).collect();
    positions.extend(found.columns.iter().filter_map(|column| Some(column.untraced.as_ref()?.position)));
    positions.sort_unstable();
    assert_eq!(positions, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/// A sleep is never shorter than asked for, and a busy machine makes both longer alike. A CPU that has been idle for
/// longer may wake a little later: so much the true difference is more than what was asked for.
#[test]
fn a_longer_sleep_is_found_and_the_truth_lies_in_its_interval() {
    let found =
        bench(&["cmd", "--rounds", "4", "--json", "-", "--", "exec sleep 0.1", "--", "exec sleep 0.4"]);
    let slept = difference(&found, "clock_nanosleep.mean");
    let later = 1e6;
    assert!(slept.low.unwrap() <= 300e6 + later && slept.high.unwrap() >= 300e6 - later, "{slept:?}");
    assert!(slept.absolute > 200e6, "{slept:?}");
}

#[test]
fn the_anatomy_of_every_way_adds_up_to_the_mean_time_end_to_end() {
    built("logagg");
    let ways = "unixsock,tcp,unixgram,udp,fifo,pipe,seqpacket,mqueue,shm,shm-futex";
    let options = ["--rounds", "1", "--no-warmup", "--json", "-", "--", "--messages", "40"];
    let found = bench(&[["ipc", "--variants", ways].as_slice(), options.as_slice()].concat());
    assert_eq!(found.columns.len(), 10);
    for column in &found.columns {
        let anatomy =
            column.anatomy.as_ref().unwrap_or_else(|| panic!("{}: {:?}", column.label, column.notes));
        assert!((98.0..=102.0).contains(&anatomy.explained_percent), "{}: {anatomy:?}", column.label);
        assert!(anatomy.parts.iter().all(|part| part.ns >= 0.0), "{}: {anatomy:?}", column.label);
        let parts: f64 = anatomy.parts.iter().map(|part| part.ns).sum();
        let shown: f64 = column.rounds[0].values["latency.mean"];
        assert!((parts - shown).abs() <= 0.02 * shown, "{}: {parts} of {shown}", column.label);
    }
}

#[test]
fn roles_are_measured_apart_by_their_names_and_add_up() {
    built("logagg");
    let options = ["--rounds", "1", "--no-warmup", "--by-name", "--json", "-", "--", "--messages", "40"];
    let found = bench(&[["ipc", "--variants", "pipe,unixsock"].as_slice(), options.as_slice()].concat());
    for column in &found.columns {
        let values = &column.rounds[0].values;
        // 5 producers x 40 messages, and what each says of itself at its end.
        let written = values["logagg-producer:write.count"] * 200.0;
        assert!((written - 205.0).abs() < 0.5, "{}: {written}", column.label);
        let by_role = values.iter().filter(|(key, _)| key.ends_with(":write.count"));
        let sum: f64 = by_role.map(|(_, value)| value).sum();
        assert!((sum - values["write.count"]).abs() < 1e-6, "{}: {values:?}", column.label);
        assert!(values["logagg-aggr:wakeup.p50"] > 0.0 && values["logagg-aggr:wakeup.mean"] > 0.0);
    }
}

#[test]
fn an_interrupt_keeps_what_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("rounds");
    let json = directory.path().join("comparison.json");
    let command = format!("echo x >> {}", mark.display());
    let json_name = json.to_str().unwrap();
    let arguments =
        ["bench", "cmd", "--rounds", "10000", "--json", json_name, "--", &command, "--", &command];
    let tool = Tool::start(arguments);
    // Warm-ups first, then at least two rounds of each.
    within(Duration::from_secs(60), "some rounds", || {
        fs::read_to_string(&mark).unwrap_or_default().lines().count() >= 8
    });
    tool.signal(Signal::INT);
    let (status, out, err) = tool.end();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(out.contains("before all rounds were done"), "{out}");
    let kept: Comparison = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert!(!kept.finished);
    assert!(kept.columns.iter().all(|column| column.rounds.len() >= 2), "{:?}", kept.columns.len());
}

/// Two warm-ups, then rounds; from its sixth run on a command fails, in words.
#[test]
fn a_program_that_fails_keeps_what_was_done_and_is_named_with_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("rounds");
    let json = directory.path().join("comparison.json");
    let command = format!(
        "echo x >> {0}; test $(wc -l < {0}) -lt 6 || {{ echo out of luck >&2; exit 7; }}",
        mark.display()
    );
    let mut arguments =
        vec!["bench", "cmd", "--rounds", "9", "--json", json.to_str().unwrap(), "--", &command, "--", "true"];
    let (status, out, err) = Tool::start(arguments.iter().copied()).end();
    assert_eq!(status.code(), Some(2), "{err}");
    for said in [&out, &err] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("exit status: 7, and said: out of luck"), "{said}");
        assert!(said.contains(" of 22)"), "{said}");
    }
    let kept: Comparison = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert!(!kept.finished);
    assert!((3..=5).contains(&kept.columns[0].rounds.len()), "{}", kept.columns[0].rounds.len());
    // The same counts to its end where one wants it to.
    fs::remove_file(&mark).unwrap();
    arguments.splice(2..2, ["--ignore-failure"]);
    let (status, out, err) = Tool::start(arguments.iter().copied()).end();
    assert!(status.success() && out.contains("status 7"), "{out}{err}");
}

#[test]
fn a_bundled_program_that_fails_at_once_leaves_no_table() {
    built("logagg");
    let (status, out, err) =
        Tool::start(["bench", "ipc", "--rounds", "1", "--variants", "pipe", "--", "--size", "1000000"]).end();
    assert_eq!(status.code(), Some(2), "{err}");
    assert!(out.is_empty() && err.contains("(round 1 of 3)") && err.contains("and said: "), "{out}{err}");
}
