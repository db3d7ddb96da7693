//! Scheduling: budgets whose parts add up to the interval, and distributions that add up to the budget.

use super::{
    COMMS, INTERVAL_NS, Shape,
    calls::native,
    pid,
    random::{Random, recorded},
    threads,
};
use crate::{
    frame::ThreadName,
    sched::{Blocked, Budget, Interrupt, Place, SchedFrame, SchedStats, Waker, WakerContext},
};

/// Places of blocked time.
const PLACES: [Place; 6] = [
    Place::Call(native(202)),
    Place::Call(native(0)),
    Place::Call(native(232)),
    Place::Call(native(230)),
    Place::Outside,
    Place::Other,
];
/// Shares of time of three kinds of threads: user, kernel, woken, preempted, unknown, and the places.
const ROLES: [[u64; 11]; 3] = [
    [420, 130, 40, 160, 5, 120, 60, 0, 0, 10, 5],
    [60, 90, 50, 10, 3, 700, 30, 0, 0, 5, 2],
    [5, 10, 4, 3, 10, 20, 0, 700, 250, 0, 0],
];
const CPUS: u64 = 2;

/// The process as a whole, and each of its threads.
pub fn process(random: &mut Random, shape: Shape, index: u32) -> Vec<SchedFrame> {
    let mut whole = SchedStats::default();
    let mut frames = Vec::new();
    for (number, thread) in threads(shape, index).into_iter().enumerate() {
        let mut stats = thread_stats(random, shape, index, number);
        whole.merge(&stats);
        if shape.threads == 0 {
            // Where threads are not told apart the kernel side has only counts and the budget of each.
            let SchedStats { voluntary, involuntary, migrations, budget, .. } = stats;
            stats = SchedStats { voluntary, involuntary, migrations, budget, ..SchedStats::default() };
        }
        frames.push(SchedFrame { thread: Some(thread), stats });
    }
    frames.insert(0, SchedFrame { thread: None, stats: whole });
    frames
}

fn thread_stats(random: &mut Random, shape: Shape, index: u32, number: usize) -> SchedStats {
    let budget = budget(random, &ROLES[(number + index as usize) % ROLES.len()]);
    let voluntary = budget.blocked.values().map(|blocked| blocked.count).sum();
    let involuntary = 1 + random.below(60);
    let switches = voluntary + involuntary;
    let wakeups = random.split(budget.woken_ns, voluntary);
    let off_cpu = budget.wall_ns - budget.on_cpu_ns() - budget.unknown_ns;
    let mut stats = SchedStats {
        voluntary,
        involuntary,
        migrations: random.below(switches / 4 + 1),
        preempted_to_run: recorded(&random.split(budget.preempted_ns, involuntary)),
        off_cpu: recorded(&random.split(off_cpu, switches)),
        wakeup_to_run: recorded(&wakeups),
        budget,
        ..SchedStats::default()
    };
    for stretch in random.split(stats.budget.on_cpu_ns(), switches) {
        stats.on_cpu.record(stretch);
        let cpu = stats.cpus.entry(random.below(CPUS) as u32).or_default();
        cpu.stretches += 1;
        cpu.ns += stretch;
    }
    for latency in wakeups {
        stats.wakers.entry(waker(random, shape, index)).or_default().record(latency);
    }
    stats
}

fn budget(random: &mut Random, role: &[u64; 11]) -> Budget {
    let weights = role.map(|weight| random.around(weight));
    let whole: u64 = weights.iter().sum::<u64>().max(1);
    let share = |weight: u64| INTERVAL_NS * weight / whole;
    let [user, kernel, woken, preempted, _, places @ ..] = weights.map(share);
    let blocked = PLACES.into_iter().zip(places).filter(|(_, ns)| *ns > 0);
    let blocked = blocked.map(|(place, ns)| (place, Blocked { count: 1 + random.below(40), ns }));
    let mut budget = Budget {
        wall_ns: INTERVAL_NS,
        user_ns: user,
        faults_ns: 0,
        kernel_ns: kernel,
        woken_ns: woken,
        preempted_ns: preempted,
        blocked: blocked.collect(),
        stopped_ns: 0,
        unknown_ns: 0,
    };
    budget.unknown_ns = INTERVAL_NS - budget.parts_ns();
    budget
}

fn waker(random: &mut Random, shape: Shape, index: u32) -> Waker {
    let neighbour = (index + 1) % shape.processes;
    let named = |context, process: u32| Waker {
        context,
        pid: pid(process),
        comm: COMMS[process as usize % COMMS.len()].to_owned(),
    };
    match random.below(8) {
        0..=2 => named(WakerContext::Task, index),
        3..=4 => named(WakerContext::Task, neighbour),
        5 => named(WakerContext::Unknown, index),
        _ => Waker {
            context: WakerContext::Interrupt(Interrupt::ALL[index as usize % 4]),
            pid: 0,
            comm: String::new(),
        },
    }
}

/// A thread that may hold a lock.
pub fn some_thread(random: &mut Random, shape: Shape, index: u32) -> ThreadName {
    let mut threads = threads(shape, index);
    threads.swap_remove(random.below(threads.len() as u64) as usize)
}
