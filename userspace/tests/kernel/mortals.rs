//! Threads that end while counters are read are counted, and once.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::support::{How, Trace, compiled, installed, need};

/// Number of threads that end, and the time between them, in microseconds.
const THREADS: (&str, &str) = ("600", "1000");

#[test]
fn threads_that_end_while_counters_are_read_count_once() {
    need!(installed("cc"), "cc is not installed");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "mortals.c", &["-pthread"]).unwrap();
    for per_thread in [false, true] {
        let mut mortals =
            Command::new(&program).args([THREADS.0, THREADS.1]).stdin(Stdio::piped()).spawn().unwrap();
        let how = How { probes: &["sched"], per_thread, ..How::default() };
        let mut trace = Trace::of(mortals.id(), &how);
        mortals.stdin.take().unwrap().write_all(b"g").unwrap();
        // Counters are read all the time, so that many of the ends come in the middle of it.
        while !trace.is_over() {
            trace.step();
        }
        assert!(mortals.wait().unwrap().success());
        // Which holds what all sessions must hold: see `support::invariants`.
        let session = trace.finish();
        let process = session.processes.values().next().unwrap();
        assert_eq!(process.sched_threads.len(), 601, "{:?}", session.ledger);
        assert_eq!(session.ledger.degraded.get("thread_ends_full"), None);
    }
}
