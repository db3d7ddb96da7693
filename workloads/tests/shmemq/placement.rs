//! CPUs of the sides: one of their own each, unless told otherwise.

use std::process::Command;

use pulse_trace_testing::need;
use serde_json::Value;

use crate::harness::{Running, alone, shmemq, two_cpus, wait_until};

const LONG: &str = "--mutex lockfree --repetitions 1000000000";

fn allowed(pid: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default().trim().to_owned()
}

/// The CPUs of both sides once they play, as the kernel has them, and what the run tells at its end.
fn placed(command: Command) -> ((String, String), String) {
    let running = Running::new(command);
    let sides = running.sides();
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let named = |role: &str| sides.iter().copied().find(|pid| name(*pid).trim() == format!("shmemq-{role}"));
    // Pinning follows the naming and precedes the first attempt on a queue.
    wait_until("both sides have their names", || named("server").is_some() && named("client").is_some());
    let (server, client) = (named("server").unwrap(), named("client").unwrap());
    let spent = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0)
    };
    wait_until("both sides play", || spent(server) > 50_000_000 && spent(client) > 50_000_000);
    let cpus = (allowed(server), allowed(client));
    running.signal(2);
    let done = running.done();
    assert_eq!(done.code(), Some(0), "{}", done.err);
    (cpus, done.out)
}

#[test]
fn each_side_has_a_cpu_of_its_own_where_there_are_two() {
    let _alone = alone();
    need!(two_cpus().is_some(), "needs two CPUs");
    let ((server, client), out) = placed(shmemq(LONG));
    assert!(server.parse::<u32>().is_ok() && client.parse::<u32>().is_ok(), "{server} {client}");
    assert_ne!(server, client);
    assert!(out.starts_with(&format!("server on CPU {server}, client on CPU {client} ")), "{out}");
    let ((server, client), out) = placed(shmemq(&format!("{LONG} --json")));
    let truth: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(truth["pin"], format!("{server},{client}"));
}

#[test]
fn the_scheduler_places_the_sides_where_it_is_asked_to_or_has_one_cpu() {
    let _alone = alone();
    let ours = allowed(std::process::id().cast_signed());
    let (cpus, out) = placed(shmemq(&format!("{LONG} --no-pin")));
    assert_eq!(cpus, (ours.clone(), ours.clone()));
    assert!(out.starts_with("--no-pin: the scheduler places both sides"), "{out}");

    let first = ours.split([',', '-']).next().unwrap();
    let mut single = Command::new("taskset");
    single.args(["-c", first, env!("CARGO_BIN_EXE_shmemq")]).args(LONG.split(' '));
    let (cpus, out) = placed(single);
    assert_eq!(cpus, (first.to_owned(), first.to_owned()));
    assert!(out.starts_with("one CPU only: the scheduler places both sides"), "{out}");
}

#[test]
fn a_list_and_no_list_exclude_each_other() {
    let _alone = alone();
    let done = crate::harness::run("--pin 0 --no-pin");
    assert_eq!(done.code(), Some(2));
    assert!(done.err.contains("cannot be used with"), "{}", done.err);
}
