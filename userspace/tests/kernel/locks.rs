//! Three locks of known contention: which is first, how often it was waited for, for how long, and who had it.

use model::{
    locks::{FutexStats, Lock, Verdict, ranked},
    session::Session,
};

use crate::support::{Calls, Fought, Holds, How, Trace, built, whole};

/// Functions that take the locks, in their order.
const TAKES: [&str; 3] = ["take_first", "take_second", "take_third"];

fn fought(kind: &str) -> (Session, Holds) {
    let mut program = Calls::start_program(&[], &built("holds"), &["--lock", kind]);
    let mut trace = Trace::of(program.pid(), &How::default());
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let output = program.output();
    let truth = Holds::read(&output);
    assert!(truth.holds && whole(&session.ledger), "{truth:?} {:?}", session.ledger);
    (session, truth)
}

fn is_from(stats: &FutexStats, function: &str) -> bool {
    let waits: u64 = stats.stacks.iter().map(|stack| stack.count).sum();
    let from = |frames: &[String]| frames.iter().any(|frame| frame.contains(function));
    let fitting = stats.stacks.iter().filter(|stack| from(&stack.frames));
    waits > 0 && fitting.map(|stack| stack.count).sum::<u64>() == waits
}

/// The three stand on top in the order of their waits, and each is what the program says.
fn assert_fought(session: &Session, truth: &Holds, is_it: impl Fn(&Lock, usize) -> bool) {
    let locks = ranked(&session.processes);
    let mut order: Vec<usize> = (0..3).collect();
    order.sort_by_key(|number| std::cmp::Reverse(truth.locks[*number].waited_ns));
    for (place, number) in order.into_iter().enumerate() {
        let (lock, fought) = (&locks[place], &truth.locks[number]);
        assert!(is_it(lock, number), "{place}: {lock:#?} for {fought:?}");
        assert_eq!(lock.verdict, Verdict::Contention, "{lock:#?}");
        assert_eq!((lock.sum.wait.count(), lock.waiting_calls()), (fought.times, fought.times), "{lock:#?}");
        let waited = lock.wait_ns();
        assert!((fought.held_ns..=fought.waited_ns).contains(&waited), "{waited} for {fought:?}");
        // The kernel hands over what inherits priorities.
        let woken = lock.sum.woken;
        assert!(woken == fought.times || lock.operations.contains_key("UNLOCK_PI"), "{woken}: {lock:#?}");
        assert!(is_from(&lock.sum, TAKES[number]), "{lock:#?}");
    }
    let idle = locks.iter().filter(|lock| lock.verdict.is_for_work());
    let longest = idle.map(Lock::wait_ns).max().unwrap_or(0);
    let held = truth.locks.iter().map(|lock| lock.held_ns).max().unwrap();
    assert!(longest > held, "the thread that waits for the condition is not seen to: {locks:#?}");
}

/// A mutex of the C library: its memory tells kind and holder.
fn assert_pthread(kind: &str, name: &str) {
    let (session, truth) = fought(kind);
    assert_fought(&session, &truth, |lock, number| {
        lock.users.iter().any(|(_, address)| *address == truth.locks[number].address)
    });
    for lock in ranked(&session.processes) {
        let at = |fought: &&Fought| lock.users.iter().any(|(_, address)| *address == fought.address);
        let Some(number) = truth.locks.iter().position(|fought| at(&fought)) else { continue };
        let fought = &truth.locks[number];
        assert_eq!(lock.kind().unwrap().name(), name, "{lock:#?}");
        let holders: Vec<_> = lock.sum.mutex.iter().flat_map(|seen| &seen.holders).collect();
        let [((tid, name), times)] = holders[..] else { panic!("{holders:?}") };
        assert_eq!((*tid, *times), (fought.holder, fought.times));
        // The name of a thread that has ended before it was looked at is not known.
        assert!(name.is_empty() || *name == format!("holder-{number}"), "{name}");
    }
}

#[test]
fn an_ordinary_mutex_is_known_with_its_holder() {
    assert_pthread("pthread", "normal");
}

#[test]
fn a_mutex_that_inherits_priorities_is_known_with_its_holder() {
    assert_pthread("pi", "normal PI shared");
}

#[test]
fn a_robust_mutex_is_known_with_its_holder() {
    assert_pthread("robust", "normal robust shared");
}

#[test]
fn a_mutex_of_the_rust_library_is_known_by_its_stacks() {
    let (session, truth) = fought("std");
    assert_fought(&session, &truth, |lock, number| {
        lock.users.iter().any(|(_, address)| *address == truth.locks[number].address)
            && lock.runtime() == Some(("Rust std", "mutex"))
    });
}

#[test]
fn a_mutex_of_parking_lot_is_known_by_its_stacks() {
    let (session, truth) = fought("parking-lot");
    // Its threads sleep on a word of their own, whichever lock it is for.
    assert_fought(&session, &truth, |lock, number| {
        lock.runtime() == Some(("parking_lot", "mutex")) && is_from(&lock.sum, TAKES[number])
    });
}
