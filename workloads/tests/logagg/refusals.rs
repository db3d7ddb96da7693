//! Bad input, and a world that is not as it should be: a clear error, exit status 2.

use pulse_trace_testing::need;
use rustix::process::Signal;

use super::support::{Done, VARIANTS, aggregator, logagg, number, place, producer, scratch};

fn refused(words: &str) -> Done {
    let done = logagg(words);
    assert_eq!(done.status.code(), Some(2), "{words}: {done:?}");
    assert_eq!(done.stdout, "", "{words}");
    done
}

fn says(done: &Done, texts: &[&str]) {
    for text in texts {
        assert!(done.stderr.contains(text), "`{text}` is missing: {}", done.stderr);
    }
}

#[test]
fn bad_usage_is_refused_before_anything_runs() {
    let run = |words: &str| refused(&format!("run --output none {words}"));
    says(&run("--variant pigeon"), &["no such variant", "shm-futex"]);
    says(&run("--size 0"), &["cannot send messages of size 0", "give --size 1"]);
    says(&run("--size 1099511627776"), &["cannot send 1 x 1099511627776 bytes", "lower --size"]);
    says(&run("--variant udp --size 65000"), &["cannot send", "over udp"]);
    says(&run("--variant fifo --size 4096"), &["with 5 producers at most 4096 bytes"]);
    says(&run("--producers 0"), &["--producers"]);
    says(&run("--messages 0"), &["--messages"]);
    says(&run("--rate 0"), &["--rate"]);
    says(&run("--rate 5 --flood"), &["cannot be used with"]);
    says(&run("--warmup 5s"), &["cannot warm up", "bare number"]);
    says(&run("--at /tmp/x"), &["cannot use --at here"]);
    says(&run("--ready-fd 99"), &["cannot use --ready-fd 99", "open descriptor"]);
    says(&run("--pin 1000"), &["cannot pin to CPU 1000"]);
    says(&run("--variant mqueue --buffer 100000"), &["cannot size a message queue"]);
    says(&refused("run --output /nowhere/at/all"), &["cannot write /nowhere/at/all"]);
}

#[test]
fn a_missing_aggregator_is_told_within_the_patience() {
    for variant in VARIANTS {
        let at = match variant {
            "pipe" => "fd:7".to_owned(),
            // No process listens on the discard port of loopback.
            "tcp" | "udp" => "127.0.0.1:9".to_owned(),
            other => place(other),
        };
        for runtime in ["--blocking", "--workers 1"] {
            let load = format!("--flood --messages 3 --patience 80ms {runtime}");
            let done = producer(variant, &at, &load).finish();
            assert_eq!(done.status.code(), Some(2), "{variant}: {done:?}");
            says(&done, &["cannot ", variant]);
        }
    }
}

#[test]
fn a_full_link_without_a_reader_is_given_up() {
    for variant in ["mqueue", "shm", "shm-futex"] {
        for runtime in ["--blocking", "--workers 1"] {
            let mut aggregator = aggregator(variant, &place(variant), "");
            let at = aggregator.listening();
            aggregator.signal(Signal::STOP);
            let load = format!("--flood --messages 10000 --patience 100ms {runtime}");
            let done = producer(variant, &at, &load).finish();
            assert_eq!(done.status.code(), Some(2), "{variant}: {done:?}");
            says(&done, &["has been full all the time"]);
            let truth = done.truth();
            assert!(number(&truth, "sent") < 10_000 && number(&truth, "full") > 0);
            aggregator.signal(Signal::CONT);
            aggregator.signal(Signal::TERM);
            assert_eq!(aggregator.finish().truth()["producers"][0]["received"], truth["sent"], "{variant}");
        }
    }
}

#[test]
fn a_second_aggregator_at_the_same_place_is_refused() {
    for variant in VARIANTS.into_iter().filter(|variant| *variant != "pipe") {
        let mut first = aggregator(variant, &place(variant), "");
        let at = first.listening();
        let second = refused(&format!("aggregator --output none --variant {variant} --at {at}"));
        says(&second, &["cannot ", &at, "--at"]);
        first.signal(Signal::TERM);
        assert!(first.finish().status.success(), "{variant}");
    }
}

#[test]
fn a_strangers_file_stays() {
    for variant in ["unixsock", "unixgram", "seqpacket", "fifo", "shm", "shm-futex"] {
        let at = scratch();
        std::fs::write(&at, "precious").unwrap();
        says(&refused(&format!("aggregator --output none --variant {variant} --at {at}")), &["cannot "]);
        assert_eq!(std::fs::read_to_string(&at).unwrap(), "precious", "{variant}");
        std::fs::remove_file(&at).unwrap();
    }
}

#[test]
fn a_full_shared_memory_is_told() {
    let space = rustix::fs::statvfs("/dev/shm").unwrap();
    let buffer = 1u64 << 36;
    need!(space.f_bavail * space.f_frsize <= buffer, "/dev/shm has more than 64 GiB, no buffer is too large");
    let at = place("shm");
    let done = refused(&format!("aggregator --output none --variant shm --at {at} --buffer {buffer}"));
    says(&done, &["bytes of shared memory", "free space in /dev/shm"]);
    assert!(!std::path::Path::new(&at).exists());
}
