//! What stands out, in one or two lines on top; nothing where nothing does. `docs/report.md` states the rules.

use crate::model::{
    errno,
    frame::ProcessKey,
    locks::{self, Lock, LockPlace, Verdict},
    sched::{Budget, Place, SchedStats},
    session::Session,
    units,
};

use super::{
    budget::place_name,
    layout::{Layout, process_name},
    place,
    share::{percent, percent_words},
};

/// Waiting for a CPU stands out from this share of the time that a process could have run, percent.
const QUEUE_OF_RUNNABLE: u64 = 20;
/// Blocking stands out where it takes this share of the wall time, percent, ...
const BLOCKED_OF_WALL: u64 = 25;
/// ... and one place this share of the blocked time.
const PLACE_OF_BLOCKED: u64 = 50;
/// Being stopped stands out from this share of the wall time, percent.
const STOPPED_OF_WALL: u64 = 10;
/// A lock stands out from this share of the session's time, spent waiting for it, percent.
const WAIT_OF_SESSION: u64 = 1;
/// Failing futex calls stand out from this share, percent, ...
const AGAIN_OF_CALLS: u64 = 10;
/// ... of this many.
const MANY_CALLS: u64 = 1000;
const EAGAIN: u32 = 11;

/// Calls in which a process without work waits for some.
const PATIENT: [&str; 18] = [
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "nanosleep",
    "clock_nanosleep",
    "pause",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "wait4",
    "waitid",
    "accept",
    "accept4",
    "restart_syscall",
    "io_uring_enter",
];

pub fn render(session: &Session, layout: Layout) -> String {
    lines(session).into_iter().map(|line| layout.wrap("> ", &line)).collect()
}

/// The same one by one, for others who show them.
#[must_use]
pub fn lines(session: &Session) -> Vec<String> {
    let locks = locks::ranked(&session.processes);
    [budget_line(session, &locks), lock_line(session, &locks)].into_iter().flatten().collect()
}

/// The process whose budget is the most lopsided, if any is.
fn budget_line(session: &Session, locks: &[Lock]) -> Option<String> {
    let findings = session.processes.iter().filter_map(|(key, process)| {
        let sched = process.sched.as_ref()?;
        let found =
            [blocked(session, key, sched, locks), queued(session, &sched.budget), stopped(&sched.budget)];
        let ns = found.iter().flatten().map(|finding| finding.1).max()?;
        let clauses: Vec<String> = found.into_iter().flatten().map(|finding| finding.0).collect();
        Some((ns, key, process, clauses))
    });
    let (_, key, process, clauses) =
        findings.max_by_key(|(ns, key, _, _)| (*ns, std::cmp::Reverse(**key)))?;
    Some(format!("{}: {}", process_name(*key, process), clauses.join(", ")))
}

/// Most of the time in which nothing was let run.
fn stopped(budget: &Budget) -> Option<(String, u64)> {
    let (stopped, whole) = (budget.stopped_ns, budget.parts_ns());
    let words = || {
        format!("stopped by a signal, a tracer or the freezer {} of its time", percent_words(stopped, whole))
    };
    (percent(stopped, whole) >= STOPPED_OF_WALL).then(|| (words(), stopped))
}

/// Most of the blocked time in one place that is not there for waiting.
fn blocked(session: &Session, key: &ProcessKey, sched: &SchedStats, locks: &[Lock]) -> Option<(String, u64)> {
    let budget = &sched.budget;
    let all = budget.blocked_ns();
    if percent(all, budget.parts_ns()) < BLOCKED_OF_WALL {
        return None;
    }
    let (place, most) = budget.blocked.iter().max_by_key(|(_, blocked)| blocked.ns)?;
    let name = place_name(&session.header.arch, *place);
    let bare = name.rsplit(':').next().unwrap_or(&name);
    let idle = match place {
        Place::Other => true,
        Place::Outside => false,
        Place::Call(_) if bare.starts_with("futex") => mostly_idle(key, locks),
        Place::Call(_) => PATIENT.contains(&bare),
    };
    if idle || percent(most.ns, all) < PLACE_OF_BLOCKED {
        return None;
    }
    Some((format!("{} of its blocked time is {name}", percent_words(most.ns, all)), most.ns))
}

/// Whether the waits of a process on futexes, as far as they are known, were mostly for work and not for locks.
fn mostly_idle(key: &ProcessKey, locks: &[Lock]) -> bool {
    let mine = || locks.iter().filter(|lock| lock.users.iter().any(|user| user.0 == key.pid));
    let all: u64 = mine().map(Lock::wait_ns).sum();
    let idle: u64 = mine().filter(|lock| lock.verdict.is_for_work()).map(Lock::wait_ns).sum();
    all > 0 && percent(idle, all) >= PLACE_OF_BLOCKED
}

/// More time runnable than there are CPUs for it.
fn queued(session: &Session, budget: &Budget) -> Option<(String, u64)> {
    let queue = budget.run_queue_ns();
    let runnable = budget.on_cpu_ns() + queue;
    if queue == 0 || percent(queue, runnable) < QUEUE_OF_RUNNABLE {
        return None;
    }
    let mut words = format!("waited for a CPU {} of the time it could run", percent_words(queue, runnable));
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
    let fails = calls >= MANY_CALLS && percent(again, calls) >= AGAIN_OF_CALLS;
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
    use super::*;
    use crate::model::{
        frame::{Abi, Call},
        hist::Hist,
        locks::{FutexStats, MutexKind, MutexSeen, StackCount},
        sched::Blocked,
        session::{Header, Process},
    };

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
        let budget = budget(2 * SECOND, 7 * SECOND, &[(202, 62 * SECOND), (0, 38 * SECOND)]);
        assert_eq!(
            found(&session(Some(budget), Some((place, stats)))),
            "> 7 queue: 62% of its blocked time is futex, waited for a CPU 78% of the time it could run: 2 CPUs for 9 runnable \
             threads\n\
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
    fn one_cpu_is_singular_and_fractions_are_kept_where_they_matter() {
        let mut session = session(Some(budget(SECOND, SECOND / 2, &[])), None);
        session.header.cpus = 1;
        assert_eq!(
            found(&session),
            "> 7 queue: waited for a CPU 33% of the time it could run: 1 CPU for 1.5 runnable threads\n"
        );
        session.header.cpus = 2;
        assert_eq!(found(&session), "> 7 queue: waited for a CPU 33% of the time it could run\n");
        session.duration_ns = 0;
        assert_eq!(found(&session), "> 7 queue: waited for a CPU 33% of the time it could run\n");
    }
}
