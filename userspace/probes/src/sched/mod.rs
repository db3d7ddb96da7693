//! Scheduling: from the kernel side's accounts to what happened since the last look.

use std::collections::HashMap;

use pulse_trace_common::{
    probes::sched::{Ended, Sched as Accounts, state},
    target::{COMM_LEN, Thread},
};

mod accounts;
mod gap;
mod interrupts;
mod wakers;

use accounts::Calls;
use kernel::{Histograms, Kernel};
use model::{
    frame::ThreadName,
    sched::{CpuShare, SchedStats},
    text,
};
use wakers::Wakers;

/// Changes of a row since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Number of the row.
    pub row: u32,
    /// Distributions, CPUs and wakers.
    pub stats: SchedStats,
}

/// Changes of a thread since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadChange {
    /// The row of its process.
    pub process: u32,
    /// Id and name of the thread.
    pub thread: ThreadName,
    /// Counts and budget.
    pub stats: SchedStats,
}

/// Changes since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchedChanges {
    /// Changes by row.
    pub rows: Vec<RowChange>,
    /// Changes by thread.
    pub threads: Vec<ThreadChange>,
}

/// A thread's seat and when its accounts began. Seats are reused; ids too, and a thread can take over another one's.
type Life = (u32, u64);

/// The reader of the probe's accounts: remembers what it has seen.
#[derive(Default)]
pub struct Sched {
    histograms: Histograms,
    cpus: HashMap<(u32, u32), CpuShare>,
    threads: HashMap<Life, SchedStats>,
    /// While it is switched off.
    gap: Option<gap::Gap>,
    wakers: Wakers,
}

impl Sched {
    /// Changes since the last look, until `end` of the monotonic clock.
    pub fn drain(&mut self, kernel: &mut Kernel, end: u64) -> SchedChanges {
        if self.gap.is_some() {
            return self.unknown(kernel, end);
        }
        let mut changes = SchedChanges::default();
        let open: Vec<_> = kernel.accounts().collect();
        let gone: Vec<Life> =
            self.threads.keys().filter(|(seat, began)| !kernel.is_seated(*seat, *began)).copied().collect();
        // Read last: a thread that has died since its account was passed is here.
        let ended = kernel.ended_threads();
        for (seat, thread, sched) in open {
            if sched.state == state::BORN {
                continue;
            }
            let totals = accounts::totals(&sched, Calls::from(&thread), end);
            self.add_thread(&mut changes, (seat, sched.began_ns), thread_of(&thread, &sched.comm), totals);
        }
        self.add_ended(&mut changes, ended);
        for life in gone {
            self.threads.remove(&life);
        }
        self.drain_rows(kernel, &mut changes);
        changes
    }

    /// Threads that are off the CPU now.
    #[must_use]
    pub fn waiting(kernel: &Kernel) -> u64 {
        let states = [state::BLOCKED, state::WOKEN, state::PREEMPTED];
        kernel.accounts().filter(|(_, _, sched)| states.contains(&sched.state)).count() as u64
    }

    fn add_ended(&mut self, changes: &mut SchedChanges, ended: Vec<Ended>) {
        for it in ended {
            let (rest, closed) = (it.rest, Accounts { state: state::RUNNING, ..it.sched });
            let calls = Calls { in_calls_ns: rest.in_calls_ns, ..Calls::default() };
            let totals = accounts::totals(&closed, calls, rest.at_ns);
            let (life, thread) = ((rest.seat, closed.began_ns), name_of(rest.tid, &closed.comm));
            self.add_thread(changes, life, (rest.process, thread), totals);
            self.threads.remove(&life);
        }
    }

    fn add_thread(
        &mut self,
        changes: &mut SchedChanges,
        life: Life,
        (process, thread): (u32, ThreadName),
        totals: SchedStats,
    ) {
        let stats = accounts::difference(&totals, self.threads.get(&life).unwrap_or(&SchedStats::default()));
        self.threads.insert(life, totals);
        changes.threads.push(ThreadChange { process, thread, stats });
    }

    fn drain_rows(&mut self, kernel: &mut Kernel, changes: &mut SchedChanges) {
        let mut rows: HashMap<u32, SchedStats> = HashMap::new();
        for (row, _) in kernel.rows() {
            let stats = rows.entry(row).or_default();
            let [wakeup, preempted, on_cpu, off_cpu] =
                kernel.row_histograms(row).map(|id| self.histograms.take(kernel, id));
            (stats.wakeup_to_run, stats.preempted_to_run) = (wakeup, preempted);
            (stats.on_cpu, stats.off_cpu) = (on_cpu, off_cpu);
            for (cpu, time) in kernel.cpu_times(row) {
                let now = CpuShare { stretches: time.stretches, ns: time.ns };
                let seen = self.cpus.insert((row, cpu), now).unwrap_or_default();
                let new = CpuShare { stretches: now.stretches - seen.stretches, ns: now.ns - seen.ns };
                if new.stretches != 0 {
                    stats.cpus.insert(cpu, new);
                }
            }
        }
        self.drain_wakers(kernel, &mut rows);
        let changed = rows.into_iter().filter(|(_, stats)| *stats != SchedStats::default());
        changes.rows.extend(changed.map(|(row, stats)| RowChange { row, stats }));
    }

    /// Forgets a row that was given back, and its histograms.
    pub fn forget(&mut self, row: u32, histograms: &[u32]) {
        self.histograms.forget(histograms);
        self.cpus.retain(|(of, _), _| *of != row);
        self.wakers.forget(row);
    }
}

/// The row of a thread's process, and the thread.
fn thread_of(thread: &Thread, comm: &[u8; COMM_LEN]) -> (u32, ThreadName) {
    (thread.process, name_of(thread.tid, comm))
}

fn name_of(tid: u32, comm: &[u8; COMM_LEN]) -> ThreadName {
    ThreadName { tid, comm: text::of_comm(comm) }
}
