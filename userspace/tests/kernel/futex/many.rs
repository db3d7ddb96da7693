//! More locks than there is room for: the one that is used when all others are cold is seen all the same.

use model::{locks::LockPlace, session::Session};

use super::{all_futexes, booked, ended_calls, noted};
use crate::{
    inline::program::Program,
    support::{How, Trace, installed, need},
};

const LOCKS: u64 = 5000;
const HOT: u64 = 20_000;
/// So many that they go on for longer than entries of cold ones take to become free.
const HOT_FOR_LONG: u64 = 10 * HOT;

fn count_at(session: &Session, address: u64) -> u64 {
    let at = all_futexes(session).filter(|((_, at, _), _)| *at == address);
    at.map(|(_, stats)| stats.count).sum()
}

fn others(session: &Session) -> u64 {
    let others = all_futexes(session).filter(|((place, ..), _)| *place == LockPlace::OTHERS);
    others.map(|(_, stats)| stats.count).sum()
}

fn start(hot: u64) -> (Program, Trace) {
    let program = Program::start("many_locks.c", &[&LOCKS.to_string(), &hot.to_string()]);
    let trace = Trace::of(program.pid(), &How { stacks: false, ..How::default() });
    (program, trace)
}

/// Every call is in one row, and those in the row of others are in the ledger.
fn finish(trace: Trace) -> Session {
    let session = trace.finish();
    assert_eq!(booked(&session), ended_calls(&session), "{:?}", session.ledger);
    assert!(booked(&session) >= LOCKS + HOT);
    assert_eq!(noted(&session, "futexes_shared"), others(&session));
    assert_eq!(noted(&session, "futexes_full"), 0);
    session
}

#[test]
fn a_lock_that_comes_last_has_a_row_of_its_own() {
    need!(installed("gcc"), "gcc is not installed");
    let (mut program, mut trace) = start(HOT);
    program.tell("all");
    assert_eq!(program.line(), "once");
    // What was taken from cold ones is free once it has been read again.
    trace.steps(20);
    program.tell("one");
    let hot: u64 = program.line().parse().unwrap();
    let session = finish(trace);
    assert_eq!(count_at(&session, hot), HOT, "{:?}", session.ledger);
    // Cold ones that had entries keep what these have counted.
    assert!(others(&session) < LOCKS, "{}", others(&session));
}

#[test]
fn a_lock_that_comes_last_is_seen_without_a_pause() {
    need!(installed("gcc"), "gcc is not installed");
    let (mut program, mut trace) = start(HOT_FOR_LONG);
    program.tell("all");
    program.tell("one");
    assert_eq!(program.line(), "once");
    let pid = program.pid();
    trace.until(|| kernel::target::stat(pid).is_none_or(|stat| stat.is_dead()));
    let hot: u64 = program.line().parse().unwrap();
    let session = finish(trace);
    let seen = count_at(&session, hot);
    assert!(seen > 0 && seen + others(&session) >= HOT_FOR_LONG, "{seen}: {:?}", session.ledger);
}
