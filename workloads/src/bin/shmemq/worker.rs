//! One side: maps both queues, warms up, waits for its go, plays, and reports.

use std::fs::File;
use std::io;
use std::path::Path;

use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::queue_map::{LockedHeader, QueueMap, Shareable, SpscHeader};
use pulse_trace_workloads::sys::tracepoint::Tracepoint;
use pulse_trace_workloads::sys::usage::Usage;

use crate::locks::{Backoff, Futex, Linear, Lock, Pthread, Restated, Spin, Stop, Ticket};
use crate::mutex::Mutex;
use crate::pingpong::{Score, Table};
use crate::plan::{Plan, Role};
use crate::queue::{Locked, Queue, Spsc};
use crate::report::{LockReport, Report, in_words};

/// Says that this side is ready, and answers when it may start; false when it must not.
pub type Start<'a> = &'a mut dyn FnMut() -> Result<bool, Refusal>;

/// Plays one side of the plan; none when no go came.
pub fn play(plan: &Plan, role: Role, start: Start<'_>) -> Result<Option<Report>, Refusal> {
    match plan.mutex {
        Mutex::Plain | Mutex::Adaptive | Mutex::Pi | Mutex::Robust | Mutex::Recursive | Mutex::Errorcheck => {
            under::<Pthread>(plan, role, start)
        }
        Mutex::Spin => under::<Spin>(plan, role, start),
        Mutex::Ticket => under::<Ticket>(plan, role, start),
        Mutex::Futex => under::<Futex>(plan, role, start),
        Mutex::Restated222 => under::<Restated<Linear>>(plan, role, start),
        Mutex::Restated236 => under::<Restated<Backoff>>(plan, role, start),
        Mutex::Lockfree => {
            let open = |path: &Path| map::<SpscHeader>(plan, path).map(|map| Spsc::new(map, plan.geometry));
            game(plan, role, table(plan, role, open)?, start)
        }
    }
}

fn under<L: Lock>(plan: &Plan, role: Role, start: Start<'_>) -> Result<Option<Report>, Refusal> {
    let open = |path: &Path| {
        map::<LockedHeader<L::Memory>>(plan, path)
            .map(|map| Locked::<L>::new(map, plan.geometry, plan.spin_limit()))
    };
    game(plan, role, table(plan, role, open)?, start)
}

fn map<H: Shareable>(plan: &Plan, path: &Path) -> Result<QueueMap<H>, Refusal> {
    let mapped =
        plan.geometry.room().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput)).and_then(|room| {
            let file = File::options().read(true).write(true).open(path)?;
            QueueMap::of(&file, room)
        });
    mapped.map_err(|error| {
        cannot(format_args!("map the queue {}", path.display()), error, "keep the process that made it alive")
    })
}

fn table<Q>(
    plan: &Plan,
    role: Role,
    open: impl Fn(&Path) -> Result<Q, Refusal>,
) -> Result<Table<Q>, Refusal> {
    let (out, back) = match role {
        Role::Server => (&plan.to_client, &plan.to_server),
        Role::Client => (&plan.to_server, &plan.to_client),
    };
    Ok(Table { out: open(out)?, back: open(back)? })
}

fn game<Q: Queue>(
    plan: &Plan,
    role: Role,
    mut table: Table<Q>,
    start: Start<'_>,
) -> Result<Option<Report>, Refusal> {
    let game = plan.game();
    if let Err(stop) = warm_up(plan, role, &mut table) {
        return match stop {
            Stop::Asked => Ok(None),
            other => Err(cannot("warm up", in_words(&other), "start both sides anew")),
        };
    }
    table.out.forget();
    table.back.forget();
    let mut futex = plan.count_futex.then(futex_counter).transpose()?;
    if !start()? {
        return Ok(None);
    }
    let before = Usage::now();
    if let Some(futex) = &futex {
        futex.start().map_err(uncounted)?;
    }
    let score = match role {
        Role::Server => game.server(&mut table),
        Role::Client => game.client(&mut table),
    };
    let futex_syscalls = futex.as_mut().map(Tracepoint::stop).transpose().map_err(uncounted)?;
    let usage = Usage::now().since(before);
    Ok(Some(report(role, &table, score, usage, futex_syscalls)))
}

fn warm_up<Q: Queue>(plan: &Plan, role: Role, table: &mut Table<Q>) -> Result<(), Stop> {
    match (plan.warmup(), role) {
        (None, _) => Ok(()),
        (Some(_), Role::Server) => plan.game().warm_up_server(table),
        (Some(how), Role::Client) => plan.game().warm_up_client(table, how),
    }
}

fn report<Q: Queue>(
    role: Role,
    table: &Table<Q>,
    score: Score,
    usage: Usage,
    futex_syscalls: Option<u64>,
) -> Report {
    let mut attempts = table.out.attempts();
    attempts.add(table.back.attempts());
    let lock = |queue: &Q| queue.lock().map(|used| LockReport::of(&used));
    Report {
        role,
        pid: std::process::id(),
        completed: score.completed,
        elapsed_ns: score.elapsed_ns,
        usage,
        messages: score.tally,
        attempts,
        yields: score.yields,
        lock: lock(&table.out).zip(lock(&table.back)).map(|(out, back)| out.plus(&back)),
        latency: score.latency,
        futex_syscalls,
        stopped: score.stop.as_ref().map(in_words),
    }
}

/// A counter of this process's futex system calls.
fn futex_counter() -> Result<Tracepoint, Refusal> {
    Tracepoint::open("syscalls", "sys_enter_futex").map_err(uncounted)
}

fn uncounted(error: io::Error) -> Refusal {
    cannot(
        "count futex calls",
        error,
        "run as root (or with CAP_PERFMON) after `mount -t tracefs nodev /sys/kernel/tracing`, or leave out \
         --count-futex",
    )
}
