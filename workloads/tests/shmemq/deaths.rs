//! Death of a process, in every way: the others end too, in bounded time, with a clear word, and nothing is left.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Running, alive, alone, leftovers, number, run, send, shmemq, wait_until};

const LONG: &str = "--repetitions 1000000000 --json --mutex";
const KILL: i32 = 9;

/// A run with both sides in their loops.
fn busy(mutex: &str) -> (Running, Vec<i32>) {
    let running = Running::new(shmemq(&format!("{LONG} {mutex}")));
    let sides = running.sides();
    // Past set-up and warm-up: it burns CPU time, more than the warm-up takes where another program has half of the
    // CPU.
    wait_until("both sides play", || sides.iter().all(|side| cpu_ticks(*side) >= 20));
    (running, sides)
}

fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[test]
fn an_interrupted_run_still_tells_what_was_done() {
    let _alone = alone();
    for (mutex, signal) in [("plain", 2), ("lockfree", 15)] {
        let (running, sides) = busy(mutex);
        running.signal(signal);
        let done = running.done();
        assert_eq!(done.code(), Some(0), "{}", done.err);
        let truth = done.truth();
        assert_eq!(
            (&truth["interrupted"], &truth["holds"]),
            (&Value::Bool(true), &Value::Bool(true)),
            "{truth}"
        );
        assert!(number(&truth["cells"][0]["completed"]) > 0);
        assert!(sides.iter().all(|side| !alive(*side)));
    }
}

#[test]
fn a_killed_coordinator_takes_both_sides_along() {
    let _alone = alone();
    let (running, sides) = busy("spin");
    running.signal(KILL);
    wait_until("both sides are gone", || sides.iter().all(|side| !alive(*side)));
    assert_eq!(leftovers(), Vec::<String>::new());
}

#[test]
fn a_killed_side_ends_the_run_with_its_name() {
    let _alone = alone();
    for (mutex, victim) in [("adaptive", 0), ("lockfree", 1)] {
        let (running, sides) = busy(mutex);
        send(sides[victim], KILL);
        let done = running.done();
        assert_eq!(done.code(), Some(2), "{}", done.err);
        let pid = format!("(process {}) was killed by signal 9", sides[victim]);
        assert!(done.err.contains("cannot finish the ping-pong") && done.err.contains(&pid), "{}", done.err);
        assert_eq!(done.truth()["holds"], false);
        assert!(sides.iter().all(|side| !alive(*side)));
        assert_eq!(leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_robust_lock_survives_its_owner_and_a_plain_one_does_not() {
    let _alone = alone();
    let crash = "--repetitions 1000 --crash-at 500 --json --mutex";
    let robust = run(&format!("{crash} robust"));
    assert_eq!(robust.code(), Some(2));
    assert_eq!(robust.truth()["cells"][0]["lock"]["owner_deaths"], 1, "{}", robust.out);
    assert_eq!(robust.truth()["cells"][0]["completed"], 500);

    let plain = run(&format!("{crash} plain"));
    assert_eq!(plain.code(), Some(2));
    assert!(plain.err.contains("was blocked in its lock and had to be killed"), "{}", plain.err);

    // A wait of our own can be broken off.
    let futex = run(&format!("{crash} futex"));
    assert!(futex.err.contains("was killed by signal 9") && !futex.err.contains("blocked"), "{}", futex.err);
}

#[test]
fn nothing_starts_before_the_go() {
    let _alone = alone();
    let (ready_in, ready_out) = rustix::pipe::pipe().unwrap();
    let (go_in, go_out) = rustix::pipe::pipe().unwrap();
    let number = |fd: &std::os::fd::OwnedFd| std::os::fd::AsRawFd::as_raw_fd(fd);
    let words = format!(
        "--repetitions 100 --ready-fd {} --go-fd {} --mutex plain --json",
        number(&ready_out),
        number(&go_in)
    );
    let running = Running::new(shmemq(&words));
    // Kept open by no other process: a program that dies instead of saying it ends the read.
    drop((ready_out, go_in));
    let mut word = [0; 6];
    let mut have = 0;
    while have < word.len() {
        let got = rustix::io::read(&ready_in, &mut word[have..]).unwrap();
        assert_ne!(got, 0, "it ended before it was ready");
        have += got;
    }
    assert_eq!(&word, b"ready\n");
    let sides = running.sides();
    let before: Vec<_> = sides.iter().map(|side| cpu_ticks(*side)).collect();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(
        sides.iter().map(|side| cpu_ticks(*side)).collect::<Vec<_>>(),
        before,
        "it plays without a go"
    );
    rustix::io::write(&go_out, b"!").unwrap();
    let done = running.done();
    assert_eq!(
        (done.code(), &done.truth()["cells"][0]["completed"]),
        (Some(0), &Value::from(100)),
        "{}",
        done.err
    );
}

#[test]
fn a_tracer_that_goes_away_is_no_go() {
    let _alone = alone();
    let mut command = Command::new("sh");
    let line = format!("exec {} --repetitions 10 --go-fd 3 3</dev/null", env!("CARGO_BIN_EXE_shmemq"));
    command.args(["-c", &line]);
    let done = Running::new(command).done();
    assert_eq!(done.code(), Some(2));
    assert!(done.err.contains("cannot wait for the go"), "{}", done.err);
}
