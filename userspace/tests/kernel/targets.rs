//! Exactly those who were asked for are traced.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    process::Command,
    thread,
    time::Duration,
};

use kernel::target::{Pinned, Selection, resolve};
use pulse_trace::session::Scope;

use crate::support::{
    Calls, How, Tool, Trace, Truth, assert_true, blocked_in, counts, export, need, nothing_missing, program,
    whole,
};

#[test]
fn a_thread_can_be_traced_alone() {
    let mut calls = Calls::start(&["--sealed", "--threads", "4", "--count", "30"]);
    blocked_in(calls.pid(), libc::SYS_readv, 5);
    let tasks = fs::read_dir(format!("/proc/{}/task", calls.pid())).unwrap().flatten();
    let mut tids: Vec<u32> = tasks.map(|task| task.file_name().to_str().unwrap().parse().unwrap()).collect();
    tids.sort_unstable();
    let one = Pinned::thread(tids[2]).unwrap();
    let mut trace = Trace::of_pinned(&one, &How::default());
    calls.go();
    calls.done(4);
    blocked_in(calls.pid(), libc::SYS_readv, 5);
    trace.step();
    let session = trace.finish();
    assert_eq!(counts(&session)["dup"].count(), 30);
    assert_eq!(session.ledger.counted, 12 * 30 + 1, "{:?}", session.ledger);
    assert_eq!(session.processes.values().next().unwrap().threads, 1);
}

#[test]
fn a_thread_traced_alone_does_not_bring_those_it_creates() {
    let mut calls = Calls::start(&["--threads", "3", "--count", "30"]);
    let first = Pinned::thread(calls.pid()).unwrap();
    let mut trace = Trace::of_pinned(&first, &How { scope: Scope::Children, ..How::default() });
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    let counts = counts(&session);
    assert!(counts.contains_key("clone3") || counts.contains_key("clone"));
    assert!(calls.truth().calls.keys().all(|name| !counts.contains_key(name)));
}

#[test]
fn a_name_stands_for_all_who_have_it() {
    let directory = tempfile::tempdir().unwrap();
    let name = format!("pt-{}", std::process::id());
    let copy = directory.path().join(&name);
    fs::copy(program(), &copy).unwrap();
    let mut both = [0; 2].map(|_| {
        Calls::start_under(
            &["sh", "-c", "shift; exec \"$0\" \"$@\"", copy.to_str().unwrap()],
            &["--count", "70"],
        )
    });
    let selection = Selection { comms: vec![name.clone()], ..Selection::default() };
    let pinned = resolve(&selection).unwrap();
    let mut found: Vec<u32> = pinned.iter().map(|target| target.pid).collect();
    found.sort_unstable();
    let mut expected = both.each_ref().map(Calls::pid);
    expected.sort_unstable();
    assert_eq!(found, expected);
    let file = directory.path().join("json");
    let mut tool = Tool::start(["attach", "--comm", &name, "--quiet", "--json", file.to_str().unwrap()]);
    tool.attached();
    both.iter_mut().for_each(Calls::go);
    assert_eq!(tool.end().0.code(), Some(0));
    let truths = both.map(Calls::truth);
    let export = export(&file);
    assert_eq!(export.processes.len(), 2);
    for process in &export.processes {
        assert!(truths.iter().any(|truth| truth.pid == process.pid));
        assert_eq!(process.syscalls.iter().find(|call| call.name == "dup").unwrap().count, 70);
    }
}

/// Has the kernel give a process the id that another one had.
fn reuse(pid: u32) -> Option<Calls> {
    for _ in 0..40 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
        let calls = Calls::start(&["--count", "50"]);
        if calls.pid() == pid {
            return Some(calls);
        }
    }
    None
}

#[test]
fn a_later_process_with_a_targets_id_is_a_stranger() {
    let mut first = Calls::start(&["--count", "50"]);
    let pid = first.pid();
    let mut trace = Trace::of(pid, &How { scope: Scope::Children, ..How::default() });
    first.go();
    trace.until(|| first.has_ended());
    let truth = first.truth();
    let stranger = reuse(pid);
    need!(stranger.is_some(), "this kernel does not let anybody choose the next process id");
    let mut stranger = stranger.unwrap();
    stranger.go();
    trace.until(|| stranger.has_ended());
    let session = trace.finish();
    assert_true(&session, &truth);
    assert_eq!(session.processes.len(), 1);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
}

#[test]
fn a_target_that_died_before_the_session_is_not_its_successor() {
    let mut first = Calls::start(&["--count", "50"]);
    let pid = first.pid();
    let pinned = Pinned::process(pid).unwrap();
    first.kill();
    // Start times are told in hundredths of a second.
    thread::sleep(Duration::from_millis(30));
    let stranger = reuse(pid);
    need!(stranger.is_some(), "this kernel does not let anybody choose the next process id");
    let mut stranger = stranger.unwrap();
    assert!(!pinned.is_alive(), "the id alone is not enough");
    let mut trace = Trace::of_pinned(&pinned, &How::default());
    stranger.go();
    trace.until(|| stranger.has_ended());
    let session = trace.finish();
    assert_eq!(session.ledger.counted, 0, "{:?}", session.ledger);
}

#[test]
fn a_command_is_traced_from_its_first_call_to_its_last() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("json");
    let workload = program().to_str().unwrap();
    let tool = Tool::start([
        "run",
        "--quiet",
        "--json",
        file.to_str().unwrap(),
        "--",
        workload,
        "--count",
        "90",
        "--children",
        "2",
        "--json",
    ]);
    let (status, out, err) = tool.end();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
    let truth = Truth::read(&out);
    let export = export(&file);
    assert!(nothing_missing(&export.ledger.lost, &export.ledger.degraded), "{:?}", export.ledger);
    assert_eq!(export.processes.len(), 3);
    let of = |name: &str| {
        let calls = export.processes.iter().flat_map(|process| &process.syscalls);
        calls.filter(|call| call.name == name).map(|call| call.count).sum::<u64>()
    };
    assert!(truth.calls.iter().all(|(name, made)| of(name) == *made));
    // Its own `execve` is the first; the last is the one that ends it, in each of the three.
    assert_eq!((of("execve"), of("exit_group")), (1, 3));
    assert_eq!(export.processes.iter().find(|process| process.pid == truth.pid).unwrap().comm, "calls");
}

#[test]
fn the_status_of_a_command_is_passed_on() {
    for (script, code) in [("exit 7", 7), ("kill -TERM $$", 128 + 15), ("true", 0)] {
        let (status, ..) = Tool::start(["run", "--quiet", "--", "sh", "-c", script]).end();
        assert_eq!(status.code(), Some(code), "{script}");
    }
}

#[test]
fn under_sudo_a_command_runs_as_the_one_who_typed_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    command.args(["run", "--quiet", "--", "sh", "-c", "id -u; id -g; grep CapEff /proc/self/status"]);
    command.env("SUDO_UID", "65534").env("SUDO_GID", "65533").env("SUDO_USER", "nobody");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = said.split_ascii_whitespace().collect();
    assert_eq!(words, ["65534", "65533", "CapEff:", "0000000000000000"], "{:?}", output.stderr);
}

#[test]
fn a_program_of_another_user_is_traced_as_truly() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("calls");
    fs::copy(program(), &copy).unwrap();
    chown(&copy, Some(65534), Some(65534)).unwrap();
    let switch = "shift; exec setpriv --reuid 65534 --clear-groups \"$0\" \"$@\"";
    let mut calls = Calls::start_under(&["sh", "-c", switch, copy.to_str().unwrap()], &["--count", "60"]);
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    trace.until(|| calls.has_ended());
    let session = trace.finish();
    assert_true(&session, &calls.truth());
    assert!(whole(&session.ledger), "{:?}", session.ledger);
}
