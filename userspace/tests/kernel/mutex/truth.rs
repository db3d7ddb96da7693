//! Programs that know their own spin counts without probes: what is seen of them is what they say.

use model::locks::ranked_mutexes;
use pulse_trace_common::hist::{index, lower, upper};

use super::UNLIMITED;
use crate::support::{Calls, How, Trace, compiled, installed, need, whole};

/// Spin counts to a bucket of the program.
const WIDTH: u64 = 8;

#[test]
fn every_spin_count_is_the_one_that_the_program_knows() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "shards.c", &["-pthread"]).unwrap();
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
    need!(theirs.iter().sum::<u64>() > 0, "no contention: both threads ran one after the other");
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

/// Of `__spins` tier 0 reads what the program has put there, once for each wait.
#[test]
fn the_running_mean_is_the_one_that_the_program_has_written() {
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "contend.c", &["-pthread"]).unwrap();
    let mut program = Calls::start_program(&[], &program, &["spins"]);
    let mut trace = Trace::of(program.pid(), &How { probes: &["futex"], ..How::default() });
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let futexes = session.processes.values().flat_map(|process| process.futexes.values());
    let [seen] = futexes.filter_map(|futex| futex.mutex.as_ref()).collect::<Vec<_>>()[..] else {
        panic!("one lock is waited for: {:?}", session.processes);
    };
    let written: Vec<u64> = (0..7).map(|time| 10 * time + 3).collect();
    assert_eq!((seen.spins.count(), seen.spins.sum), (7, written.iter().sum()));
    let buckets: Vec<(usize, u64)> =
        seen.spins.buckets().iter().map(|(bucket, count)| (usize::from(*bucket), *count)).collect();
    let expected: Vec<(usize, u64)> = written.into_iter().map(|value| (index(value), 1)).collect();
    assert_eq!(buckets, expected);
}
