//! Time of programs whose behaviour is known: the parts add up, and each lands where it belongs.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use model::{
    counters::Counter,
    sched::{Budget, Place},
    session::{Process, Session},
    syscalls,
};

use crate::support::{Calls, How, Running, Trace, blocked_in, installed, need, program, within};

fn traced(pid: u32, time: Duration) -> Session {
    let mut trace = Trace::of(pid, &How { probes: &["sched"], ..How::default() });
    thread::sleep(time / 2);
    trace.step();
    thread::sleep(time / 2);
    trace.finish()
}

/// The one process, after checking that all of its budgets add up and that each thread has the whole session.
fn checked(session: &Session) -> (&Process, &Budget) {
    assert_eq!(session.processes.len(), 1);
    let process = session.processes.values().next().unwrap();
    let whole = &process.sched.as_ref().unwrap().budget;
    let mut wall = 0;
    for (tid, thread) in &process.sched_threads {
        let budget = &thread.budget;
        assert_eq!(budget.parts_ns(), budget.wall_ns, "{tid}: {budget:?}");
        let apart = budget.wall_ns.abs_diff(session.duration_ns);
        assert!(apart <= session.duration_ns / 100, "{tid}: {} of {}", budget.wall_ns, session.duration_ns);
        wall += budget.wall_ns;
    }
    assert_eq!((whole.wall_ns, whole.parts_ns()), (wall, wall), "{whole:?}");
    (process, whole)
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Blocked time by name of the call.
fn blocked(session: &Session, budget: &Budget) -> BTreeMap<String, u64> {
    let name = |place: &Place| match place {
        Place::Call(call) => syscalls::name(&session.header.arch, *call).into_owned(),
        Place::Outside => "outside".to_owned(),
        Place::Other => "other".to_owned(),
    };
    budget.blocked.iter().map(|(place, blocked)| (name(place), blocked.ns)).collect()
}

#[test]
fn a_spinner_runs_in_user_code() {
    let spinner = Running::start("sh", &["-c", "while :; do :; done"]);
    // Until it has begun to spin, it is a shell that begins.
    within(Duration::from_secs(20), "three ticks of user time", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", spinner.pid())).unwrap();
        let ticks: Option<u64> =
            stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(11).and_then(|it| it.parse().ok());
        ticks >= Some(3)
    });
    let session = traced(spinner.pid(), Duration::from_millis(400));
    let (_, budget) = checked(&session);
    assert_eq!(budget.blocked_ns(), 0, "{budget:?}");
    assert!(budget.user_ns > 20 * budget.kernel_ns, "{budget:?}");
    assert_eq!(budget.unknown_ns > 0, session.ledger.degraded.contains_key("switch_unseen"), "{budget:?}");
}

#[test]
fn a_sleeper_is_blocked_in_its_sleep() {
    let sleeper = Running::start("sleep", &["100"]);
    within(Duration::from_secs(10), "the sleep", || {
        let call = fs::read_to_string(format!("/proc/{}/syscall", sleeper.pid())).unwrap_or_default();
        [libc::SYS_clock_nanosleep, libc::SYS_nanosleep].iter().any(|nr| call.starts_with(&format!("{nr} ")))
    });
    let session = traced(sleeper.pid(), Duration::from_millis(300));
    let (_, budget) = checked(&session);
    let blocked = blocked(&session, budget);
    assert!(blocked.keys().all(|name| name.ends_with("nanosleep")), "{blocked:?}");
    assert_eq!(budget.blocked_ns(), budget.wall_ns);
}

#[test]
fn two_threads_that_throw_a_byte_to_and_fro_are_blocked_in_read() {
    need!(installed("perf"), "perf is not installed");
    let bench = Running::start("perf", &["bench", "sched", "pipe", "-T", "-l", "100000000"]);
    within(Duration::from_secs(10), "its two threads", || {
        fs::read_dir(format!("/proc/{}/task", bench.pid())).is_ok_and(|tasks| tasks.count() == 3)
    });
    let session = traced(bench.pid(), Duration::from_millis(500));
    let (process, _) = checked(&session);
    let players = process.sched_threads.iter().filter(|(_, thread)| thread.switches() > 100);
    assert_eq!(players.clone().count(), 2);
    for (_, player) in players {
        let blocked = blocked(&session, &player.budget);
        let read = blocked.get("read").copied().unwrap_or_default();
        assert!(share(read, player.budget.blocked_ns()) > 0.95, "{blocked:?}");
        assert!(player.budget.kernel_ns > player.budget.user_ns, "{:?}", player.budget);
    }
    // Each of them is woken by the other, or by itself: both are threads of one process.
    let wakers = &process.sched.as_ref().unwrap().wakers;
    let own: u64 = wakers.iter().filter(|(waker, _)| waker.pid == bench.pid()).map(|it| it.1.count()).sum();
    let all: u64 = wakers.values().map(model::hist::Hist::count).sum();
    assert!(share(own, all) > 0.9, "{own} of {all}");
}

#[test]
fn nine_busy_threads_on_few_cpus_wait_for_them() {
    let cpus = thread::available_parallelism().unwrap().get() as f64;
    need!(cpus < 8.0, "this machine has a CPU for each of nine threads");
    let mut calls = Calls::start(&["--threads", "9", "--count", "100000000", "--calls", "getppid"]);
    calls.go();
    within(Duration::from_secs(10), "nine threads", || {
        fs::read_dir(format!("/proc/{}/task", calls.pid())).is_ok_and(|tasks| tasks.count() == 10)
    });
    let session = traced(calls.pid(), Duration::from_millis(600));
    let (process, _) = checked(&session);
    let busy = process.sched_threads.values().filter(|thread| thread.budget.blocked_ns() == 0);
    let mut sum = Budget::default();
    busy.for_each(|thread| sum.merge(&thread.budget));
    assert!(sum.wall_ns >= 8 * session.duration_ns, "{sum:?}");
    // All CPUs together can give them that much.
    assert!(share(sum.on_cpu_ns(), session.duration_ns) <= cpus * 1.01, "{sum:?}");
    assert!(share(sum.run_queue_ns() + sum.unknown_ns, sum.wall_ns) >= 1.0 - (cpus + 0.1) / 8.0, "{sum:?}");
    assert!(sum.preempted_ns > sum.woken_ns, "{sum:?}");
}

#[test]
fn the_aggregator_is_blocked_in_what_its_runtime_waits_in() {
    let logagg = program().with_file_name("logagg");
    need!(logagg.is_file(), "the workload logagg was not built");
    let bench = Running::start(
        logagg.to_str().unwrap(),
        &["run", "--variant", "unixsock", "--messages", "2000", "--rate", "50", "-o", "none"],
    );
    thread::sleep(Duration::from_millis(300));
    let session = traced(bench.pid(), Duration::from_millis(500));
    let (_, budget) = checked(&session);
    let blocked = blocked(&session, budget);
    let known = [
        "epoll_wait",
        "epoll_pwait",
        "futex",
        "wait4",
        "waitid",
        "poll",
        "ppoll",
        "read",
        "recvfrom",
        "clock_nanosleep",
    ];
    let elsewhere: u64 =
        blocked.iter().filter(|(name, _)| !known.contains(&name.as_str())).map(|it| it.1).sum();
    assert!(share(elsewhere, budget.wall_ns) < 0.02, "{blocked:?}");
}

/// Time on a CPU and in the run queue of every thread, as the kernel counts them.
fn schedstat(pid: u32) -> BTreeMap<u32, (u64, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap();
            let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().unwrap());
            (
                task.file_name().to_str().unwrap().parse().unwrap(),
                (numbers.next().unwrap(), numbers.next().unwrap()),
            )
        })
        .collect()
}

/// Two accounts of the kernel's own: `schedstat`, and the performance counter of task time. Where a hypervisor takes
/// CPUs away, the first leaves that time out and the second, like a clock, does not.
#[test]
fn running_and_waiting_are_those_of_the_kernels_own_statistics() {
    for threads in [1_u64, 2, 5, 16] {
        let arguments = ["--calls", "getppid", "--count", "150001", "--sealed", "--threads"];
        let number = threads.to_string();
        let mut calls = Calls::start(&[&arguments[..], &[number.as_str()]].concat());
        blocked_in(calls.pid(), libc::SYS_readv, threads as usize + 1);
        let before = schedstat(calls.pid());
        let probes = &["sched", "counters"];
        let trace = Trace::of(calls.pid(), &How { probes, ..How::default() });
        calls.go();
        calls.done(threads as usize);
        blocked_in(calls.pid(), libc::SYS_readv, threads as usize + 1);
        let after = schedstat(calls.pid());
        let session = trace.finish();
        let process = session.processes.values().next().unwrap();
        let budget = &process.sched.as_ref().unwrap().budget;
        let sum = |of: fn(&(u64, u64)) -> u64| -> u64 {
            after.iter().map(|(tid, now)| of(now) - before.get(tid).map_or(0, of)).sum()
        };
        // What could not be seen is said to be unknown, and may be either.
        let slack = 50_000 + session.duration_ns / 20_000 + budget.unknown_ns;
        let allowed = |truth: u64| truth / 100 + slack;
        let (ran, waited) = (sum(|it| it.0), sum(|it| it.1));
        let clock = process.counters.as_ref().unwrap().value(Counter::TaskClock).unwrap();
        let seen = (ran, clock, waited);
        assert!(budget.on_cpu_ns().abs_diff(clock) <= allowed(clock), "{threads}: {seen:?} and {budget:?}");
        assert!(ran <= budget.on_cpu_ns() + allowed(ran), "{threads}: {seen:?} and {budget:?}");
        // Ours begins in the waker's call, the kernel's when the thread has been put into a run queue: by its own CPU,
        // which may be halted and, where it is a virtual one, takes a while to hear of it.
        let ways = 100_000 * process.sched.as_ref().unwrap().wakeup_to_run.count();
        // A CPU that is taken away in the middle of a switch leaves that time on either side: `schedstat` has looked at
        // the clock before, the counter and we look after it. So far its two accounts are apart by themselves.
        let moved = ran.abs_diff(clock);
        let apart = budget.run_queue_ns().abs_diff(waited);
        assert!(apart <= allowed(waited) + ways + moved, "{threads}: {seen:?} and {budget:?}");
    }
}

/// More than four thousand, each with a seat, accounts and the whole session.
#[test]
fn five_thousand_threads_have_their_budgets() {
    const THREADS: usize = 5000;
    let number = THREADS.to_string();
    let mut calls = Calls::start(&["--threads", &number, "--sealed", "--calls", "getppid", "--count", "1"]);
    blocked_in(calls.pid(), libc::SYS_readv, THREADS + 1);
    let trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    calls.done(THREADS);
    let session = trace.finish();
    let (process, whole) = checked(&session);
    assert_eq!(process.sched_threads.len(), THREADS + 1);
    assert!(
        process.sched_threads.values().all(|thread| thread.switches() > 0 || thread.budget.blocked_ns() > 0)
    );
    assert!(whole.wall_ns >= THREADS as u64 * session.duration_ns, "{whole:?}");
    assert_eq!(session.ledger.lost, BTreeMap::new());
}

#[test]
fn threads_that_live_for_microseconds_are_all_accounted() {
    let mut calls = Calls::start(&["--forever", "--threads", "16", "--count", "1", "--calls", "getppid"]);
    let mut trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    let end = std::time::Instant::now() + Duration::from_millis(600);
    trace.until(|| std::time::Instant::now() > end);
    let session = trace.finish();
    let process = session.processes.values().next().unwrap();
    assert!(process.threads > 500, "{}", process.threads);
    // Threads that were born, and not yet let loose, have no accounts; ids can come back.
    let named = process.sched_threads.len() as u64;
    let missing = u64::from(process.threads).saturating_sub(named);
    assert!(missing <= u64::from(process.threads) / 50, "{named} of {}", process.threads);
    let whole = &process.sched.as_ref().unwrap().budget;
    let sum: u64 = process.sched_threads.values().map(|thread| thread.budget.wall_ns).sum();
    assert_eq!((whole.wall_ns, whole.parts_ns()), (sum, sum));
    assert_eq!(session.ledger.degraded.get("thread_ends_full"), None);
}

#[test]
fn threads_that_end_faster_than_they_are_read_are_counted() {
    let mut calls = Calls::start(&["--forever", "--threads", "32", "--count", "1", "--calls", "getppid"]);
    let trace = Trace::of(calls.pid(), &How { probes: &["sched"], ..How::default() });
    calls.go();
    // No reader takes from the ring meanwhile, and it has room for some two and a half thousand. Ids tell how many were
    // born.
    let newest = || -> u64 {
        let text = fs::read_to_string("/proc/loadavg").unwrap();
        text.split_ascii_whitespace().next_back().unwrap().parse().unwrap()
    };
    let (mut last, mut born) = (newest(), 0);
    within(Duration::from_secs(60), "more threads than fit", || {
        let now = newest();
        born += now.saturating_sub(last);
        last = now;
        born > 12_000
    });
    let session = trace.finish();
    let process = session.processes.values().next().unwrap();
    let lost = session.ledger.degraded["thread_ends_full"];
    assert!(lost > 100);
    let seen = process.sched_threads.len() as u64;
    assert!(seen + lost <= u64::from(process.threads) + 1, "{seen}, {lost} of {}", process.threads);
    assert!(seen + lost >= u64::from(process.threads) * 49 / 50, "{seen}, {lost} of {}", process.threads);
    let whole = &process.sched.as_ref().unwrap().budget;
    assert_eq!(whole.parts_ns(), whole.wall_ns);
}
