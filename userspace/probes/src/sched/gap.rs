//! Time in which the probe is switched off: of threads that live through it, it is unknown time.

use std::collections::HashMap;

use kernel::Kernel;
use model::{
    frame::ThreadName,
    sched::{Budget, SchedStats},
    text,
};

use super::{Calls, Sched, SchedChanges, ThreadChange, accounts, state, thread_of};

/// Threads that live through the gap, and the time up to which that has been reported.
#[derive(Default)]
pub struct Gap {
    /// Thread ids by seat.
    seats: HashMap<u32, u32>,
    told_ns: u64,
}

impl Sched {
    /// Closes the accounts: what has happened until now, and from here on all time is unknown.
    pub fn suspend(&mut self, kernel: &mut Kernel, now: u64) -> SchedChanges {
        let mut changes = self.drain(kernel, now);
        let mut gap = Gap { told_ns: now, ..Gap::default() };
        for (seat, thread, sched) in kernel.close_accounts() {
            if sched.state == state::BORN {
                continue;
            }
            let totals = accounts::totals(&sched, Calls::from(&thread), now);
            self.add_thread(&mut changes, (seat, sched.began_ns), thread_of(&thread, &sched.comm), totals);
            gap.seats.insert(seat, thread.tid);
        }
        self.drain_rows(kernel, &mut changes);
        // Threads that died while the accounts were being closed.
        self.add_ended(&mut changes, kernel.ended_threads());
        self.threads.clear();
        self.gap = Some(gap);
        changes
    }

    /// The accounts are to be opened anew: the rest of the time that is unknown.
    pub fn resume(&mut self, kernel: &mut Kernel, now: u64) -> SchedChanges {
        let changes = self.unknown(kernel, now);
        self.gap = None;
        changes
    }

    /// Changes that can be reported while the probe is off: unknown time.
    pub(super) fn unknown(&mut self, kernel: &mut Kernel, now: u64) -> SchedChanges {
        // Accounts of threads that were born meanwhile: no probe has seen those.
        drop(kernel.ended_threads());
        let mut changes = SchedChanges::default();
        let Some(gap) = &mut self.gap else { return changes };
        let ns = now.saturating_sub(gap.told_ns);
        gap.told_ns = now;
        let mut seats = HashMap::new();
        for (seat, thread) in kernel.seated() {
            let name = kernel.name_of(seat);
            if gap.seats.get(&seat) == Some(&thread.tid) {
                let budget = Budget { wall_ns: ns, unknown_ns: ns, ..Budget::default() };
                changes.threads.push(ThreadChange {
                    process: thread.process,
                    thread: ThreadName { tid: thread.tid, comm: text::of_comm(&name) },
                    stats: SchedStats { budget, ..SchedStats::default() },
                });
            }
            seats.insert(seat, thread.tid);
        }
        gap.seats = seats;
        changes
    }
}
