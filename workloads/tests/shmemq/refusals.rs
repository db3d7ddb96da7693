//! Wrong words get a clear answer and exit status 2.

use std::process::Command;

use pulse_trace_testing::need;

use crate::harness::{Running, alone, leftovers, run};

#[test]
fn bad_input_is_refused_with_a_cause_and_a_remedy() {
    let _alone = alone();
    for (words, wanted) in [
        ("--size 0", "0 is not in 1.."),
        ("--size 1099511627776", "cannot create a queue of 1000 elements of 1099511627776 bytes"),
        ("--size 18446744073709551615", "use a smaller --size"),
        ("--capacity 18446744073709551615", "more than the address space holds"),
        ("--capacity 0", "0 is not in 1.."),
        ("--repetitions 0", "0 is not in 1.."),
        ("--mutex fancy", "possible values: plain, adaptive"),
        ("--spin-tunable 32768", "32768 is not in 0..=32767"),
        ("--timeout 0", "above 0"),
        ("--rounds 0", "0 is not in 1.."),
        ("--pin 1023", "cannot pin to CPU 1023"),
        ("--ready-fd 999", "cannot use --ready-fd 999"),
        ("--role server", "--name"),
        ("--role client --name unused-name", "start `shmemq --role server --name unused-name` first"),
        ("--role server --name alone --timeout 0.2", "cannot meet the client: no peer came"),
        ("--role server --name x --spin-tunable 5", "GLIBC_TUNABLES"),
        ("--frobnicate", "unexpected argument"),
    ] {
        let done = run(words);
        assert_eq!(done.code(), Some(2), "{words}: {}{}", done.out, done.err);
        assert!(done.err.contains(wanted), "{words}: {}", done.err);
    }
    assert_eq!(leftovers(), Vec::<String>::new());
}

#[test]
fn a_sweep_that_cannot_go_on_tells_what_it_has_done() {
    let _alone = alone();
    let done = run("--mutex lockfree --size 16,1099511627776 --repetitions 10 --json");
    assert_eq!(done.code(), Some(2), "{}", done.err);
    assert_eq!(
        (done.truth()["holds"].as_bool(), done.truth()["cells"].as_array().unwrap().len()),
        (Some(false), 1)
    );
}

#[test]
fn a_full_dev_shm_is_an_error_and_not_a_crash() {
    let _alone = alone();
    let line = format!(
        "mount -t tmpfs -o size=256k none /dev/shm || exit 77; exec {} --size 1024 --repetitions 10",
        env!("CARGO_BIN_EXE_shmemq")
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &line]);
    let done = Running::new(command).done();
    let missing = done.err.contains("unshare:") || done.code() == Some(77);
    need!(!missing, "there is no mount namespace to be had: {}", done.err.trim());
    assert_eq!(done.code(), Some(2), "{}", done.err);
    assert!(
        done.err.contains("cannot create a queue") && done.err.contains("make room in /dev/shm"),
        "{}",
        done.err
    );
}
