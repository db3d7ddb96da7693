//! Every call that wants a mutex is counted, by each function that takes one and whether or not the mutex is free.

use std::{collections::BTreeMap, path::Path};

use kernel::target::Pinned;
use probes::{Choice, source::probing::Wish};

use super::{RELEASES, contended, mutexes};
use crate::{
    inline::program::Compiled,
    support::{Calls, How, Trace, compiled, installed, need, whole},
};

const TOTAL: Choice = Choice { spin_time: false, total: true, hold: None };

#[test]
fn calls_are_counted_by_mutex_as_the_program_counts_them() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let path = compiled(dir.path(), "cc", "calls.c", &["-O1", "-pthread"]);
    need!(path.is_some(), "this C library lacks a call");
    all_are_counted(&[], &path.unwrap());
}

#[test]
fn calls_are_counted_with_the_libraries_of_other_releases() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("gcc"), "gcc is not installed");
    for release in RELEASES {
        let made = Compiled::for_release(release, "calls.c");
        need!(made.is_some(), "the C library of {release} is not here; run `cargo xtask libraries`");
        let (program, loader) = made.unwrap();
        let loader: Vec<&str> = loader.iter().map(String::as_str).collect();
        all_are_counted(&loader, program.path());
    }
}

fn all_are_counted(loader: &[&str], program: &Path) {
    let mut program = Calls::start_program(loader, program, &[]);
    let pinned = Pinned::process(program.pid()).unwrap();
    let wish = Wish { choice: TOTAL, budget_percent: None };
    let mut trace = Trace::of_pinned(&pinned, &How { probes: &["mutex"], wish, ..How::default() });
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let truth: BTreeMap<String, u64> = serde_json::from_str(&program.output()).unwrap();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let of_all: BTreeMap<u64, u64> =
        mutexes(&session).iter().map(|it| (it.users.iter().next().unwrap().1, it.seen.stats.calls)).collect();
    for (address, wanted) in &truth {
        assert_eq!(of_all.get(&address.parse().unwrap()), Some(wanted), "{of_all:?} {truth:?}");
    }
    // Only threads that call spin or wait.
    for mutex in mutexes(&session) {
        let stats = &mutex.seen.stats;
        assert!(stats.contended <= stats.calls, "{mutex:?}");
        let spins = mutex.seen.kind.is_some_and(|kind| kind.spins());
        assert_eq!(mutex.seen.generation.is_some(), spins, "{mutex:?}");
    }
    let traps = session.overhead.traps.as_ref().unwrap();
    assert!(traps.hits >= truth.values().sum::<u64>() + contended(&session), "{traps:?}");
}
