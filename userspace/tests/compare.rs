//! `compare` from outside: what it says of files that can be compared, and how it refuses those that cannot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use model::synthetic::{self, Shape};
use serde_json::{Value, json};
use views::{export::json::encode, files, record::Recorder};

fn compare(arguments: &[&str]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    tool.arg("compare").args(arguments).env("NO_COLOR", "1").output().unwrap()
}

fn export(seed: u64) -> Value {
    serde_json::from_slice(&encode(&synthetic::session(seed, Shape::default())).unwrap()).unwrap()
}

fn write(directory: &Path, name: &str, value: &Value) -> String {
    let path = directory.join(name);
    fs::write(&path, value.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A refusal: exit code 2, the reason by name, nothing on standard output.
fn refused(arguments: &[&str], reason: &str) {
    let output = compare(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(reason), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_recording_and_its_export_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let shape = Shape::default();
    let recording = directory.path().join("a.rec");
    let file = files::create(&recording).unwrap();
    let mut recorder = Recorder::begin(file, &synthetic::header(shape)).unwrap();
    synthetic::frames(7, shape).iter().for_each(|frame| recorder.frame(frame).unwrap());
    recorder.finish().unwrap();
    let exported = write(directory.path(), "b.json", &export(7));
    let output = compare(&[recording.to_str().unwrap(), &exported, "--json", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        assert_eq!(row["differences"][1]["absolute"], 0.0, "{}", row["key"]);
    }
}

#[test]
fn rounds_of_one_label_decide_and_a_threshold_fails() {
    let directory = tempfile::tempdir().unwrap();
    let named = |nth: usize, factor: u64| {
        let mut value = export(7);
        for call in value["processes"].as_array_mut().unwrap().iter_mut().flat_map(calls) {
            let count = call["count"].as_u64().unwrap();
            call["count"] = (count * factor + nth as u64).into();
        }
        write(directory.path(), &format!("{factor}-{nth}.json"), &value)
    };
    let given: Vec<String> = (0..5)
        .flat_map(|nth| [format!("old={}", named(nth, 10)), format!("new={}", named(nth, 11))])
        .collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let with = |more: &[&str]| compare(&[given.as_slice(), more].concat());
    let shown = with(&["--match-all", "--csv"]);
    let table = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        table.lines().any(|line| line.starts_with("syscalls,cost,count,new,") && line.contains(",worse,")),
        "{table}"
    );
    assert_eq!(with(&["--match-all", "--fail-if", "syscalls > +5%"]).status.code(), Some(1));
    assert_eq!(with(&["--match-all", "--fail-if", "syscalls > +15%"]).status.code(), Some(0));
    assert_eq!(with(&["--match-all", "--fail-if", "nothing > 1"]).status.code(), Some(2));
    // A condition that two rounds of each cannot cross is no condition.
    let few = [&given[..4], &["--match-all", "--fail-if", "syscalls > +5%"]].concat();
    refused_after_the_table(&few, "2 and 2 rounds are too few to cross it");
}

/// Exit code 2 with the reason; the table is there all the same.
fn refused_after_the_table(arguments: &[&str], reason: &str) {
    let output = compare(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(reason), "{said}");
    assert!(!output.stdout.is_empty());
}

/// The same program for ten seconds and for four minutes: 24 times the calls, and no difference.
#[test]
fn totals_of_unequal_sessions_are_refused_and_their_rates_compared() {
    let directory = tempfile::tempdir().unwrap();
    let session = |name: &str, seconds: u64| {
        let mut value = export(7);
        value["session"]["duration_ns"] = (seconds * 1_000_000_000).into();
        for call in value["processes"].as_array_mut().unwrap().iter_mut().flat_map(calls) {
            call["count"] = (seconds * 100).into();
        }
        write(directory.path(), name, &value)
    };
    let (short, long) = (session("short.json", 10), session("long.json", 240));
    fn and<'a>(files: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
        [&files, ["--match-all"].as_slice(), more].concat()
    }
    let files = [short.as_str(), long.as_str()];
    let with = |more| and(files, more);
    let found: Value = serde_json::from_slice(&compare(&with(&["--json", "-"])).stdout).unwrap();
    let row = |key: &str| found["rows"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap();
    assert_eq!(row("syscalls")["differences"], json!([null, null]));
    assert_eq!(row("syscalls.rate")["differences"][1]["absolute"], 0.0);
    assert_eq!(found["uneven"], "the sessions lasted from 10.0s to 240s");
    let walls: Vec<&Value> =
        found["columns"].as_array().unwrap().iter().map(|it| &it["rounds"][0]["wall_ns"]).collect();
    assert_eq!(walls, [&json!(10_000_000_000u64), &json!(240_000_000_000u64)]);
    let shown = String::from_utf8(compare(&with(&[])).stdout).unwrap();
    assert!(shown.contains("durations: short 10.0s, long 240s"), "{shown}");
    assert!(shown.contains("system calls per second") && !shown.contains("  system calls  "), "{shown}");
    refused_after_the_table(&with(&["--fail-if", "syscalls > +10%"]), "check \"syscalls.rate\"");
    assert_eq!(compare(&with(&["--fail-if", "syscalls.rate > +10%"])).status.code(), Some(0));
}

fn calls(process: &mut Value) -> Vec<&mut Value> {
    process["syscalls"].as_array_mut().unwrap().iter_mut().collect()
}

#[test]
fn what_cannot_be_compared_is_refused_by_name_of_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let good = write(directory.path(), "good.json", &export(1));
    let changed = |name: &str, change: fn(&mut Value)| {
        let mut value = export(1);
        change(&mut value);
        write(directory.path(), name, &value)
    };
    let cases: [(String, &str); 7] = [
        (
            changed("schema.json", |it| it["schema"] = "pulse-trace/9".into()),
            "it is of schema \"pulse-trace/9\"",
        ),
        (changed("probes.json", |it| it["session"]["probes"] = json!(["syscalls"])), "their probes differ"),
        (changed("arch.json", |it| it["host"]["arch"] = "riscv64".into()), "other system calls"),
        (changed("empty.json", |it| it["processes"] = json!([])), "it holds no process"),
        (
            changed("names.json", |it| {
                let processes = it["processes"].as_array_mut().unwrap();
                processes.iter_mut().for_each(|process| process["comm"] = "stranger".into());
            }),
            "no process of the same name",
        ),
        (
            changed("geometry.json", |it| {
                let bucket = first_bucket(it);
                *bucket = json!([bucket[0], bucket[0].as_u64().unwrap() + 1_000_000, bucket[2]]);
            }),
            "another geometry",
        ),
        (
            changed("sum.json", |it| {
                let bucket = first_bucket(it);
                *bucket = json!([bucket[0], bucket[1], 1u64 << 62]);
            }),
            "does not add up",
        ),
    ];
    for (bad, reason) in &cases {
        refused(&[&good, bad], reason);
    }
    refused(&[&good], "a single file");
    refused(&[&good, "/nonexistent"], "cannot read /nonexistent");
    refused(&[&good, &good, "--match", "nobody"], "no process named \"nobody\"");
    refused(&[&good, &good, "--reference", "x"], "there is no such label");
    refused(&[&good, &good, "--fail-if", "write"], "neither < nor >");
}

fn first_bucket(export: &mut Value) -> &mut Value {
    let processes = export["processes"].as_array_mut().unwrap();
    let mut calls = processes.iter_mut().flat_map(|it| it["syscalls"].as_array_mut().unwrap());
    calls.find_map(|call| call["latency"]["buckets"].as_array_mut().unwrap().first_mut()).unwrap()
}

#[test]
fn damaged_files_are_refused_wherever_they_are_cut() {
    let directory = tempfile::tempdir().unwrap();
    let good = write(directory.path(), "good.json", &export(1));
    let text = fs::read(&good).unwrap();
    let cut = directory.path().join("cut.json");
    for share in [0.0, 0.1, 0.5, 0.9, 0.999] {
        fs::write(&cut, &text[..(text.len() as f64 * share) as usize]).unwrap();
        refused(&[&good, cut.to_str().unwrap()], "cannot read");
    }
    fs::write(&cut, [b"{\"schema\":\"pulse-trace/1\"".as_slice(), &[0xff, 0, 7]].concat()).unwrap();
    refused(&[&good, cut.to_str().unwrap()], "damaged");
}
