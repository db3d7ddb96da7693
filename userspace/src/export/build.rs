//! From a session to its export.

use std::collections::BTreeMap;

use pulse_trace_common::hist::{self, MAX_RELATIVE_ERROR};

use crate::model::{self, errno, frame, session, status, syscalls};

use super::json::{
    Abi, Exit, Export, Hist, Host, Info, Lean, Ledger, Overhead, Process, Program, SCHEMA, Syscall, Thread,
    Tool, Unit,
};

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
        start_unix_ns: header.start_unix_ns.saturating_add(since_start),
        exit: process.exit.map(|exit| Exit {
            status: exit.status,
            text: status::words(exit.status),
            unix_ns: header.start_unix_ns.saturating_add(exit.at_ns),
        }),
        syscalls: calls.iter().map(|(call, stats)| syscall(&header.arch, *call, stats)).collect(),
        by_thread: header.per_thread.then(|| by_thread(header, process)),
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
        count: stats.count(),
        errors: stats
            .errors
            .iter()
            .map(|(errno, count)| (errno::name(*errno).into_owned(), *count))
            .collect(),
        latency: distribution(&stats.latency),
        lean: Lean { count: stats.lean.count, sum_ns: stats.lean.sum_ns, max_ns: stats.lean.max_ns },
        untimed: stats.untimed,
        unreturned: stats.unreturned,
        in_flight: stats.in_flight,
    }
}

fn distribution(values: &model::hist::Hist) -> Hist {
    let bucket = |(index, count): &(u16, u64)| {
        let index = usize::from(*index);
        let upper = (index < hist::CLAMPED).then(|| hist::upper(index));
        (hist::lower(index), upper, *count)
    };
    Hist {
        unit: Unit::Ns,
        count: values.count(),
        sum: values.sum,
        min: values.min,
        max: values.max,
        mean: values.mean(),
        p50: values.quantile(0.5),
        p90: values.quantile(0.9),
        p99: values.quantile(0.99),
        p999: values.quantile(0.999),
        max_relative_error: MAX_RELATIVE_ERROR,
        buckets: values.buckets().iter().map(bucket).collect(),
    }
}

fn ledger(ledger: &frame::Ledger) -> Ledger {
    Ledger {
        counted: ledger.counted,
        lost: ledger.lost.clone(),
        censored: ledger.censored.clone(),
        degraded: ledger.degraded.clone(),
        complete: ledger.complete(),
    }
}

fn overhead(session: &session::Session) -> Overhead {
    let overhead = &session.overhead;
    let percent = |share: f64| share * 100.0;
    Overhead {
        programs: overhead
            .programs
            .iter()
            .map(|program| Program {
                name: program.name.clone(),
                events: program.events,
                ns_per_event: program.net_ns_per_event(overhead.empty_program_ns),
                cpu_percent: overhead.cpu_share(program).map(percent),
                missed: program.missed,
            })
            .collect(),
        cpu_percent: overhead.total_cpu_share(session.duration_ns).map(percent),
        measured_ns: overhead.measured_ns,
        empty_program_ns: overhead.empty_program_ns,
        tool_cpu_ns: overhead.tool_cpu_ns,
        tool_bytes: overhead.tool_bytes,
        kernel_bytes: overhead.kernel_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::synthetic::{self, Shape};

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
    fn the_last_bucket_has_no_upper_edge() {
        let mut values = model::hist::Hist::default();
        [5, hist::CLAMP, u64::from(u32::MAX) << 20].iter().for_each(|value| values.record(*value));
        assert_eq!(distribution(&values).buckets, [(5, Some(6), 1), (hist::CLAMP, None, 2)]);
    }
}
