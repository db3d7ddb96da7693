//! Findings, in one or two lines on top; empty where there are none. `docs/report.md` states the rules.

mod faults;

use model::{
    errno,
    frame::ProcessKey,
    locks::{self, Lock, LockPlace, Verdict},
    sched::{Budget, Place, SchedStats},
    session::{Process, Session},
    syscalls, units,
};

use super::{
    budget::place_name,
    layout::{Layout, shown_name},
    place,
    share::{percent, percent_words},
};

/// Waiting for a CPU stands out from this share of the wall time of a process, percent, ...
const QUEUE_OF_WALL: u64 = 10;
/// ... or of a single thread of it.
const QUEUE_OF_THREAD: u64 = 20;
/// A place in which threads block stands out from this share of the wall time of a process, percent.
const PLACE_OF_WALL: u64 = 30;
/// Being stopped stands out from this share of the wall time, percent.
const STOPPED_OF_WALL: u64 = 10;
/// Most of something, percent.
const MOSTLY: u64 = 50;
/// A lock stands out from this share of the session's time, spent waiting for it, percent; so do futex calls that fail,
/// where all waits take as much, ...
const WAIT_OF_SESSION: u64 = 1;
/// ... from this share of the calls, percent, ...
const AGAIN_OF_CALLS: u64 = 10;
/// ... of this many.
const MANY_CALLS: u64 = 1000;
const EAGAIN: u32 = 11;

/// Further calls in which a process without work waits: for its children, which are seen themselves.
const FOR_CHILDREN: [&str; 2] = ["wait4", "waitid"];

pub fn render(session: &Session, layout: Layout) -> String {
    lines(session).into_iter().map(|line| layout.wrap("> ", &line)).collect()
}

/// The same one by one, for others who show them.
#[must_use]
pub fn lines(session: &Session) -> Vec<String> {
    let locks = locks::ranked(&session.processes);
    // Where events are missing, the others may mislead.
    let all = [session.ledger.grave_loss(), budget_line(session, &locks), lock_line(session, &locks)];
    all.into_iter().flatten().collect()
}

/// The process that lost most time, what took most of it first.
fn budget_line(session: &Session, locks: &[Lock]) -> Option<String> {
    let findings = session.processes.iter().filter_map(|(key, process)| {
        let sched = process.sched.as_ref()?;
        let queued = queued(session, &sched.budget).or_else(|| queued_thread(process));
        let others = [queued, stopped(&sched.budget), faults::clause(process, &sched.budget)];
        let found = others.into_iter().flatten();
        let mut found: Vec<_> = found.chain(blocked(session, key, sched, locks)).collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.1));
        let ns = found.first()?.1;
        let clauses: Vec<String> = found.into_iter().map(|finding| finding.0).collect();
        Some((ns, key, process, clauses))
    });
    let (_, key, process, clauses) =
        findings.max_by_key(|(ns, key, _, _)| (*ns, std::cmp::Reverse(**key)))?;
    Some(format!("{}: {}", process.shown(*key), clauses.join(", ")))
}

/// Much of the wall time stopped.
fn stopped(budget: &Budget) -> Option<(String, u64)> {
    let (stopped, whole) = (budget.stopped_ns, budget.parts_ns());
    let words = || {
        format!(
            "stopped by a signal, a tracer or the freezer for {} of its wall time",
            percent_words(stopped, whole)
        )
    };
    (percent(stopped, whole) >= STOPPED_OF_WALL).then(|| (words(), stopped))
}

/// Much of the wall time blocked in one place that is not there for waiting.
fn blocked(session: &Session, key: &ProcessKey, sched: &SchedStats, locks: &[Lock]) -> Option<(String, u64)> {
    let budget = &sched.budget;
    let (place, most) = budget.blocked.iter().max_by_key(|(_, blocked)| blocked.ns)?;
    let name = place_name(&session.header.arch, *place);
    let bare = name.rsplit(':').next().unwrap_or(&name);
    let idle = match place {
        Place::Other => true,
        Place::Outside => false,
        Place::Call(_) if bare.starts_with("futex") => mostly_idle(key, locks),
        Place::Call(_) => syscalls::waits_for_work(bare) || FOR_CHILDREN.contains(&bare),
    };
    let wall = budget.parts_ns();
    if idle || percent(most.ns, wall) < PLACE_OF_WALL {
        return None;
    }
    Some((format!("blocked in {name} for {} of its wall time", percent_words(most.ns, wall)), most.ns))
}

/// Reports whether the waits of a process on futexes, as far as they are known, were mostly for work and not for locks.
fn mostly_idle(key: &ProcessKey, locks: &[Lock]) -> bool {
    let mine = || locks.iter().filter(|lock| lock.users.iter().any(|user| user.0 == key.pid));
    let all: u64 = mine().map(Lock::wait_ns).sum();
    let idle: u64 = mine().filter(|lock| lock.verdict.is_for_work()).map(Lock::wait_ns).sum();
    all > 0 && percent(idle, all) >= MOSTLY
}

/// More time runnable than there are CPUs for it.
fn queued(session: &Session, budget: &Budget) -> Option<(String, u64)> {
    let queue = budget.run_queue_ns();
    let runnable = budget.on_cpu_ns() + queue;
    if percent(queue, budget.parts_ns()) < QUEUE_OF_WALL {
        return None;
    }
    let mut words = format!(
        "waited for a CPU for {} of its wall time, {} of the time it could run",
        percent_words(queue, budget.parts_ns()),
        percent_words(queue, runnable)
    );
    if session.duration_ns > 0 && session.header.cpus > 0 {
        let threads = runnable as f64 / session.duration_ns as f64;
        let cpus = session.header.cpus;
        if threads > f64::from(cpus) {
            let noun = if cpus == 1 { "CPU" } else { "CPUs" };
            words += &format!(": {cpus} {noun} for {} runnable threads", rounded(threads));
        }
    }
    Some((words, queue))
}

/// The thread that waited longest for a CPU, where the others had nothing to do.
fn queued_thread(process: &Process) -> Option<(String, u64)> {
    let queue = |thread: &SchedStats| thread.budget.run_queue_ns();
    let (tid, thread) = process.sched_threads.iter().max_by_key(|(_, thread)| queue(thread))?;
    let (queue, wall) = (queue(thread), thread.budget.parts_ns());
    // The share of a thread that hardly lived says nothing.
    let of_process = process.sched_threads.values().map(|thread| thread.budget.parts_ns()).max()?;
    if percent(queue, wall) < QUEUE_OF_THREAD || percent(wall, of_process) < MOSTLY {
        return None;
    }
    let name = process.thread_names.get(tid).map_or("", String::as_str);
    let words = percent_words(queue, wall);
    Some((
        format!("its thread {tid} {} waited for a CPU for {words} of its wall time", shown_name(name)),
        queue,
    ))
}

/// Whole where that says enough.
fn rounded(threads: f64) -> String {
    if threads >= 9.95 { format!("{threads:.0}") } else { format!("{threads:.1}").replace(".0", "") }
}

/// The classic answer: how many futex calls, how many in vain, and which lock it is about.
fn lock_line(session: &Session, locks: &[Lock]) -> Option<String> {
    let calls: u64 = locks.iter().map(|lock| lock.sum.count).sum();
    let again: u64 = locks.iter().filter_map(|lock| lock.sum.errors.get(&EAGAIN)).sum();
    let top = locks.iter().find(|lock| !lock.verdict.is_for_work() && lock.wait_ns() > 0);
    let waits = top.is_some_and(|lock| percent(lock.wait_ns(), session.duration_ns) >= WAIT_OF_SESSION);
    let all: u64 = locks.iter().map(Lock::wait_ns).sum();
    let fails = calls >= MANY_CALLS
        && percent(again, calls) >= AGAIN_OF_CALLS
        && percent(all, session.duration_ns) >= WAIT_OF_SESSION;
    if !waits && !fails {
        return None;
    }
    let mut line = format!("futex: {} calls", units::grouped(calls));
    if again > 0 {
        line += &format!(", {} {}", percent_words(again, calls), errno::name(EAGAIN));
    }
    if let Some(lock) = top {
        let what = match lock.verdict {
            Verdict::Contention => "top lock",
            // A semaphore, say, may be either.
            _ => "top wait, for a lock or for work,",
        };
        line += &format!("; {what} {}", described(lock));
    }
    Some(line)
}

fn described(lock: &Lock) -> String {
    let mut remarks = Vec::new();
    let address = lock.users.first().map_or(0, |user| user.1);
    match &lock.place {
        LockPlace::Private { .. } => {}
        LockPlace::Shared { .. } => remarks.push(place::name(&lock.place)),
        LockPlace::Unresolved { .. } => remarks.push("shared, object not known".to_owned()),
    }
    let by_stacks = || lock.runtime().map(|(runtime, what)| format!("{runtime} {what}"));
    remarks.extend(lock.kind().map(locks::MutexKind::name).or_else(by_stacks));
    let mut text = format!("{address:#x}");
    if !remarks.is_empty() {
        text += &format!(" ({})", remarks.join(", "));
    }
    if let Some(caller) = lock.top_stack().and_then(|stack| stack.caller.as_deref()) {
        text += &format!(" from {}", place::function(caller));
    }
    text + &format!(", {} of waiting", units::time(lock.wait_ns()))
}

#[cfg(test)]
mod tests {
    use model::{
        frame::{Abi, Call},
        hist::Hist,
        locks::{FutexStats, MutexKind, MutexSeen, StackCount},
        sched::Blocked,
        session::Header,
    };

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A session of one second on two CPUs.
    fn session(budget: Option<Budget>, futex: Option<(LockPlace, FutexStats)>) -> Session {
        let header = Header { cpus: 2, arch: "x86_64".to_owned(), ..Header::default() };
        let mut process = Process { comm: "queue".to_owned(), ..Process::default() };
        process.sched = budget.map(|budget| SchedStats { budget, ..SchedStats::default() });
        if let Some((place, stats)) = futex {
            process.futexes.insert((place, 0x7f00_0000_1000, "WAIT".to_owned()), stats);
        }
        let mut session = Session { duration_ns: SECOND, ..Session::new(header) };
        session.processes.insert(ProcessKey { pid: 7, joined_ns: 0 }, process);
        session
    }

    fn budget(on_cpu: u64, queue: u64, blocked: &[(u32, u64)]) -> Budget {
        let blocked = blocked.iter().map(|(nr, ns)| {
            let place = Place::Call(Call::whole(Abi::Native, *nr));
            (place, Blocked { count: 1, ns: *ns })
        });
        let mut budget =
            Budget { user_ns: on_cpu, preempted_ns: queue, blocked: blocked.collect(), ..Budget::default() };
        budget.wall_ns = budget.parts_ns();
        budget
    }

    fn found(session: &Session) -> String {
        render(session, Layout::new(160, false))
    }

    #[test]
    fn the_lines_of_a_fought_for_lock_on_too_few_cpus() {
        let kind = MutexKind { form: 3, ..MutexKind::default() };
        let mut stats = FutexStats {
            count: 516_203,
            errors: [(EAGAIN, 211_643)].into(),
            mutex: Some(MutexSeen { kind, ..MutexSeen::default() }),
            ..FutexStats::default()
        };
        stats.wait = Hist::default();
        (0..1000).for_each(|_| stats.wait.record(500_000));
        stats.stacks.push(StackCount {
            frames: vec!["pthread_mutex_lock".to_owned(), "enqueue+0x2a".to_owned()],
            caller: Some("enqueue+0x2a".to_owned()),
            cut: None,
            count: 1,
        });
        let place = LockPlace::Shared { device: 1, inode: 2, offset: 0, path: "/dev/shm/q".to_owned() };
        let budget = budget(2 * SECOND, 18 * SECOND, &[(202, 62 * SECOND), (0, 18 * SECOND)]);
        assert_eq!(
            found(&session(Some(budget), Some((place, stats)))),
            "> 7 queue: blocked in futex for 62% of its wall time, waited for a CPU for 18% of its wall time, 90% of the time \
             it could run: 2 CPUs for 20 runnable threads\n\
             > futex: 516,203 calls, 41% EAGAIN; top lock 0x7f0000001000 (shm /q +0, adaptive) from enqueue+0x2a, \
             500ms of waiting\n"
        );
    }

    #[test]
    fn where_nothing_stands_out_nothing_is_said() {
        let quiet = [
            session(None, None),
            Session::default(),
            session(Some(Budget::default()), None),
            // Runs all the time.
            session(Some(budget(SECOND, 0, &[])), None),
            // Waits for work.
            session(Some(budget(0, 0, &[(232, SECOND)])), None),
            // Blocks here and there.
            session(Some(budget(SECOND, 0, &[(0, SECOND), (1, SECOND), (2, SECOND)])), None),
            // Hardly blocks.
            session(Some(budget(SECOND, 0, &[(0, SECOND / 10)])), None),
            // Waits for a CPU 86% of the time that it could run, which is 4% of its wall time.
            session(Some(budget(SECOND / 150, SECOND / 25, &[(232, SECOND - SECOND / 21)])), None),
            // Half of what it blocks is one call: a fifth of its wall time.
            session(Some(budget(3 * SECOND, 0, &[(0, SECOND), (232, SECOND)])), None),
        ];
        for session in quiet {
            assert_eq!(found(&session), "");
        }
    }

    #[test]
    fn a_worker_without_work_is_no_finding_although_it_sits_in_futex() {
        let mut stats = FutexStats { count: 3, unlike_mutex: 3, ..FutexStats::default() };
        (0..3).for_each(|_| stats.wait.record(SECOND / 3));
        let place = LockPlace::Private { address: 1 };
        let session = session(Some(budget(0, 0, &[(202, SECOND)])), Some((place, stats)));
        assert_eq!(found(&session), "");
    }

    #[test]
    fn what_may_be_a_queue_is_not_called_a_lock() {
        let mut stats = FutexStats { count: 3, unlike_mutex: 3, ..FutexStats::default() };
        (0..3).for_each(|_| stats.wait.record(SECOND / 3));
        stats.stacks.push(StackCount {
            frames: vec!["__new_sem_wait_slow64".to_owned(), "take+0x2a".to_owned()],
            caller: Some("take+0x2a".to_owned()),
            cut: None,
            count: 3,
        });
        let place = LockPlace::Private { address: 1 };
        let said = found(&session(None, Some((place, stats))));
        assert!(
            said.contains("; top wait, for a lock or for work, 0x") && said.contains("from take+0x2a"),
            "{said}"
        );
    }

    #[test]
    fn a_loss_above_one_percent_stands_above_what_it_may_falsify() {
        let mut session = session(Some(budget(SECOND, SECOND, &[])), None);
        session.ledger.counted = 100;
        session.ledger.lost.insert("cells_full".to_owned(), 1);
        assert!(found(&session).starts_with("> 7 queue: "));
        session.ledger.lost.insert("cells_full".to_owned(), 2);
        let said = found(&session);
        assert!(
            said.starts_with(
                "> LOST (2.0%): 2 of 102 system calls are missing (cells_full); --limit lean-cells=N"
            ),
            "{said}"
        );
        assert_eq!(said.lines().count(), 2);
    }

    #[test]
    fn one_cpu_is_singular_and_fractions_are_kept_where_they_matter() {
        let mut session = session(Some(budget(SECOND, SECOND / 2, &[])), None);
        session.header.cpus = 1;
        assert_eq!(
            found(&session),
            "> 7 queue: waited for a CPU for 33% of its wall time, 33% of the time it could run: 1 CPU for 1.5 runnable \
             threads\n"
        );
        let words = "> 7 queue: waited for a CPU for 33% of its wall time, 33% of the time it could run\n";
        session.header.cpus = 2;
        assert_eq!(found(&session), words);
        session.duration_ns = 0;
        assert_eq!(found(&session), words);
    }

    #[test]
    fn time_in_which_a_process_was_stopped_is_found() {
        let with = |stopped_ns| Budget { stopped_ns, ..budget(SECOND, 0, &[]) };
        let words = "> 7 queue: stopped by a signal, a tracer or the freezer for 86% of its wall time\n";
        assert_eq!(found(&session(Some(with(6 * SECOND)), None)), words);
        assert_eq!(found(&session(Some(with(SECOND / 11)), None)), "");
    }

    #[test]
    fn a_thread_that_starves_among_idle_ones_is_found_and_one_that_hardly_lived_is_not() {
        let mut session = session(Some(budget(SECOND / 2, SECOND / 2, &[(232, 39 * SECOND)])), None);
        let process = session.processes.values_mut().next().unwrap();
        process.thread_names.insert(8, "worker".to_owned());
        let thread = |budget| SchedStats { budget, ..SchedStats::default() };
        process.sched_threads = (9..48).map(|tid| (tid, thread(budget(0, 0, &[(232, SECOND)])))).collect();
        process.sched_threads.insert(8, thread(budget(SECOND / 2, SECOND / 2, &[])));
        let words = "> 7 queue: its thread 8 worker waited for a CPU for 50% of its wall time\n";
        assert_eq!(found(&session), words);
        let process = session.processes.values_mut().next().unwrap();
        process.sched_threads.insert(8, thread(budget(SECOND / 200, SECOND / 200, &[])));
        assert_eq!(found(&session), "");
    }

    #[test]
    fn calls_that_fail_are_no_finding_where_they_take_no_time() {
        let mut stats = FutexStats {
            count: 9000,
            errors: [(EAGAIN, 4000)].into(),
            unlike_mutex: 9000,
            ..FutexStats::default()
        };
        (0..4000).for_each(|_| stats.wait.record(400));
        let said = |stats: &FutexStats| {
            found(&session(None, Some((LockPlace::Private { address: 1 }, stats.clone()))))
        };
        assert_eq!(said(&stats), "");
        (0..4000).for_each(|_| stats.wait.record(40_000));
        assert!(said(&stats).starts_with("> futex: 9,000 calls, 44% EAGAIN"), "{}", said(&stats));
    }
}
