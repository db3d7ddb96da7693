//! Scheduling: from the kernel side's accounts to what happened since the last look.

use std::collections::{HashMap, HashSet};

use pulse_trace_common::{
    probes::sched::{Edge, Ended, Sched as Accounts, context, edge_parts, state},
    target::COMM_LEN,
};

mod accounts;
mod gap;

use crate::{
    kernel::{Histograms, Kernel},
    model::{
        frame::ThreadName,
        sched::{CpuShare, SchedStats, Waker, WakerContext},
        spec::Spec,
        text,
    },
};
use accounts::Calls;

/// The probe's description.
pub const SPEC: Spec = Spec {
    name: "sched",
    summary: "where each thread's time goes: running, waiting for a CPU, blocked and in which call; who wakes whom",
    hooks: &[
        "tp_btf:sched_waking",
        "tp_btf:sched_wakeup",
        "tp_btf:sched_wakeup_new",
        "tp_btf:sched_switch",
        "tp_btf:hrtimer_expire_entry",
        "tp_btf:hrtimer_expire_exit",
    ],
    needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF; from 5.15 on interrupts of devices are told from tasks, too",
    default: true,
    cost: "100 to 200 ns per switch and 100 to 240 ns per wakeup of a target, 10 to 30 ns of anybody else",
};

/// What a row did since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The row.
    pub row: u32,
    /// Distributions, CPUs and wakers.
    pub stats: SchedStats,
}

/// What a thread did since the last look.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadChange {
    /// The row of its process.
    pub process: u32,
    /// Which.
    pub thread: ThreadName,
    /// Counts and budget.
    pub stats: SchedStats,
}

/// What happened since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchedChanges {
    /// By row.
    pub rows: Vec<RowChange>,
    /// By thread.
    pub threads: Vec<ThreadChange>,
}

/// A thread in its life: ids are reused, and so are seats.
type Life = (u32, u64);

/// The reader of the probe's accounts: remembers what it has seen.
#[derive(Default)]
pub struct Sched {
    histograms: Histograms,
    cpus: HashMap<(u32, u32), CpuShare>,
    threads: HashMap<Life, SchedStats>,
    /// While it is switched off.
    gap: Option<gap::Gap>,
}

impl Sched {
    /// What happened since the last look, until `end` of the monotonic clock.
    pub fn drain(&mut self, kernel: &mut Kernel, end: u64) -> SchedChanges {
        if self.gap.is_some() {
            return self.unknown(kernel, end);
        }
        let ended = kernel.ended_threads();
        let mut changes = SchedChanges::default();
        let mut alive = HashSet::new();
        for (thread, sched) in kernel.accounts() {
            if sched.state == state::BORN {
                continue;
            }
            let life = (thread.tid, sched.began_ns);
            alive.insert(life);
            let totals = accounts::totals(&sched, Calls::from(&thread), end);
            self.add_thread(&mut changes, life, thread.process, &sched.comm, totals);
        }
        self.add_ended(&mut changes, ended);
        self.threads.retain(|life, _| alive.contains(life));
        self.drain_rows(kernel, &mut changes);
        changes
    }

    /// Threads that are off the CPU now.
    #[must_use]
    pub fn waiting(kernel: &Kernel) -> u64 {
        let states = [state::BLOCKED, state::WOKEN, state::PREEMPTED];
        kernel.accounts().filter(|(_, sched)| states.contains(&sched.state)).count() as u64
    }

    fn add_ended(&mut self, changes: &mut SchedChanges, ended: Vec<Ended>) {
        for it in ended {
            let (rest, closed) = (it.rest, Accounts { state: state::RUNNING, ..it.sched });
            let calls = Calls { in_calls_ns: rest.in_calls_ns, ..Calls::default() };
            let totals = accounts::totals(&closed, calls, rest.at_ns);
            self.add_thread(changes, (rest.tid, closed.began_ns), rest.process, &rest.comm, totals);
        }
    }

    fn add_thread(
        &mut self,
        changes: &mut SchedChanges,
        life: Life,
        process: u32,
        comm: &[u8; COMM_LEN],
        totals: SchedStats,
    ) {
        let stats = accounts::difference(&totals, self.threads.get(&life).unwrap_or(&SchedStats::default()));
        self.threads.insert(life, totals);
        let thread = ThreadName { tid: life.0, comm: text::of_comm(comm) };
        changes.threads.push(ThreadChange { process, thread, stats });
    }

    fn drain_rows(&mut self, kernel: &Kernel, changes: &mut SchedChanges) {
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
        for (_, edge) in kernel.edges() {
            let latency = self.histograms.take(kernel, edge.histogram);
            if latency.count() != 0 {
                let row = edge_parts(edge.key).0;
                rows.entry(row).or_default().wakers.entry(waker(&edge)).or_default().merge(&latency);
            }
        }
        let changed = rows.into_iter().filter(|(_, stats)| *stats != SchedStats::default());
        changes.rows.extend(changed.map(|(row, stats)| RowChange { row, stats }));
    }

    /// Forgets a row that was given back, and its histograms.
    pub fn forget(&mut self, row: u32, histograms: &[u32]) {
        self.histograms.forget(histograms);
        self.cpus.retain(|(of, _), _| *of != row);
    }
}

fn waker(edge: &Edge) -> Waker {
    let (_, made_in, pid) = edge_parts(edge.key);
    let context = match made_in {
        context::INTERRUPT => WakerContext::Interrupt,
        context::TASK => WakerContext::Task,
        _ => WakerContext::Unknown,
    };
    let comm = if context == WakerContext::Interrupt { String::new() } else { text::of_comm(&edge.comm) };
    Waker { context, pid, comm }
}
