//! Another tool, at another instruction, which debug information names, sees the same spin counts, one by one.

use std::collections::BTreeMap;

use kernel::inline::{Detail, Patch};

use crate::{
    mutex::library::Named,
    support::{Calls, Oracle, built, children_of, need},
};

#[test]
fn every_single_spin_count_is_the_one_that_bpftrace_reads() {
    let dir = tempfile::tempdir().unwrap();
    let named = Named::needed(dir.path());
    need!(named.is_ok(), "{}", named.err().unwrap_or_default());
    let named = named.unwrap();
    named.hide();
    let preload = format!("LD_LIBRARY_PATH={}", dir.path().display());
    let words = "--mutex adaptive --size 256 --repetitions 30000 --pin 0,1 --timeout 120";
    let arguments: Vec<&str> = words.split(' ').collect();
    let mut program = Calls::start_program(&["env", &preload], &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let patches: Vec<Patch> = pids.iter().map(|pid| Patch::put_in(*pid, Detail::Kinds).unwrap()).collect();
    // Only now: no code with another one's breakpoint in it is touched.
    named.show();
    let script = dir.path().join("spins.bt");
    std::fs::write(&script, named.script()).unwrap();
    let oracle = Oracle::run(&script, &pids);
    program.go();
    program.output();
    let said = oracle.finish();
    let mut ours: BTreeMap<u64, u64> = BTreeMap::new();
    for patch in &patches {
        for (spins, count) in (0..).zip(patch.read().unwrap().spins).filter(|(_, count)| *count > 0) {
            *ours.entry(spins).or_default() += count;
        }
    }
    let theirs = said["@spins"].as_object().unwrap().iter();
    let theirs: BTreeMap<u64, u64> =
        theirs.map(|(spins, count)| (spins.parse().unwrap(), count.as_u64().unwrap())).collect();
    assert_eq!(ours, theirs);
    assert!(ours.len() > 3, "{ours:?}");
}
