//! Time in calls that is no work of theirs: blocked, queued, and stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use model::{
    frame::{Abi, Call, CallStats},
    sched::Place,
    session::Session,
};

use crate::{
    sched::{assert_adds_up, only},
    support::{Calls, How, Running, Trace, need, whole, within},
};

/// The numbers of a call.
fn call(session: &Session, nr: i64) -> CallStats {
    let mut sum = CallStats::default();
    for ((_, call), stats) in &only(session).syscalls {
        if *call == Call::whole(Abi::Native, nr as u32) {
            sum.merge(stats);
        }
    }
    sum
}

#[test]
fn the_time_of_calls_is_blocked_queued_or_running() {
    let mut calls = Calls::start(&["--nap", "1ms", "--count", "200"]);
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let budget = &only(&session).sched.as_ref().unwrap().budget;
    let sleeps = call(&session, libc::SYS_nanosleep);
    assert!(sleeps.count() >= 200, "{sleeps:?}");
    // The scheduler's own books, kept by thread: all of these calls began and ended within the session.
    let place = Place::Call(Call::whole(Abi::Native, libc::SYS_nanosleep as u32));
    assert_eq!(sleeps.blocked_ns, budget.blocked[&place].ns, "{budget:?}");
    assert!(sleeps.blocked_ns + sleeps.queued_ns <= sleeps.total_ns(), "{sleeps:?}");
    // A nap sleeps; what is left is going to sleep and coming back.
    assert!(sleeps.blocked_ns >= 200 * 900_000, "{sleeps:?}");
    // Every other call of the program, too, waited for a CPU no longer than its threads did.
    let queued: u64 = only(&session).syscalls.values().map(|stats| stats.queued_ns).sum();
    assert!(queued > 0 && queued <= budget.run_queue_ns(), "{queued} of {budget:?}");
}

/// A program whose threads are in calls when they are stopped, the budget of a session in which it stands still for a
/// while, and how long at least.
fn stand_still(stop: impl Fn(&Running), go_on: impl Fn(&Running), before: bool) -> (Session, u64) {
    let program = Running::start("sleep", &["1000"]);
    within(Duration::from_secs(10), "the sleep", || {
        fs::read_to_string(format!("/proc/{}/syscall", program.pid())).is_ok_and(|it| it.starts_with("230 "))
    });
    if before {
        stop(&program);
    }
    let mut trace = Trace::of(program.pid(), &How::default());
    if !before {
        stop(&program);
    }
    let begun = Instant::now();
    trace.steps(15);
    let still = begun.elapsed().as_nanos() as u64;
    go_on(&program);
    trace.steps(3);
    (trace.finish(), still)
}

fn assert_stopped((session, still): (Session, u64)) {
    let budget = &only(&session).sched.as_ref().unwrap().budget;
    assert_adds_up(budget);
    assert!(budget.stopped_ns >= still && budget.stopped_ns < budget.wall_ns, "{still}: {budget:?}");
    assert!(budget.blocked_ns() + still <= budget.wall_ns, "{still}: {budget:?}");
}

#[test]
fn a_stopped_process_is_stopped_and_not_blocked() {
    for before in [false, true] {
        assert_stopped(stand_still(Running::stop, Running::go_on, before));
    }
}

/// A cgroup of the second version, and what has to be taken down again.
struct Frozen {
    mount: PathBuf,
    group: PathBuf,
}

impl Frozen {
    fn new(directory: &Path) -> Option<Self> {
        let mount = directory.to_owned();
        let mounted = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&mount).status();
        mounted.ok().filter(|status| status.success())?;
        let group = mount.join(format!("pulse-trace-test-{}", std::process::id()));
        let frozen = Self { mount, group };
        fs::create_dir(&frozen.group).ok()?;
        frozen.group.join("cgroup.freeze").exists().then_some(frozen)
    }

    fn freeze(&self, program: &Running) {
        fs::write(self.group.join("cgroup.procs"), program.pid().to_string()).unwrap();
        fs::write(self.group.join("cgroup.freeze"), "1").unwrap();
        within(Duration::from_secs(10), "the group to be frozen", || {
            fs::read_to_string(self.group.join("cgroup.events")).unwrap().contains("frozen 1")
        });
    }

    fn thaw(&self) {
        fs::write(self.group.join("cgroup.freeze"), "0").unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.group).is_err() && self.group.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = Command::new("umount").arg(&self.mount).status();
    }
}

#[test]
fn a_frozen_process_is_stopped_too() {
    let directory = tempfile::tempdir().unwrap();
    let frozen = Frozen::new(directory.path());
    need!(frozen.is_some(), "no cgroup of the second version can be mounted here");
    let frozen = frozen.unwrap();
    for before in [false, true] {
        assert_stopped(stand_still(|program| frozen.freeze(program), |_| frozen.thaw(), before));
    }
}
