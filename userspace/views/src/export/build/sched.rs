//! Export of scheduling data.

use std::cmp::Reverse;

use model::{hist, sched, session::Process, syscalls};

use super::hist::distribution;
use crate::export::json::{
    Blocked, Budget, CpuShare, Hist, RunQueue, Sched, SchedThread, Unit, Waker, WakerContext,
};

/// A process and its threads.
pub fn sched(arch: &str, whole: &sched::SchedStats, process: &Process) -> Sched {
    let name = |tid: &u32| process.thread_names.get(tid).cloned().unwrap_or_default();
    let threads = process.sched_threads.iter();
    Sched {
        switches_voluntary: whole.voluntary,
        switches_involuntary: whole.involuntary,
        migrations: whole.migrations,
        wakeup_to_run: distribution(&whole.wakeup_to_run, Unit::Ns),
        preempted_to_run: distribution(&whole.preempted_to_run, Unit::Ns),
        on_cpu: distribution(&whole.on_cpu, Unit::Ns),
        off_cpu: distribution(&whole.off_cpu, Unit::Ns),
        cpus: cpus(whole),
        wakers: wakers(whole),
        budget: budget(arch, &whole.budget),
        threads: threads.map(|(tid, stats)| thread(arch, *tid, name(tid), stats)).collect(),
    }
}

fn thread(arch: &str, tid: u32, comm: String, stats: &sched::SchedStats) -> SchedThread {
    let some = |values: &hist::Hist| -> Option<Hist> {
        (values.count() > 0).then(|| distribution(values, Unit::Ns))
    };
    SchedThread {
        tid,
        comm,
        switches_voluntary: stats.voluntary,
        switches_involuntary: stats.involuntary,
        migrations: stats.migrations,
        budget: budget(arch, &stats.budget),
        wakeup_to_run: some(&stats.wakeup_to_run),
        preempted_to_run: some(&stats.preempted_to_run),
        on_cpu: some(&stats.on_cpu),
        off_cpu: some(&stats.off_cpu),
        cpus: cpus(stats),
        wakers: wakers(stats),
    }
}

fn cpus(stats: &sched::SchedStats) -> Vec<CpuShare> {
    let share = |(cpu, share): (&u32, &sched::CpuShare)| CpuShare {
        cpu: *cpu,
        stretches: share.stretches,
        ns: share.ns,
    };
    stats.cpus.iter().map(share).collect()
}

fn wakers(stats: &sched::SchedStats) -> Vec<Waker> {
    let waker = |(waker, latency): (&sched::Waker, &hist::Hist)| Waker {
        pid: waker.pid,
        comm: waker.comm.clone(),
        context: match waker.context {
            sched::WakerContext::Task => WakerContext::Task,
            sched::WakerContext::Interrupt(_) => WakerContext::Interrupt,
            sched::WakerContext::Unknown => WakerContext::Unknown,
        },
        interrupt: match waker.context {
            sched::WakerContext::Interrupt(kind) => Some(kind.word().to_owned()),
            _ => None,
        },
        count: latency.count(),
        latency: distribution(latency, Unit::Ns),
    };
    let mut wakers: Vec<Waker> = stats.wakers.iter().map(waker).collect();
    wakers.sort_by_key(|waker| Reverse(waker.count));
    wakers
}

fn budget(arch: &str, budget: &sched::Budget) -> Budget {
    let blocked = |(place, blocked): (&sched::Place, &sched::Blocked)| Blocked {
        place: match place {
            sched::Place::Call(call) => syscalls::name(arch, *call).into_owned(),
            sched::Place::Outside => "outside".to_owned(),
            sched::Place::Other => "other".to_owned(),
        },
        count: blocked.count,
        ns: blocked.ns,
    };
    let mut places: Vec<Blocked> = budget.blocked.iter().map(blocked).collect();
    places.sort_by_key(|place| Reverse(place.ns));
    Budget {
        wall_ns: budget.wall_ns,
        user_ns: budget.user_ns,
        faults_ns: budget.faults_ns,
        kernel_ns: budget.kernel_ns,
        run_queue_ns: RunQueue { woken: budget.woken_ns, preempted: budget.preempted_ns },
        blocked: places,
        stopped_ns: budget.stopped_ns,
        unknown_ns: budget.unknown_ns,
    }
}
