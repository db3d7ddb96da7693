//! Ready before the first message, go before the work.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Held, number, producer, scratch};

#[test]
fn nothing_is_sent_between_ready_and_go() {
    for variant in ["unixsock", "udp", "pipe", "shm-futex"] {
        let output = scratch();
        let load = "run --json --flood --messages 20 --producers 2";
        let mut held = Held::start(&format!("{load} --variant {variant} --output {output}"));
        held.wait_ready();
        thread::sleep(Duration::from_millis(200));
        let before = pulse_trace_workloads::contract::now_ns();
        held.go();
        let done = held.running.finish();
        assert!(done.status.success(), "{done:?}");
        assert_eq!(number(&done.truth(), "received"), 40);
        let text = std::fs::read_to_string(&output).unwrap();
        std::fs::remove_file(&output).unwrap();
        for line in text.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            assert!(number(&message, "sent_ns") >= before, "{variant}");
        }
    }
}

#[test]
fn a_tracer_that_leaves_without_a_go_is_told() {
    let mut held = Held::start("run --json --flood --output none");
    held.wait_ready();
    held.leave();
    let done = held.running.finish();
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(done.stderr.contains("cannot wait for the go"), "{done:?}");
}

#[test]
fn a_stop_while_waiting_for_the_go_reports_that_nothing_was_done() {
    let mut held = Held::start("run --json --flood --output none");
    held.wait_ready();
    held.running.signal(Signal::TERM);
    let done = held.running.finish();
    assert!(done.status.success(), "{done:?}");
    let truth = done.truth();
    assert_eq!((number(&truth, "sent"), &truth["interrupted"]), (0, &true.into()));
}

#[test]
fn an_aggregator_is_ready_when_those_it_expects_are_there() {
    for runtime in ["--blocking", "--workers 1"] {
        let aggregator = |expect: u32| {
            let words =
                format!("aggregator --json --output none --at {} --expect {expect} {runtime}", scratch());
            Held::start(&words)
        };
        let mut open = aggregator(0);
        open.wait_ready();
        open.running.signal(Signal::TERM);
        assert!(open.running.finish().status.success());
        let mut closed = aggregator(1);
        let at = closed.running.listening();
        assert!(producer("unixsock", &at, "--flood").finish().status.success());
        closed.wait_ready();
        assert_eq!(closed.running.finish().truth()["producers"][0]["received"], 50);
    }
}
