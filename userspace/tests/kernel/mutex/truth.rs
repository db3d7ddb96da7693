//! A program that knows its own spin counts without probes: what is seen of it is what it says.

use std::{path::Path, process::Command};

use pulse_trace::model::locks::ranked_mutexes;
use pulse_trace_common::hist::{lower, upper};

use super::UNLIMITED;
use crate::support::{Calls, How, Trace, installed, need, whole};

/// Spin counts to a bucket of the program.
const WIDTH: u64 = 8;

#[test]
fn every_spin_count_is_the_one_that_the_program_knows() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("shards");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/programs/shards.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-pthread", "-o"]).args([&program, &source]);
    assert!(compiler.status().unwrap().success());
    let mut program = Calls::start_program(&[], &program, &["1500", "--locks", "3"]);
    let how = How { probes: &["mutex"], wish: UNLIMITED, ..How::default() };
    let mut trace = Trace::of(program.pid(), &how);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let said: serde_json::Value = serde_json::from_str(program.output().trim()).unwrap();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert_eq!(said["odd"], 0, "a mean that no spin can have led to");
    let theirs: Vec<u64> =
        said["spins"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    need!(theirs.iter().sum::<u64>() > 0, "nobody fought: both threads ran one after the other");
    let mut ours = vec![0; theirs.len()];
    for mutex in ranked_mutexes(&session.processes) {
        for (bucket, count) in mutex.seen.stats.spin_count.buckets() {
            let (first, last) = (lower(usize::from(*bucket)), upper(usize::from(*bucket)) - 1);
            assert_eq!(first / WIDTH, last / WIDTH, "buckets here are parts of buckets there");
            ours[(first / WIDTH) as usize] += *count;
        }
    }
    assert_eq!(ours, theirs, "{:?}", session.ledger);
}
