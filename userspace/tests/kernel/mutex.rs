//! Probes in the code of targets see what really happened there, let go when they cost too much, and leave nothing behind.

use std::collections::BTreeSet;

use pulse_trace::{
    model::{
        locks::{ContendedMutex, LockPlace, ranked_mutexes},
        session::Session,
    },
    source::probing::Wish,
    target::Pinned,
};

use crate::support::{Calls, How, Trace, built, children_of, need, whole};

const UNLIMITED: Wish =
    Wish { choice: pulse_trace::probes::Choice { spin_time: false }, budget_percent: None };

/// Two processes that fight for the locks of two queues; both are ready to go.
fn ping_pong(mutex: &str, trips: &str) -> (Calls, Vec<Pinned>) {
    let words = format!("--mutex {mutex} --size 256 --repetitions {trips} --pin 0,1 --timeout 60");
    let arguments: Vec<&str> = words.split(' ').collect();
    let program = Calls::start_program(&[], &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 2);
    (program, pinned)
}

fn traced(mutex: &str, trips: &str, wish: Wish) -> (Session, Vec<u32>) {
    let (mut program, pinned) = ping_pong(mutex, trips);
    let how = How { probes: &["mutex", "futex"], wish, ..How::default() };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    trace.until(|| program.has_ended());
    (trace.finish(), pinned.iter().map(|pinned| pinned.pid).collect())
}

fn mutexes(session: &Session) -> Vec<ContendedMutex> {
    ranked_mutexes(&session.processes)
}

fn contended(session: &Session) -> u64 {
    mutexes(session).iter().map(|mutex| mutex.seen.stats.contended).sum()
}

#[test]
fn an_adaptive_mutex_tells_who_spun_who_gave_up_and_who_went_to_the_kernel() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (session, pids) = traced("adaptive", "50000", UNLIMITED);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    need!(contended(&session) > 0, "nobody fought: both sides ran one after the other");
    let both: BTreeSet<u32> = pids.iter().copied().collect();
    for mutex in mutexes(&session) {
        let stats = &mutex.seen.stats;
        assert!(matches!(mutex.place, LockPlace::Shared { .. }), "{mutex:?}");
        assert!(mutex.users.iter().all(|user| both.contains(&user.0)), "{mutex:?}");
        assert_eq!(mutex.seen.kind.unwrap().name(), "adaptive shared");
        assert!(mutex.seen.runtime.starts_with("glibc 2."), "{}", mutex.seen.runtime);
        assert!(mutex.seen.generation.is_some());
        // Everybody who gets it in the end has passed the end of the spin, and the others are told by the way there.
        assert_eq!(stats.spin_count.count(), stats.contended);
        assert!(stats.gave_up <= stats.contended && stats.went_to_kernel <= stats.gave_up, "{stats:?}");
        assert!(stats.spin_count.max.is_some_and(|max| max < 1000), "{:?}", stats.spin_count.max);
        // The first ones are all looked at, and lead to whoever wanted the lock.
        let leads =
            |caller: &Option<String>| caller.as_ref().is_some_and(|it| it.contains("PthreadMutex::with"));
        assert!(!stats.stacks.is_empty(), "{stats:?}");
        assert!(stats.stacks.iter().all(|stack| leads(&stack.caller)), "{:?}", stats.stacks);
    }
    let traps = session.overhead.traps.as_ref().unwrap();
    assert!(traps.trap_ns > 0.0 && traps.detached_at_ns.is_none(), "{traps:?}");
    let passed = |mutex: &ContendedMutex| {
        let stats = &mutex.seen.stats;
        stats.contended + stats.gave_up + stats.went_to_kernel
    };
    assert_eq!(traps.hits, mutexes(&session).iter().map(passed).sum::<u64>());
    assert_eq!(session.ledger.events.get("contended_acquisitions"), Some(&contended(&session)));
}

#[test]
fn probes_that_cost_more_than_their_budget_are_taken_out_and_what_they_saw_is_kept() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (mut program, pinned) = ping_pong("adaptive", "100000000");
    let how = How {
        probes: &["mutex"],
        wish: Wish { budget_percent: Some(0.1), ..Wish::default() },
        ..How::default()
    };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    let mut frames = 0;
    trace.until(|| {
        frames += 1;
        frames > 100
    });
    program.kill();
    let session = trace.finish();
    let traps = session.overhead.traps.as_ref().unwrap();
    need!(traps.hits > 500, "nobody fought: {} hits", traps.hits);
    let at = traps.detached_at_ns.unwrap();
    // Each look is 10 ms and more after the other: it was one of the first.
    assert!(traps.attached_ns <= at && at < session.duration_ns / 2, "{traps:?} of {}", session.duration_ns);
    assert!(contended(&session) > 0);
    assert!(traps.hits as f64 * traps.trap_ns > 0.001 * traps.target_cpu_ns as f64, "{traps:?}");
}
