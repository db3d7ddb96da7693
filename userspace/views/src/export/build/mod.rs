//! From a session to its export.

mod cost;
mod counters;
mod events;
mod hist;
mod inline;
mod locks;
mod sched;

use std::collections::BTreeMap;

pub use cost::ledger;
use cost::overhead;
pub use hist::distribution;
use model::{errno, frame, session, status, syscalls};

use super::json::{Abi, Exit, Export, Host, Info, Lean, Process, SCHEMA, Syscall, Thread, Tool, Unit};

impl From<&session::Session> for Export {
    fn from(session: &session::Session) -> Self {
        let header = &session.header;
        Self {
            schema: SCHEMA.to_owned(),
            tool: Tool { name: "pulse-trace".to_owned(), version: header.tool_version.clone() },
            host: Host {
                kernel: header.kernel.clone(),
                arch: header.arch.clone(),
                cpus: header.cpus,
                clock: header.clock.clone(),
            },
            session: Info {
                command: header.command.clone(),
                targets: header.targets.clone(),
                start_unix_ns: header.start_unix_ns,
                duration_ns: session.duration_ns,
                probes: header.probes.clone(),
                per_thread: header.per_thread,
                finished: session.finished,
            },
            processes: session.processes.iter().map(|(key, it)| process(header, *key, it)).collect(),
            ledger: ledger(&session.ledger),
            overhead: overhead(session),
            notes: session.notes.clone(),
        }
    }
}

fn process(header: &session::Header, key: frame::ProcessKey, process: &session::Process) -> Process {
    let since_start = key.joined_ns.saturating_sub(header.start_mono_ns);
    let calls = process.calls();
    Process {
        pid: key.pid,
        comm: process.comm.clone(),
        parent: process.parent,
        threads: process.threads,
        folded: (process.folded != 0).then_some(process.folded),
        start_unix_ns: header.start_unix_ns.saturating_add(since_start),
        exit: process.exit.map(|exit| Exit {
            status: exit.status,
            text: status::words(exit.status),
            unix_ns: header.start_unix_ns.saturating_add(exit.at_ns),
        }),
        syscalls: calls.iter().map(|(call, stats)| syscall(&header.arch, *call, stats)).collect(),
        by_thread: header.per_thread.then(|| by_thread(header, process)),
        sched: process.sched.as_ref().map(|whole| sched::sched(&header.arch, whole, process)),
        futex: locks::futexes(header, process),
        mutex: process.mutexes.iter().map(|(key, mutex)| locks::mutex(key, mutex)).collect(),
        inline: process.inline.iter().map(|(kind, it)| inline::inline(*kind, it)).collect(),
        events: events::events(process),
        counters: process.counters.as_ref().map(Into::into),
    }
}

fn by_thread(header: &session::Header, process: &session::Process) -> Vec<Thread> {
    let mut threads: BTreeMap<u32, Vec<Syscall>> = BTreeMap::new();
    for ((tid, call), stats) in &process.syscalls {
        if let Some(tid) = tid {
            threads.entry(*tid).or_default().push(syscall(&header.arch, *call, stats));
        }
    }
    let name = |tid: &u32| process.thread_names.get(tid).cloned().unwrap_or_default();
    threads.into_iter().map(|(tid, syscalls)| Thread { tid, comm: name(&tid), syscalls }).collect()
}

fn syscall(arch: &str, call: frame::Call, stats: &frame::CallStats) -> Syscall {
    Syscall {
        nr: call.nr,
        abi: match call.abi {
            frame::Abi::Native => Abi::Native,
            frame::Abi::Compat => Abi::Compat,
        },
        name: syscalls::name(arch, call).into_owned(),
        call: syscalls::whole_name(arch, call).into_owned(),
        count: stats.count(),
        errors: stats
            .errors
            .iter()
            .map(|(errno, count)| (errno::name(*errno).into_owned(), *count))
            .collect(),
        latency: distribution(&stats.latency, Unit::Ns),
        lean: Lean { count: stats.lean.count, sum_ns: stats.lean.sum_ns, max_ns: stats.lean.max_ns },
        untimed: stats.untimed,
        unreturned: stats.unreturned,
        blocked_ns: stats.blocked_ns,
        queued_ns: stats.queued_ns,
        in_flight: stats.in_flight,
    }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    #[test]
    fn an_export_reads_back_as_what_it_was() {
        for threads in [0, 3] {
            let session = synthetic::session(11, Shape { threads, ..Shape::default() });
            let text = super::super::json::encode(&session).unwrap();
            let read: Export = serde_json::from_slice(&text).unwrap();
            assert_eq!(read, Export::from(&session));
            assert_eq!(read.processes.iter().all(|process| process.by_thread.is_some()), threads > 0);
        }
    }

    #[test]
    fn counts_add_up_in_every_split() {
        let session = synthetic::session(12, Shape { threads: 3, ..Shape::default() });
        let export = Export::from(&session);
        let mut counted = 0;
        for process in &export.processes {
            for call in &process.syscalls {
                let rest = call.lean.count + call.untimed + call.unreturned;
                assert_eq!(call.count, call.latency.count + rest);
                assert_eq!(
                    call.latency.count,
                    call.latency.buckets.iter().map(|bucket| bucket.2).sum::<u64>()
                );
                counted += call.count;
            }
            let threads = process.by_thread.iter().flatten().flat_map(|thread| &thread.syscalls);
            let by_thread: u64 = threads.map(|call| call.count).sum();
            assert_eq!(by_thread, process.syscalls.iter().map(|call| call.count).sum::<u64>());
        }
        assert_eq!(counted, export.ledger.counted);
    }

    #[test]
    fn budgets_and_outcomes_add_up() {
        for threads in [0, 2] {
            let session = synthetic::session(13, Shape { threads, ..Shape::default() });
            let export = Export::from(&session);
            for process in &export.processes {
                let sched = process.sched.as_ref().unwrap();
                let budgets = sched.threads.iter().map(|thread| &thread.budget).chain([&sched.budget]);
                for budget in budgets {
                    let blocked: u64 = budget.blocked.iter().map(|place| place.ns).sum();
                    let queued = budget.run_queue_ns.woken + budget.run_queue_ns.preempted;
                    let parts = budget.user_ns + budget.faults_ns + budget.kernel_ns + queued + blocked;
                    assert_eq!(parts + budget.stopped_ns + budget.unknown_ns, budget.wall_ns);
                }
                assert_eq!(sched.threads.iter().all(|thread| thread.on_cpu.is_some()), threads > 0);
                let wakeups: u64 = sched.wakers.iter().map(|waker| waker.count).sum();
                assert_eq!(wakeups, sched.wakeup_to_run.count);
                for futex in &process.futex {
                    assert_eq!(futex.outcomes.values().sum::<u64>(), futex.count);
                    assert_eq!(futex.waits.is_some(), futex.wait.count > 0);
                }
            }
            let places = export.processes[0].sched.iter().flat_map(|sched| &sched.budget.blocked);
            assert_eq!(places.filter(|place| place.place == "futex").count(), 1);
        }
    }

    #[test]
    fn spins_are_counts_and_everything_else_is_time() {
        let export = Export::from(&synthetic::session(13, Shape::default()));
        let mutex = &export.processes[0].mutex[0];
        assert_eq!((mutex.spin_count.unit, mutex.spin_time.unit), (Unit::Count, Unit::Ns));
        let futexes = || export.processes[0].futex.iter();
        let spins = futexes().filter_map(|futex| futex.mutex.as_ref()).map(|seen| seen.spins.unit);
        assert!(spins.clone().count() > 0 && spins.into_iter().all(|unit| unit == Unit::Count));
        assert!(futexes().all(|futex| futex.wait.unit == Unit::Ns));
    }

    #[test]
    fn probes_that_were_taken_out_say_when() {
        let overhead = Export::from(&synthetic::session(13, Shape::default())).overhead;
        let start = synthetic::header(Shape::default()).start_unix_ns;
        let budget = overhead.budget.unwrap();
        assert_eq!(budget.detached_at_unix_ns, Some(start + 2_123_000_000));
        assert!(overhead.slowdown_estimate > Some(1.0), "{:?}", overhead.slowdown_estimate);
        let calm = Export::from(&synthetic::session(13, Shape { lossy: false, ..Shape::default() }));
        assert_eq!(calm.overhead.budget.unwrap().detached_at_unix_ns, None);
    }
}
