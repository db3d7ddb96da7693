//! Tests that hold for every variant, on both runtimes.

use std::collections::HashSet;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{
    Done, Running, VARIANTS, aggregator, is_gone, leftovers, logagg, number, place, producer, run, scratch,
};

const ZEROS: [&str; 7] =
    ["duplicated", "reordered", "malformed", "corrupt", "truncated", "reconnects", "producers_killed"];

/// Everything sent arrived once, in order, whole; the histograms hold every message.
fn assert_exact(done: &Done, planned: u64, lossy: bool) -> Value {
    assert!(done.status.success(), "{done:?}");
    let truth = done.truth();
    assert_eq!(truth["schema"], "pulse-trace-truth/1");
    assert_eq!((&truth["holds"], &truth["interrupted"]), (&true.into(), &false.into()), "{truth}");
    assert_eq!(number(&truth, "planned"), planned);
    assert_eq!(number(&truth, "sent"), planned);
    for field in ZEROS {
        assert_eq!(number(&truth, field), 0, "{field}: {truth}");
    }
    if !lossy {
        assert_eq!((number(&truth, "received"), number(&truth, "lost")), (planned, 0));
        assert_eq!(number(&truth, "bytes_received"), number(&truth, "bytes_sent"));
    }
    assert_eq!(number(&truth, "received") + number(&truth, "lost"), planned);
    assert_eq!(truth["latency"]["count"], truth["received"]);
    for process in truth["processes"].as_array().unwrap() {
        assert_eq!(process["outcome"], "done");
        assert!(is_gone(u32::try_from(number(process, "pid")).unwrap()));
    }
    truth
}

/// One write per message, each held against its schedule.
fn paced(runtime: &str) {
    for variant in VARIANTS {
        let load = format!("--variant {variant} --rate 100 --messages 10 --producers 3 {runtime}");
        let truth = assert_exact(&run(&load), 30, false);
        assert_eq!(truth["variant"], variant);
        assert_eq!(number(&truth, "writes"), 30, "{variant}");
        assert!(number(&truth, "reads") <= 30);
        assert_eq!(truth["lag"]["count"], 30);
        assert!(number(&truth, "producers_cpu_ns") > 0 && number(&truth, "aggregator_cpu_ns") > 0);
    }
}

#[test]
fn paced_on_tokio() {
    paced("");
}

#[test]
fn paced_on_threads() {
    paced("--blocking");
}

/// A full link makes a reliable variant wait, and an unreliable one lose what the kernel then owns up to.
fn flooded(runtime: &str) {
    for variant in VARIANTS {
        let load = format!("--variant {variant} --flood --messages 2000 --producers 3 {runtime}");
        let truth = assert_exact(&run(&load), 6000, variant == "udp");
        if variant == "udp" {
            assert_eq!(truth["lost"], truth["kernel_drops"], "{truth}");
        }
        assert_eq!(truth["rate"], Value::Null);
        assert_eq!(truth["send"]["count"], 6000);
    }
}

#[test]
fn flooded_on_tokio() {
    flooded("");
}

#[test]
fn flooded_on_threads() {
    flooded("--blocking");
}

#[test]
fn a_small_udp_buffer_loses_and_says_how_much() {
    let load = "--variant udp --flood --messages 5000 --producers 2 --buffer 2048";
    let truth = assert_exact(&run(load), 10_000, true);
    assert!(number(&truth, "lost") > 0, "{truth}");
    assert_eq!(truth["lost"], truth["kernel_drops"]);
}

#[test]
fn long_messages_survive_partial_reads_and_writes() {
    for variant in ["unixsock", "tcp", "pipe", "fifo"] {
        for runtime in ["--workers 2", "--blocking"] {
            // Far beyond any pipe or socket buffer; one writer, since shared pipes keep only short writes whole.
            let load =
                format!("--variant {variant} --flood --messages 12 --producers 1 --size 700000 {runtime}");
            let truth = assert_exact(&run(&load), 12, false);
            assert!(number(&truth, "reads") > 12, "{variant}: {truth}");
            // A blocking write comes back when all is in; the others are cut at what fits.
            assert!(number(&truth, "writes") >= 12, "{variant}: {truth}");
        }
    }
}

#[test]
fn batches_save_writes_on_every_variant() {
    for variant in VARIANTS {
        let load = format!("--variant {variant} --flood --messages 100 --producers 2 --batch 8 --size 20");
        let truth = assert_exact(&run(&load), 200, variant == "udp");
        // Twelve full batches and a rest of four, twice; a stream may cut one.
        assert!((26..60).contains(&number(&truth, "writes")), "{variant}: {truth}");
    }
}

#[test]
fn dropping_when_full_counts_what_it_drops() {
    for link in ["unixgram", "mqueue", "shm", "fifo", "seqpacket"] {
        for runtime in ["--blocking", "--workers 1"] {
            let mut aggregator = aggregator(link, &place(link), runtime);
            let at = aggregator.listening();
            // No process empties the link, so it must get full.
            aggregator.signal(Signal::STOP);
            let load = format!("--flood --messages 20000 --drop-when-full {runtime}");
            let done = producer(link, &at, &load).finish();
            assert!(done.status.success(), "{link}: {done:?}");
            let sent = done.truth();
            assert!(number(&sent, "dropped") > 0, "{link}: {sent}");
            assert_eq!(number(&sent, "sent") + number(&sent, "dropped"), 20_000);
            aggregator.signal(Signal::CONT);
            aggregator.signal(Signal::TERM);
            let got = aggregator.finish().truth();
            assert_eq!(got["producers"][0]["received"], sent["sent"], "{link}: {got}");
        }
    }
}

#[test]
fn rounds_and_warm_up_are_counted_apart() {
    let load = "--variant seqpacket --flood --messages 50 --producers 2 --warmup 20 --rounds 3";
    let truth = assert_exact(&run(load), 300, false);
    assert_eq!((number(&truth, "warmups_sent"), number(&truth, "warmups_received")), (120, 120));
    assert_eq!(number(&truth, "writes"), 420);
    let rounds = truth["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    assert!(rounds.iter().all(|round| number(round, "received") == 100 && number(round, "lost") == 0));
}

#[test]
fn the_output_file_holds_every_message_and_nothing_else() {
    let path = scratch();
    let load = "run --json --variant fifo --flood --messages 200 --producers 4 --warmup 5";
    assert_exact(&logagg(&format!("{load} --output {path}")), 800, false);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut seen = HashSet::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        assert_eq!(message["message"].as_str().unwrap().len(), 100);
        assert!(seen.insert((message["source"].to_string(), number(&message, "seq"))));
    }
    assert_eq!(seen.len(), 800);
}

#[test]
fn the_table_names_the_verdict_and_nothing_is_left_behind() {
    let running = Running::start("run --flood --messages 20 --pin 0 --output none");
    let pid = running.pid();
    let done = running.finish();
    assert!(done.status.success(), "{done:?}");
    assert!(done.stdout.contains("every message is accounted for"), "{}", done.stdout);
    assert!(done.stdout.contains("received                100"), "{}", done.stdout);
    assert_eq!(done.stderr, "");
    assert_eq!(leftovers(pid), Vec::<String>::new());
}
