//! Numbers of a frame that go into its ledger.

use std::collections::BTreeMap;

use model::{
    frame::{CallStats, Ledger, ProcessFrame},
    locks::LockPlace,
    sched::SchedStats,
};

/// The ledger's name for calls on futexes that have no row of their own.
const FUTEXES_SHARED: &str = "futexes_shared";

/// Books events that are in the numbers, by what they are.
pub fn book_events(processes: &[ProcessFrame], ledger: &mut Ledger) {
    add_positive(&mut ledger.events, "context_switches", scheduled(processes, SchedStats::switches));
    let wakeups = scheduled(processes, |stats| stats.wakeup_to_run.count());
    add_positive(&mut ledger.events, "wakeups", wakeups);
    book_futexes(processes, ledger);
    for event in processes.iter().flat_map(|process| &process.events) {
        add_positive(&mut ledger.events, &event.name.probe, event.stats.times.count());
    }
    let contended = processes.iter().flat_map(|process| &process.mutexes);
    let contended = contended.map(|mutex| mutex.stats.contended).sum();
    add_positive(&mut ledger.events, "contended_acquisitions", contended);
    let inside = processes.iter().flat_map(|process| &process.inline);
    add_positive(&mut ledger.events, "acquisitions", inside.map(|it| it.stats.acquisitions).sum());
}

/// Calls on futexes, and those of them that have no row of their own.
fn book_futexes(processes: &[ProcessFrame], ledger: &mut Ledger) {
    let futexes = || processes.iter().flat_map(|process| &process.futexes);
    let others = futexes().filter(|futex| futex.place == LockPlace::OTHERS);
    add_positive(&mut ledger.degraded, FUTEXES_SHARED, others.map(|futex| futex.stats.count).sum());
    add_positive(&mut ledger.events, "futex_calls", futexes().map(|futex| futex.stats.count).sum());
}

/// Adds to an entry, unless there is nothing to add.
pub fn add_positive(book: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    if count > 0 {
        *book.entry(name.to_owned()).or_default() += count;
    }
}

/// Sum of a number over all calls.
pub fn total(processes: &[ProcessFrame], number: impl Fn(&CallStats) -> u64) -> u64 {
    processes.iter().flat_map(|process| &process.syscalls).map(|call| number(&call.stats)).sum()
}

fn scheduled(processes: &[ProcessFrame], number: impl Fn(&SchedStats) -> u64) -> u64 {
    let whole = processes.iter().flat_map(|process| &process.sched).filter(|sched| sched.thread.is_none());
    whole.map(|sched| number(&sched.stats)).sum()
}
