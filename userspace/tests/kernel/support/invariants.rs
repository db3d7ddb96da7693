//! Invariants of every session.

use model::session::Session;
use views::export::json::Export;

/// Programs that run while their hooks are detached may read the clock after the session's end.
const IN_FLIGHT_NS: u64 = 1_000_000;

/// Fails where a number contradicts another one of the same session. So many threads may have been `found` running when
/// their accounts were opened: the interval in which each of them was found has no length, and is no entry of a
/// histogram.
pub fn assert_consistent(session: &Session, found: u64) {
    let (mut switches, mut stretches) = (0, 0);
    for (key, process) in &session.processes {
        let Some(whole) = &process.sched else { continue };
        for (tid, thread) in &process.sched_threads {
            let (wall, life) = (thread.budget.wall_ns, session.duration_ns + IN_FLIGHT_NS);
            assert!(wall <= life, "thread {tid} of {key:?}: {wall} ns in a session of {life} ns");
            assert_eq!(thread.budget.parts_ns(), wall, "thread {tid} of {key:?}: {:?}", thread.budget);
        }
        let of_threads: u64 = process.sched_threads.values().map(|thread| thread.switches()).sum();
        // What many processes have together has no threads.
        let of_threads = if key.pid == 0 { whole.switches() } else { of_threads };
        assert_eq!(whole.switches(), of_threads, "{key:?}");
        assert_eq!(whole.budget.parts_ns(), whole.budget.wall_ns, "{key:?}: {:?}", whole.budget);
        switches += of_threads;
        stretches += whole.on_cpu.count();
    }
    let degraded = |slot: &str| session.ledger.degraded.get(slot).copied().unwrap_or(0);
    let unseen = found + degraded("switch_unseen") + degraded("distributions_full");
    assert!(
        switches <= stretches + unseen,
        "{switches} switches, {stretches} stretches, {found} threads found: {:?}",
        session.ledger
    );
    // Switches of threads whose end was lost are in no account.
    if degraded("thread_ends_full") == 0 {
        assert!(stretches <= switches, "{switches} switches, {stretches} stretches: {:?}", session.ledger);
    }
}

/// Fails where the wall time of a thread in an export exceeds the session.
pub fn assert_consistent_export(export: &Export) {
    let life = export.session.duration_ns + IN_FLIGHT_NS;
    for (process, sched) in export.processes.iter().filter_map(|it| Some((it.pid, it.sched.as_ref()?))) {
        for thread in &sched.threads {
            let wall = thread.budget.wall_ns;
            assert!(wall <= life, "thread {} of {process}: {wall} ns in a session of {life} ns", thread.tid);
        }
    }
}
