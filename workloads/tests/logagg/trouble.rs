//! Processes that die at the wrong moment: a clear outcome, and nothing hangs or stays.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use pulse_trace_workloads::ring::SharedRing;
use rustix::process::Signal;
use serde_json::Value;

use super::support::{
    Held, VARIANTS, aggregator, eventually, is_gone, leftovers, logagg, number, place, producer, run,
    scratch, signal_pid, writes_of,
};

/// Both runtimes; tests of many variants take turns.
const RUNTIMES: [&str; 2] = ["--blocking", "--workers 2"];

fn line(seq: u64) -> String {
    let letters: String = (0..5u64).map(|nth| char::from(b'A' + ((seq + nth) % 26) as u8)).collect();
    format!(
        r#"{{"source":"producer-9","pid":1,"seq":{seq},"of":3,"sent_ns":1,"level":"INFO","message":"{letters}"}}"#
    ) + "\n"
}

#[test]
fn a_producer_that_dies_in_the_middle_of_a_message_costs_that_message_only() {
    for runtime in RUNTIMES {
        let at = scratch();
        let mut aggregator = aggregator("unixsock", &at, &format!("--expect 2 {runtime}"));
        aggregator.listening();
        let mut first = UnixStream::connect(&at).unwrap();
        first.write_all(line(0).as_bytes()).unwrap();
        first.write_all(&line(1).as_bytes()[..30]).unwrap();
        drop(first);
        let mut second = UnixStream::connect(&at).unwrap();
        second.write_all(line(2).as_bytes()).unwrap();
        second.write_all(b"no message\n").unwrap();
        drop(second);
        let done = aggregator.finish();
        let truth = done.truth();
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert_eq!((number(&truth, "truncated"), number(&truth, "malformed")), (1, 1), "{truth}");
        assert_eq!(truth["producers"][0]["received"], 2);
        assert_eq!((&truth["holds"], &truth["error"]), (&false.into(), &Value::Null));
    }
}

#[test]
fn a_killed_producer_is_named_and_the_others_are_complete() {
    for variant in ["unixsock", "fifo", "mqueue", "shm", "shm-futex"] {
        let load = "run --json --output none --rate 50 --messages 100000 --producers 3";
        let running = Held::at_work(&format!("{load} --variant {variant}"));
        let victim = running.workers()[2];
        signal_pid(victim, Signal::KILL);
        running.signal(Signal::INT);
        let done = running.finish();
        assert_eq!(done.status.code(), Some(1), "{variant}: {done:?}");
        let truth = done.truth();
        assert_eq!((number(&truth, "producers_killed"), &truth["holds"]), (1, &false.into()));
        for process in truth["processes"].as_array().unwrap() {
            if number(process, "pid") == u64::from(victim) {
                assert_eq!((&process["outcome"], &process["sent"]), (&"signal 9".into(), &Value::Null));
            } else {
                assert_eq!(process["outcome"], "done", "{variant}: {truth}");
                assert_eq!(process["received"], process["sent"], "{variant}: {truth}");
            }
        }
    }
}

#[test]
fn a_killed_aggregator_ends_the_run_with_a_clear_error() {
    for (nth, variant) in VARIANTS.into_iter().enumerate() {
        let load = "run --output none --rate 50 --messages 500 --producers 2";
        let running = Held::at_work(&format!("{load} --variant {variant} {}", RUNTIMES[nth % 2]));
        let (pid, workers) = (running.pid(), running.workers());
        signal_pid(workers[0], Signal::KILL);
        let done = running.finish();
        assert_eq!(done.status.code(), Some(2), "{variant}: {done:?}");
        assert!(done.stderr.contains("cannot count what was received"), "{variant}: {done:?}");
        assert!(workers.into_iter().all(is_gone));
        assert_eq!(leftovers(pid), Vec::<String>::new());
    }
}

#[test]
fn a_restarted_aggregator_gets_the_rest() {
    for (nth, variant) in ["unixsock", "fifo", "tcp", "seqpacket", "unixgram"].into_iter().enumerate() {
        let runtime = RUNTIMES[nth % 2];
        let mut first = aggregator(variant, &place(variant), runtime);
        let at = first.listening();
        let load = format!("--rate 200 --messages 100000 --patience 20s {runtime}");
        let producer = producer(variant, &at, &load);
        eventually("it sends", || writes_of(producer.pid()) > 10);
        // It leaves its name behind; the next one must cope.
        first.signal(Signal::KILL);
        drop(first);
        let mut second = aggregator(variant, &at, &format!("--expect 1 --quiet 300ms {runtime}"));
        assert_eq!(second.listening(), at);
        let before = writes_of(producer.pid());
        eventually("it goes on", || writes_of(producer.pid()) > before + 10);
        producer.signal(Signal::INT);
        let done = producer.finish();
        assert!(done.status.success(), "{variant}: {done:?}");
        let sent = done.truth();
        // The same FIFO again, and what was in it: its writer need not even notice.
        let fifo = variant == "fifo";
        assert!(fifo || number(&sent, "reconnects") >= 1, "{variant}: {sent}");
        let got = second.finish().truth();
        let seen = &got["producers"][0];
        // It came late, so it need not have everything; but it has the last message.
        assert_eq!(
            (&seen["next"], number(seen, "duplicated")),
            (&sent["sent"], 0),
            "{variant}: {got} {sent}"
        );
        assert!((1..=number(&sent, "sent")).contains(&number(seen, "received")), "{variant}: {got}");
    }
}

#[test]
fn messages_in_shared_memory_outlive_the_aggregator() {
    let at = place("shm");
    let mut first = aggregator("shm", &at, "");
    first.listening();
    first.signal(Signal::KILL);
    drop(first);
    let sent = producer("shm", &at, "--flood --messages 40").finish();
    assert!(sent.status.success(), "{sent:?}");
    let got = aggregator("shm", &at, "--expect 1").finish();
    assert!(got.status.success(), "{got:?}");
    assert_eq!(got.truth()["producers"][0]["received"], 40);
    assert!(!Path::new(&at).exists());
}

/// The name of the next test, and the variable that makes a second process of it the victim.
const DIES: &str = "trouble::a_producer_that_dies_inside_a_push_costs_that_message_only";
const RING: &str = "LOGAGG_TEST_RING";

#[test]
fn a_producer_that_dies_inside_a_push_costs_that_message_only() {
    if let Ok(at) = std::env::var(RING) {
        die_inside_a_push(&at);
    }
    for variant in ["shm", "shm-futex"] {
        let at = place(variant);
        let mut aggregator = aggregator(variant, &at, "");
        aggregator.listening();
        let this = std::env::current_exe().unwrap();
        let victim = Command::new(this).args([DIES, "--exact"]).env(RING, &at).output().unwrap();
        assert_eq!(victim.status.signal(), Some(6), "{victim:?}");
        // Stalled behind the dead producer's slot until its death is proven.
        let sent = producer(variant, &at, "--flood --messages 30").finish();
        assert!(sent.status.success(), "{sent:?}");
        thread::sleep(Duration::from_millis(200));
        aggregator.signal(Signal::TERM);
        let truth = aggregator.finish().truth();
        assert_eq!(number(&truth, "truncated"), 1, "{variant}: {truth}");
        let received: Vec<_> =
            truth["producers"].as_array().unwrap().iter().map(|p| number(p, "received")).collect();
        assert_eq!(received, [30, 1], "{truth}");
    }
}

fn die_inside_a_push(at: &str) -> ! {
    let file = File::options().read(true).write(true).open(at).unwrap();
    let mut producer = SharedRing::attach(&file).unwrap().producer(9).unwrap();
    producer.try_push(line(0).as_bytes()).unwrap();
    producer.abandon().unwrap();
    std::process::abort();
}

#[test]
fn silence_ends_an_aggregator_that_expects_more() {
    let at = place("mqueue");
    let mut aggregator = aggregator("mqueue", &at, "--expect 2 --quiet 200ms");
    aggregator.listening();
    assert!(producer("mqueue", &at, "--flood --messages 1").finish().status.success());
    let truth = aggregator.finish().truth();
    assert_eq!(truth["producers"][0]["received"], 1);
}

#[test]
fn a_fifo_survives_all_its_writers() {
    for runtime in RUNTIMES {
        let at = scratch();
        let mut aggregator = aggregator("fifo", &at, runtime);
        aggregator.listening();
        for id in 0..3 {
            let done = producer("fifo", &at, &format!("--flood --messages 10 --id {id} {runtime}")).finish();
            assert!(done.status.success(), "{done:?}");
            thread::sleep(Duration::from_millis(30));
        }
        aggregator.signal(Signal::INT);
        let done = aggregator.finish();
        assert!(done.status.success(), "{done:?}");
        let truth = done.truth();
        assert_eq!(truth["interrupted"], true);
        let producers = truth["producers"].as_array().unwrap();
        let received: Vec<_> = producers.iter().map(|seen| number(seen, "received")).collect();
        assert_eq!(received, [10, 10, 10]);
        assert!(!Path::new(&at).exists());
    }
}

#[test]
fn control_c_ends_a_run_early_and_prints_what_was_done() {
    for (nth, variant) in VARIANTS.into_iter().enumerate() {
        let load = "run --json --output none --rate 100 --messages 100000 --producers 2";
        let running = Held::at_work(&format!("{load} --variant {variant} {}", RUNTIMES[nth % 2]));
        running.signal(Signal::INT);
        let done = running.finish();
        assert!(done.status.success(), "{variant}: {done:?}");
        let truth = done.truth();
        assert_eq!((&truth["interrupted"], &truth["holds"]), (&true.into(), &true.into()), "{truth}");
        assert_eq!(truth["sent"], truth["received"], "{variant}");
    }
}

#[test]
fn a_killed_run_takes_its_workers_along_and_leaves_no_names() {
    for (nth, variant) in VARIANTS.into_iter().enumerate() {
        let load = "run --output none --rate 10 --messages 10000 --producers 2";
        let running = Held::at_work(&format!("{load} --variant {variant} {}", RUNTIMES[nth % 2]));
        let (pid, workers) = (running.pid(), running.workers());
        assert_eq!(workers.len(), 3);
        running.signal(Signal::KILL);
        drop(running);
        eventually("the workers are gone", || workers.iter().all(|pid| is_gone(*pid)));
        assert_eq!(leftovers(pid), Vec::<String>::new(), "{variant}");
    }
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next() {
    // A name of a process that cannot exist any more: pid 1 started at boot, not at tick 1.
    let stale = std::env::temp_dir().join("pulse-trace.logagg.1-1.0");
    std::fs::write(&stale, "").unwrap();
    assert!(run("--flood --messages 1 --producers 1").status.success());
    assert!(!stale.exists());
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_says_so() {
    let done = logagg("run --json --output none --rate 10 --messages 1000 --timeout 300ms");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let truth = done.truth();
    assert_eq!((&truth["timed_out"], &truth["sent"]), (&true.into(), &truth["received"]));
}
