//! Every lock's truth, and what the locks are for: the directions in which they differ.

use std::process::Command;

use pulse_trace_testing::need;
use serde_json::Value;

use crate::harness::{Running, alone, number, run, shmemq, truth, two_cpus, wait_until};

const KINDS: [&str; 12] = [
    "plain",
    "adaptive",
    "pi",
    "robust",
    "recursive",
    "errorcheck",
    "spin",
    "ticket",
    "futex",
    "lockfree",
    "adaptive-restated-2.22",
    "adaptive-restated-2.36",
];

#[test]
fn every_lock_tells_a_truth_that_holds() {
    let _alone = alone();
    let truth = truth("--every-mutex --repetitions 199 --size 64");
    let cells = truth["cells"].as_array().unwrap();
    assert_eq!(cells.iter().map(|cell| cell["mutex"].as_str().unwrap()).collect::<Vec<_>>(), KINDS);
    for cell in cells {
        let name = cell["mutex"].as_str().unwrap();
        assert_eq!((number(&cell["completed"]), number(&cell["packets"])), (199, 2 * 199), "{name}");
        assert_eq!(number(&cell["bytes"]), 2 * 199 * 64, "{name}");
        // Every sixteenth, the first one included.
        assert_eq!(number(&cell["latency"]["count"]), 13, "{name}");
        assert!(number(&cell["latency"]["sum"]) <= number(&cell["elapsed_ns"]), "{name}");
        assert_eq!(cell["faults"].as_array().unwrap().len(), 0, "{name}: {cell}");
        assert_eq!(cell["sides"].as_array().unwrap().len(), 2, "{name}");
        knows_what_it_can_know(name, cell);
    }
}

/// The C library tells nothing of its contention, and a number that was not counted is null, never 0.
fn knows_what_it_can_know(name: &str, cell: &Value) {
    let lock = &cell["lock"];
    let attempts: u64 =
        ["enqueued", "full", "dequeued", "empty"].iter().map(|field| number(&cell["attempts"][field])).sum();
    assert!(attempts >= 4 * 199, "{name}");
    if name == "lockfree" {
        assert!(lock.is_null());
        return;
    }
    assert_eq!(number(&lock["acquisitions"]), attempts, "{name}");
    let ours =
        ["spin", "ticket", "futex", "adaptive-restated-2.22", "adaptive-restated-2.36"].contains(&name);
    assert_eq!(lock["contended"].is_null(), !ours, "{name}");
    assert_eq!(lock["gave_up"].is_null(), !name.contains("restated"), "{name}");
    assert_eq!(lock["spins"].is_null(), !ours || name == "futex", "{name}");
    if name.contains("restated") {
        let exact = lock["spins_exact"].as_array().unwrap();
        let sum: u64 = exact.iter().map(|pair| number(&pair[1])).sum();
        assert_eq!(sum, number(&lock["contended"]), "{name}");
        assert!(exact.iter().all(|pair| (1..=131).contains(&number(&pair[0]))), "{name}: {exact:?}");
        assert_eq!(lock["spins"]["unit"], "count");
    }
}

#[test]
fn every_size_passes_whole() {
    let _alone = alone();
    let sizes = [1, 7, 8, 16, 128, 1024, 8192, 65536];
    let list = sizes.map(|size| size.to_string()).join(",");
    let truth = truth(&format!("--mutex futex,lockfree,plain --size {list} --capacity 3 --repetitions 23"));
    let cells = truth["cells"].as_array().unwrap();
    assert_eq!(cells.len(), sizes.len() * 3);
    for (nth, cell) in cells.iter().enumerate() {
        assert_eq!(number(&cell["bytes"]), sizes[nth / 3] * 46);
    }
}

#[test]
fn a_sweep_runs_its_cells_in_turn() {
    let _alone = alone();
    let truth =
        truth("--mutex plain,adaptive --repetitions 50,60 --spin-tunable 10,1000 --rounds 2 --warmup 5");
    let cells = truth["cells"].as_array().unwrap();
    let what =
        |cell: &Value| (number(&cell["round"]), number(&cell["repetitions"]), cell["spin_tunable"].as_u64());
    let round = |n| {
        [
            (n, 50, None),
            (n, 50, Some(10)),
            (n, 50, Some(1000)),
            (n, 60, None),
            (n, 60, Some(10)),
            (n, 60, Some(1000)),
        ]
    };
    assert_eq!(cells.iter().map(what).collect::<Vec<_>>(), [round(0), round(1)].concat());
    let table = run("--mutex plain,futex --repetitions 50 --warmup 20ms");
    assert_eq!(table.code(), Some(0));
    assert!(table.out.contains("0.00 million packets") && table.out.contains("speed-up"), "{}", table.out);
}

#[test]
fn a_spin_limit_of_zero_means_no_spinning() {
    let _alone = alone();
    let cells = truth(
        "--mutex adaptive,adaptive-restated-2.22,adaptive-restated-2.36 --spin-tunable 0 --repetitions 500",
    );
    for cell in cells["cells"].as_array().unwrap() {
        let lock = &cell["lock"];
        // A count of 1, whenever it gives up at once, never moves the mean.
        assert_eq!(lock["running_mean"], 0, "{cell}");
        if lock["gave_up"].is_u64() {
            assert_eq!(lock["gave_up"], lock["contended"]);
        }
    }
}

#[test]
fn the_limit_reaches_the_c_library_before_the_program_starts() {
    let _alone = alone();
    let running = Running::new(shmemq("--mutex adaptive --spin-tunable 77 --repetitions 100000000 --json"));
    for side in running.sides() {
        let wanted = b"glibc.pthread.mutex_spin_count=77";
        wait_until("the side has the tunable", || {
            let environment = std::fs::read(format!("/proc/{side}/environ")).unwrap_or_default();
            environment.windows(wanted.len()).any(|window| window == wanted)
        });
    }
    running.signal(2);
    let done = running.done();
    assert_eq!((done.code(), &done.truth()["interrupted"]), (Some(0), &Value::Bool(true)), "{}", done.err);
}

#[test]
fn the_kernel_counts_the_futex_calls_that_we_count() {
    let _alone = alone();
    let words = "--mutex futex,adaptive-restated-2.36,spin,lockfree --repetitions 1000 --count-futex --json";
    // Tracefs need not be mounted for all to see: a namespace of our own will do, where we may make one.
    let line =
        format!("mount -t tracefs nodev /sys/kernel/tracing; exec {} {words}", env!("CARGO_BIN_EXE_shmemq"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &line]);
    let done = Running::new(command).done();
    let missing = done.err.contains("unshare:") || done.err.contains("cannot count futex calls");
    need!(!missing, "needs a mount namespace and futex tracepoints: {}", done.err.trim());
    // That both counts agree is one of the truth's own conditions.
    assert_eq!((done.code(), &done.truth()["holds"]), (Some(0), &Value::Bool(true)), "{}", done.err);
    let truth = done.truth();
    for cell in truth["cells"].as_array().unwrap() {
        let kernel = number(&cell["futex_syscalls"]);
        match cell["mutex"].as_str().unwrap() {
            "spin" | "lockfree" => assert_eq!(kernel, 0),
            _ => assert_eq!(
                kernel,
                number(&cell["lock"]["futex_waits"]) + number(&cell["lock"]["futex_wakes"])
            ),
        }
    }
}

/// A count of all rounds of one lock.
fn all(truth: &Value, mutex: &str, count: impl Fn(&Value) -> u64) -> u64 {
    let cells = truth["cells"].as_array().unwrap().iter().filter(|cell| cell["mutex"] == mutex);
    cells.map(count).sum()
}

#[test]
fn spinning_first_saves_kernel_entries() {
    let _alone = alone();
    let cpus = need!(two_cpus(), "contention needs two CPUs");
    let words =
        "--mutex plain,adaptive,futex,adaptive-restated-2.36 --repetitions 3000 --rounds 4 --time-every 0";
    let truth = truth(&format!("{words} --pin {cpus}"));
    // The C library counts no waits, but some of them are sleeps, which the kernel counts.
    let sleeps = |cell: &Value| number(&cell["usage"]["voluntary_switches"]);
    assert!(all(&truth, "adaptive", sleeps) < all(&truth, "plain", sleeps), "{truth}");
    // The kinds with counters of their own follow the same rules as the C library's.
    let waits = |cell: &Value| number(&cell["lock"]["futex_waits"]);
    assert!(5 * all(&truth, "adaptive-restated-2.36", waits) < all(&truth, "futex", waits), "{truth}");
}
