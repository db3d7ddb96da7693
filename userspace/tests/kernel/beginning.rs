//! Beginnings and ends of sessions: getting probes into place takes many times as long as the sessions here, and
//! nothing that a target does meanwhile is in the numbers.

use std::{collections::BTreeMap, fs, time::Duration};

use model::session::Session;
use probes::source::probing::Wish;

use crate::support::{How, Running, Tool, Trace, compiled, export, installed, need, within};

/// Hooks that run while the end of the session is noted may still add what they have measured until then.
const LATE_NS: u64 = 5_000_000;
/// For how long the program keeps its mutex each time.
const KEPT_NS: u64 = 10_000_000;

/// The shortest session there is, of a program whose three threads do nothing but wait.
fn attached(probes: &[&str]) -> Option<Session> {
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "naps.c", &["-pthread"])?;
    let program = Running::start(program.to_str().unwrap(), &[]);
    within(Duration::from_secs(10), "its three threads", || {
        fs::read_dir(format!("/proc/{}/task", program.pid())).is_ok_and(|tasks| tasks.count() == 3)
    });
    let wish = Wish { budget_percent: None, ..Wish::default() };
    let how = How { per_thread: true, probes, wish, ..How::default() };
    Some(Trace::of(program.pid(), &how).finish())
}

fn nothing_from_outside(session: &Session) {
    let most = session.duration_ns + LATE_NS;
    let process = session.processes.values().next().unwrap();
    let mut in_calls: BTreeMap<u32, u64> = BTreeMap::new();
    for ((thread, _), stats) in &process.syscalls {
        if let Some(thread) = thread {
            *in_calls.entry(*thread).or_default() += stats.total_ns();
        }
    }
    for (thread, ns) in in_calls {
        assert!(ns <= most, "{thread} was in calls for {ns} of {} ns", session.duration_ns);
    }
    assert_eq!(process.sched_threads.len(), 3);
    for (thread, stats) in &process.sched_threads {
        let wall = stats.budget.wall_ns;
        assert!(wall <= most, "{thread} has {wall} of {} ns", session.duration_ns);
        assert_eq!(stats.budget.parts_ns(), wall, "{thread}: {:?}", stats.budget);
    }
    // Each time that the mutex is kept, the one may find it taken, and the other then.
    let contended: u64 = process.mutexes.values().map(|mutex| mutex.stats.contended).sum();
    assert!(contended <= 2 * (most / KEPT_NS + 2), "{contended} in {} ns", session.duration_ns);
}

#[test]
fn an_attached_session_has_nothing_of_before_it_began() {
    need!(installed("cc"), "there is no C compiler");
    for probes in [["auto"].as_slice(), &["auto", "mutex"]] {
        nothing_from_outside(&attached(probes).unwrap());
    }
}

#[test]
fn an_attached_session_lasts_as_long_as_was_asked_for() {
    let sleeper = Running::start("sleep", &["100"]);
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("session.json");
    let more = ["-d", "50ms", "--probes", "auto,mutex", "--json", json.to_str().unwrap()];
    let tool = Tool::start(["attach", "-p", &sleeper.pid().to_string()].iter().chain(&more));
    let (status, _, err) = tool.end();
    assert!(status.success(), "{err}");
    assert!(export(&json).session.duration_ns >= 50_000_000);
}
