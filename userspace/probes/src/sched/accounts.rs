//! A thread's accounts: what the kernel side has booked, and what the state it is in adds until now.

use std::collections::BTreeMap;

use model::sched::{Blocked, Budget, Place, SchedStats};
use pulse_trace_common::{
    probes::sched::{OUTSIDE, Sched, initial, state},
    target::{Thread, phase},
};

use super::super::syscalls::call_of;

/// State of a thread's calls, besides its accounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// Time in calls that ended; wraps.
    pub in_calls_ns: u64,
    /// The call it is in now, as its index plus one; 0 for none.
    pub call: u32,
    /// Time at which that call began, ns of the monotonic clock.
    pub entered_ns: u64,
    /// True while no call was seen yet: the one it was in when the session began still runs.
    pub fresh: bool,
}

impl From<&Thread> for Calls {
    fn from(thread: &Thread) -> Self {
        Self {
            in_calls_ns: thread.in_calls_ns,
            call: thread.call,
            entered_ns: thread.entered_ns,
            fresh: thread.phase == phase::FRESH,
        }
    }
}

/// The totals of a thread at a time: counts, and a budget whose parts add up.
#[must_use]
pub fn totals(sched: &Sched, calls: Calls, now: u64) -> SchedStats {
    let end = now.max(sched.since_ns);
    let mut budget = Budget {
        wall_ns: end.saturating_sub(sched.began_ns),
        woken_ns: sched.woken_wait_ns,
        preempted_ns: sched.preempted_wait_ns,
        blocked: booked(sched),
        stopped_ns: sched.stopped_ns,
        unknown_ns: sched.unknown_ns,
        ..Budget::default()
    };
    let place = place_now(sched, calls);
    let since = end - sched.since_ns;
    let mut on_cpu = sched.on_cpu_ns;
    let mut off_in_calls = sched.off_in_calls_ns;
    if in_call(calls, place) && sched.state != state::RUNNING {
        off_in_calls += since;
    }
    let asleep_for = if sched.woken_ns == 0 || sched.state == state::BLOCKED {
        since
    } else {
        sched.woken_ns.saturating_sub(sched.since_ns).min(since)
    };
    match (sched.state, sched.initial) {
        (state::RUNNING, _) | (state::UNKNOWN, initial::RUNNABLE) => on_cpu += since,
        (state::PREEMPTED, _) => budget.preempted_ns += since,
        (state::UNKNOWN, initial::NOTHING) => budget.unknown_ns += since,
        (_, what) => {
            if sched.stopped != 0 || calls.call == 0 && what == initial::STOPPED {
                budget.stopped_ns += asleep_for;
            } else {
                budget.blocked.entry(place).or_default().ns += asleep_for;
            }
            budget.woken_ns += since - asleep_for;
        }
    }
    let in_calls = calls.in_calls_ns.wrapping_add(open_call(sched, calls, end));
    budget.kernel_ns = (in_calls.wrapping_sub(off_in_calls) as i64).clamp(0, on_cpu as i64) as u64;
    budget.faults_ns = sched.faults_ns.min(on_cpu - budget.kernel_ns);
    budget.user_ns = on_cpu - budget.kernel_ns - budget.faults_ns;
    SchedStats {
        voluntary: u64::from(sched.voluntary),
        involuntary: u64::from(sched.involuntary),
        migrations: u64::from(sched.migrations),
        budget,
        ..SchedStats::default()
    }
}

fn booked(sched: &Sched) -> BTreeMap<Place, Blocked> {
    let named = sched.places.iter().filter(|place| place.call != 0);
    let mut blocked: BTreeMap<Place, Blocked> =
        named.map(|it| (place(it.call), Blocked { count: u64::from(it.count), ns: it.ns })).collect();
    if sched.elsewhere_count != 0 {
        let rest = Blocked { count: u64::from(sched.elsewhere_count), ns: sched.elsewhere_ns };
        blocked.insert(Place::Other, rest);
    }
    blocked
}

fn place(call: u32) -> Place {
    if call == OUTSIDE { Place::Outside } else { Place::Call(call_of(call - 1)) }
}

/// True if it is in a call that is counted, or one that it has been in since before the session.
const fn in_call(calls: Calls, place: Place) -> bool {
    calls.call != 0 || calls.fresh && matches!(place, Place::Call(_))
}

/// Place of a thread that is off the CPU now.
fn place_now(sched: &Sched, calls: Calls) -> Place {
    match (calls.call, sched.initial) {
        (0, initial::NOTHING | initial::RUNNABLE) if calls.fresh => Place::Other,
        (0, initial::NOTHING | initial::RUNNABLE | initial::STOPPED) => Place::Outside,
        (0, call) => place(call),
        (call, _) => place(call),
    }
}

/// Time that the call that a thread is in has lasted within its accounts, ns.
fn open_call(sched: &Sched, calls: Calls, end: u64) -> u64 {
    if calls.call != 0 {
        end.saturating_sub(calls.entered_ns)
    } else if in_call(calls, place_now(sched, calls)) {
        end.saturating_sub(sched.began_ns)
    } else {
        0
    }
}

/// Growth of the totals since they were last looked at. A guess about the state that a thread was in can turn out
/// wrong: then another part of the budget is taken back to what is left, and the sum stays right.
#[must_use]
pub fn difference(now: &SchedStats, seen: &SchedStats) -> SchedStats {
    let (new, old) = (&now.budget, &seen.budget);
    let mut excess = 0;
    let mut part = |now: u64, then: u64| {
        excess += then.saturating_sub(now);
        now.saturating_sub(then)
    };
    let mut budget = Budget {
        wall_ns: new.wall_ns.saturating_sub(old.wall_ns),
        user_ns: part(new.user_ns, old.user_ns),
        faults_ns: part(new.faults_ns, old.faults_ns),
        kernel_ns: part(new.kernel_ns, old.kernel_ns),
        woken_ns: part(new.woken_ns, old.woken_ns),
        preempted_ns: part(new.preempted_ns, old.preempted_ns),
        stopped_ns: part(new.stopped_ns, old.stopped_ns),
        unknown_ns: part(new.unknown_ns, old.unknown_ns),
        blocked: BTreeMap::new(),
    };
    for (place, blocked) in &new.blocked {
        let then = old.blocked.get(place).copied().unwrap_or_default();
        let change =
            Blocked { count: blocked.count.saturating_sub(then.count), ns: part(blocked.ns, then.ns) };
        if change != Blocked::default() {
            budget.blocked.insert(*place, change);
        }
    }
    for (place, then) in &old.blocked {
        if !new.blocked.contains_key(place) {
            excess += then.ns;
        }
    }
    take_back(&mut budget, excess);
    SchedStats {
        // Counters wrap at 32 bits, and are looked at far more often than that.
        voluntary: u64::from((now.voluntary as u32).wrapping_sub(seen.voluntary as u32)),
        involuntary: u64::from((now.involuntary as u32).wrapping_sub(seen.involuntary as u32)),
        migrations: u64::from((now.migrations as u32).wrapping_sub(seen.migrations as u32)),
        budget,
        ..SchedStats::default()
    }
}

fn take_back(budget: &mut Budget, mut excess: u64) {
    let fixed = [
        &mut budget.user_ns,
        &mut budget.faults_ns,
        &mut budget.kernel_ns,
        &mut budget.woken_ns,
        &mut budget.preempted_ns,
        &mut budget.stopped_ns,
        &mut budget.unknown_ns,
    ];
    for part in fixed.into_iter().chain(budget.blocked.values_mut().map(|blocked| &mut blocked.ns)) {
        let taken = excess.min(*part);
        *part -= taken;
        excess -= taken;
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use model::frame::{Abi, Call};

    use super::*;

    const READ: Place = Place::Call(Call::whole(Abi::Native, 0));

    fn accounts(state: u32) -> Sched {
        Sched { state, began_ns: 1000, since_ns: 2000, on_cpu_ns: 600, unknown_ns: 400, ..Sched::zeroed() }
    }

    #[test]
    fn the_state_it_is_in_counts_until_now() {
        let in_read = Calls { call: 1, entered_ns: 1900, ..Calls::default() };
        let running = totals(&accounts(state::RUNNING), in_read, 2500);
        assert_eq!((running.budget.kernel_ns, running.budget.user_ns), (600, 500));
        let blocked = totals(&accounts(state::BLOCKED), in_read, 2500);
        assert_eq!(blocked.budget.blocked[&READ], Blocked { count: 0, ns: 500 });
        assert_eq!((blocked.budget.kernel_ns, blocked.budget.user_ns), (100, 500));
        let stopped = totals(&Sched { stopped: 1, ..accounts(state::BLOCKED) }, in_read, 2500).budget;
        assert_eq!((stopped.stopped_ns, stopped.blocked.get(&READ)), (500, None));
        let woken = Sched { woken_ns: 2300, ..accounts(state::WOKEN) };
        let woken = totals(&woken, in_read, 2500).budget;
        assert_eq!((woken.blocked[&READ].ns, woken.woken_ns), (300, 200));
        for state in [state::RUNNING, state::BLOCKED, state::WOKEN, state::PREEMPTED, state::UNKNOWN] {
            let budget = totals(&accounts(state), in_read, 2500).budget;
            assert_eq!((budget.wall_ns, budget.parts_ns()), (1500, 1500), "{state}");
        }
    }

    #[test]
    fn a_thread_that_never_moved_is_where_it_was_found() {
        let found = |initial| Sched { initial, on_cpu_ns: 0, unknown_ns: 0, since_ns: 1000, ..accounts(0) };
        let fresh = Calls { fresh: true, ..Calls::default() };
        let asleep = totals(&found(1), fresh, 3000).budget;
        assert_eq!((asleep.blocked[&READ].ns, asleep.kernel_ns), (2000, 0));
        assert_eq!(totals(&found(initial::RUNNABLE), fresh, 3000).budget.user_ns, 2000);
        let stopped = totals(&found(initial::STOPPED), fresh, 3000).budget;
        assert_eq!((stopped.stopped_ns, stopped.blocked_ns(), stopped.parts_ns()), (2000, 0, 2000));
        assert_eq!(totals(&found(initial::OUTSIDE), fresh, 3000).budget.blocked[&Place::Outside].ns, 2000);
        assert_eq!(totals(&found(initial::NOTHING), fresh, 3000).budget.unknown_ns, 2000);
    }

    #[test]
    fn a_guess_that_was_wrong_leaves_the_sum_right() {
        let budget = |user_ns, preempted_ns| Budget {
            wall_ns: user_ns + preempted_ns,
            user_ns,
            preempted_ns,
            ..Budget::default()
        };
        let seen = SchedStats { budget: budget(100, 0), ..SchedStats::default() };
        let now = SchedStats { budget: budget(20, 230), voluntary: 3, ..SchedStats::default() };
        let change = difference(&now, &seen);
        assert_eq!((change.budget.user_ns, change.budget.preempted_ns), (0, 150));
        assert_eq!((change.budget.wall_ns, change.budget.parts_ns(), change.voluntary), (150, 150, 3));
    }
}
