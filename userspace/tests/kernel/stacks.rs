//! Stacks lead to the code that wanted a lock, and as many are taken as the ledger says.

use std::time::Duration;

use kernel::target::Pinned;
use model::{
    locks::{FutexStats, waits},
    session::Session,
};

use crate::support::{Calls, How, Trace, built, children_of, whole, within};

/// Two processes that fight for two queues.
fn ping_pong(trips: &str, how: &How<'_>) -> Session {
    let words =
        format!("--mutex plain --size 8192 --capacity 16 --repetitions {trips} --pin 0,1 --timeout 60");
    let arguments: Vec<&str> = words.split(' ').collect();
    let mut program = Calls::start_program(&[], &built("shmemq"), &arguments);
    let mut pids = Vec::new();
    within(Duration::from_secs(10), "both sides", || {
        pids = children_of(program.outermost());
        pids.len() == 2
    });
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), how);
    program.go();
    trace.until(|| program.has_ended());
    trace.finish()
}

fn waited(session: &Session) -> impl Iterator<Item = &FutexStats> {
    let futexes = session.processes.values().flat_map(|process| &process.futexes);
    futexes.filter(|((_, _, op), _)| waits(op)).map(|(_, stats)| stats)
}

fn event(session: &Session, name: &str) -> u64 {
    session.ledger.events.get(name).copied().unwrap_or(0)
}

#[test]
fn every_stack_of_a_fought_for_lock_leads_to_the_function_that_took_it() {
    let session = ping_pong("20000", &How::default());
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let mut sampled = 0;
    for stats in waited(&session).filter(|stats| stats.mutex.is_some()) {
        sampled += stats.sampled;
        for stack in &stats.stacks {
            let caller = stack.caller.as_deref().unwrap_or_else(|| panic!("no caller: {stack:?}"));
            assert!(caller.contains("PthreadMutex::with"), "{stack:?}");
            let outer = |name| stack.frames.iter().any(|frame| frame.contains(name));
            assert!(outer("try_enqueue") || outer("try_dequeue"), "{stack:?}");
            assert!(stack.frames.iter().any(|frame| frame == "pthread_mutex_lock"), "{stack:?}");
        }
        // The first ones are all taken; later ones stand for others by chance, with a standard error below a tenth.
        let (waits, stand_for) = (stats.count, stats.stacks.iter().map(|stack| stack.count).sum::<u64>());
        assert!(stats.sampled >= waits.min(32), "{} of {waits}", stats.sampled);
        assert!(stand_for >= waits / 2 && stand_for <= waits * 2, "{stand_for} of {waits}");
    }
    assert!(sampled > 0, "no wait for a mutex");
    assert!(event(&session, "stacks") >= sampled, "{:?}", session.ledger);
    assert_eq!(event(&session, "stacks_broken"), 0, "{:?}", session.ledger);
}

#[test]
fn stacks_are_not_taken_unless_wanted() {
    let session = ping_pong("2000", &How { stacks: false, ..How::default() });
    assert!(waited(&session).all(|stats| stats.sampled == 0 && stats.stacks.is_empty()));
    assert!(!session.ledger.events.keys().any(|name| name.starts_with("stacks")), "{:?}", session.ledger);
}
