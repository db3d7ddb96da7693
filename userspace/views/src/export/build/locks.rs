//! Futexes and mutexes.

use std::{cmp::Reverse, collections::BTreeMap};

use model::{
    errno,
    locks::{self, FutexStats, LockPlace, MutexSeen, Parts, StackCount, Verdict},
    session::{self, Header},
};

use super::hist::distribution;
use crate::export::json::{Futex, Holder, Mutex, Place, Seen, SharedObject, SpinMean, Stack, Unit, Waits};

/// Operations on futexes of a process.
pub fn futexes(header: &Header, process: &session::Process) -> Vec<Futex> {
    let wholes = Parts::of(process).wholes();
    process.futexes.iter().map(|(key, stats)| futex(header, key, stats, wholes.of(&key.0))).collect()
}

fn futex(header: &Header, key: &(LockPlace, u64, String), stats: &FutexStats, lock: Option<u64>) -> Futex {
    let (place, address, op) = key;
    let unix = |at_ns: u64| header.start_unix_ns.saturating_add(at_ns);
    let waits = locks::waits(op);
    let (sort, shared) = lies_in(place);
    Futex {
        address: *address,
        place: sort,
        shared,
        lock,
        op: op.clone(),
        count: stats.count,
        outcomes: outcomes(stats, waits),
        waits: waits.then(|| verdict(stats.verdict(op))),
        wait: distribution(&stats.wait, Unit::Ns),
        blocked: distribution(&stats.blocked, Unit::Ns),
        run_queue: distribution(&stats.run_queue, Unit::Ns),
        wakes: if locks::wakes(op) { stats.count } else { 0 },
        waiters_woken: stats.woken,
        wakes_in_vain: stats.vain,
        first_unix_ns: stats.seen_ns.map(|seen| unix(seen.0)),
        last_unix_ns: stats.seen_ns.map(|seen| unix(seen.1)),
        mutex: stats.mutex.as_ref().map(seen),
        runtime: locks::most(&stats.stacks).map(|(runtime, what)| format!("{runtime} {what}")),
        unlike_mutex: stats.unlike_mutex,
        sampled: stats.sampled,
        stacks: stacks(&stats.stacks),
    }
}

/// Exports one mutex.
pub fn mutex((place, address): &(LockPlace, u64), mutex: &session::Mutex) -> Mutex {
    let stats = &mutex.stats;
    let spins = mutex.kind.is_none_or(locks::MutexKind::spins) && mutex.counts_spins();
    let (sort, shared) = lies_in(place);
    Mutex {
        address: *address,
        place: sort,
        shared,
        runtime: mutex.runtime.clone(),
        generation: mutex.generation.clone(),
        kind: mutex.kind.map(locks::MutexKind::name),
        calls: (stats.calls > 0).then_some(stats.calls),
        contended: stats.contended,
        got_by_spinning: spins.then(|| stats.got_by_spinning()),
        gave_up_spinning: spins.then_some(stats.gave_up),
        went_to_kernel: stats.went_to_kernel,
        spin_count: distribution(&stats.spin_count, Unit::Count),
        spin_time: distribution(&stats.spin_time, Unit::Ns),
        hold: (stats.hold.count() > 0).then(|| distribution(&stats.hold, Unit::Ns)),
        stacks: stacks(&stats.stacks),
    }
}

fn lies_in(place: &LockPlace) -> (Place, Option<SharedObject>) {
    match place {
        LockPlace::Private { .. } => (Place::Private, None),
        LockPlace::Unresolved { .. } => (Place::Unresolved, None),
        LockPlace::Shared { device, inode, offset, path } => {
            let (device, inode, offset, path) = (*device, *inode, *offset, path.clone());
            (Place::Shared, Some(SharedObject { device, inode, offset, path }))
        }
    }
}

fn outcomes(stats: &FutexStats, waits: bool) -> BTreeMap<String, u64> {
    let success = if waits { "woken" } else { "done" };
    let failed = stats.errors.iter().map(|(errno, count)| (errno::name(*errno).into_owned(), *count));
    let all = failed.chain([(success.to_owned(), stats.succeeded())]);
    all.filter(|(_, count)| *count > 0).collect()
}

fn verdict(verdict: Verdict) -> Waits {
    match verdict {
        Verdict::Contention => Waits::Contention,
        Verdict::Unclear => Waits::Unclear,
        Verdict::Waiting => Waits::Waiting,
        Verdict::Idle => Waits::Idle,
    }
}

fn seen(seen: &MutexSeen) -> Seen {
    let holder = |((tid, comm), count): (&(u32, String), &u64)| Holder {
        tid: *tid,
        comm: comm.clone(),
        count: *count,
    };
    let mut holders: Vec<Holder> = seen.holders.iter().map(holder).collect();
    holders.sort_by_key(|holder| Reverse(holder.count));
    let spins = distribution(&seen.spins, Unit::Count);
    Seen { kind: seen.kind.name(), holders, spins, spin_mean: spin_mean(seen) }
}

fn spin_mean(seen: &MutexSeen) -> Option<SpinMean> {
    let mean = seen.spin_mean()?;
    Some(SpinMean {
        mean: mean.mean,
        samples: mean.samples,
        moved: seen.sampled.moved.count(),
        below: mean.below(),
        doubt: mean.doubt.map(|doubt| doubt.words().to_owned()),
    })
}

/// Stacks, the most frequent first.
pub fn stacks(stacks: &[StackCount]) -> Vec<Stack> {
    let stack = |stack: &StackCount| Stack {
        frames: stack.frames.clone(),
        caller: stack.caller.clone(),
        cut: stack.cut.clone(),
        count: stack.count,
    };
    let mut stacks: Vec<Stack> = stacks.iter().map(stack).collect();
    stacks.sort_by_key(|stack| Reverse(stack.count));
    stacks
}

#[cfg(test)]
mod tests {
    use model::frame::ProcessKey;

    use super::*;

    #[test]
    fn parts_name_the_lock_that_the_report_has() {
        let mut process = session::Process::default();
        for (address, op, function) in [
            (0xf0, "WAIT", "take_gil"),
            (0x120, "WAKE", ""),
            (0x180, "WAIT", "take_gil"),
            (0x900, "WAIT", "main"),
        ] {
            let mut stats = FutexStats { count: 1, ..FutexStats::default() };
            if locks::waits(op) {
                let frames = vec!["pthread_cond_timedwait".to_owned(), function.to_owned()];
                stats.stacks = vec![StackCount { frames, caller: None, cut: None, count: 1 }];
                stats.wait.record(1000);
            }
            process.futexes.insert((LockPlace::Private { address }, address, op.to_owned()), stats);
        }
        let rows = futexes(&Header::default(), &process);
        let named: Vec<_> = rows.iter().map(|futex| futex.lock).collect();
        assert_eq!(named, [Some(0xf0), Some(0xf0), Some(0xf0), None]);
        let report = locks::ranked([(&ProcessKey { pid: 7, joined_ns: 0 }, &process)]);
        let places: Vec<_> = report.into_iter().map(|lock| lock.place).collect();
        assert_eq!(places, [0xf0, 0x900].map(|address| LockPlace::Private { address }));
    }
}
