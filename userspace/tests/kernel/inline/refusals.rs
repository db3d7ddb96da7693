//! Processes that are left alone, and say so; each goes on as it was.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use kernel::inline::{Detail, Patch};

use super::{
    code, mappings,
    program::{self, Program},
};
use crate::support::{installed, need, within};

const SOURCE: &str = "refusals.c";

/// Id of the process that it names, once it is ready.
fn ready(program: &mut Program) -> Option<u32> {
    program.line().strip_prefix("ready ").map(|pid| pid.parse().unwrap())
}

fn refusal(pid: u32) -> String {
    Patch::put_in(pid, Detail::Kinds)
        .err()
        .map_or_else(|| "not refused".to_owned(), |error| error.to_string())
}

fn waits_in_kernel(pid: u32) {
    within(Duration::from_secs(20), "a wait that cannot be interrupted", || {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        line[line.rfind(')').unwrap()..].starts_with(") D")
    });
}

/// Refused for that reason, unchanged, and able to end as if nothing had been.
fn is_refused(mut program: Program, reason: &str) {
    let pid = ready(&mut program).unwrap();
    if reason.contains("does not stop") {
        waits_in_kernel(pid);
    }
    let before = code(pid);
    let said = refusal(pid);
    assert!(said.starts_with(&format!("cannot count inside of process {pid}: ")), "{said}");
    assert!(said.contains(reason), "{said}");
    assert_eq!(mappings(pid), Vec::<String>::new());
    assert!(code(pid) == before);
    assert!(program.end().success(), "{reason}");
}

#[test]
fn a_process_that_cannot_be_counted_in_is_refused_by_name() {
    need!(installed("gcc"), "gcc is not installed");
    for (mode, reason) in [
        ("seccomp", "a seccomp filter forbids it system calls"),
        ("undumpable", "it is not dumpable"),
        ("traced", "traces it already"),
        ("twice", "it has more than one C library mapped"),
        ("vfork", "does not stop (it waits in the kernel)"),
    ] {
        is_refused(Program::start(SOURCE, &[mode]), reason);
    }
    let mut careful = Program::start(SOURCE, &["mdwe"]);
    match careful.line().strip_prefix("ready ") {
        Some(pid) => {
            let said = refusal(pid.parse().unwrap());
            assert!(said.contains("PR_SET_MDWE"), "{said}");
        }
        // Kernels before 6.3 do not know it.
        None => assert!(!careful.end().success()),
    }
}

#[test]
fn a_program_that_runs_as_another_user_is_refused_by_name() {
    need!(installed("gcc"), "gcc is not installed");
    let compiled = program::Compiled::of(SOURCE, &["-pthread"]);
    // The new owner does not matter, as long as it is not the user that runs this.
    std::os::unix::fs::chown(compiled.path(), Some(65_534), None).unwrap();
    fs::set_permissions(compiled.path(), fs::Permissions::from_mode(0o4755)).unwrap();
    let mut program = compiled.start(&[]);
    let pid = ready(&mut program).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    need!(status.contains("\t65534\t"), "set-user-ID programs have no effect in this file system");
    is_refused_as(pid, "set-user-ID");
    assert!(program.end().success());
}

#[test]
fn a_program_without_the_library_is_refused_by_name() {
    need!(installed("gcc"), "gcc is not installed");
    let fixed = program::Compiled::of(SOURCE, &["-static"]);
    let mut program = fixed.start(&[]);
    is_refused_as(ready(&mut program).unwrap(), "it has no C library mapped");
    assert!(program.end().success());
    let narrow = program::Compiled::of("narrow.c", &["-m32", "-nostdlib", "-static", "-fno-stack-protector"]);
    let path = narrow.path().clone();
    let program = narrow.start(&[]);
    let pid = program.pid();
    // Until its exec it is the process that starts it.
    within(Duration::from_secs(20), "the program to begin", || {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == path)
    });
    is_refused_as(pid, "it is a 32-bit program");
    assert!(program.end().success());
}

fn is_refused_as(pid: u32, reason: &str) {
    let said = refusal(pid);
    assert!(said.contains(reason), "{said}");
    assert_eq!(mappings(pid), Vec::<String>::new());
}

#[test]
fn who_forbids_itself_system_calls_afterwards_is_made_to_make_none() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = Program::start(SOURCE, &["later"]);
    let pid = ready(&mut program).unwrap();
    let before = code(pid);
    let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
    program.tell("");
    assert_eq!(ready(&mut program), Some(pid));
    let done = patch.remove().unwrap();
    assert!(done.memory_left && done.restored == 12, "{done:?}");
    assert_eq!((done.heirs, done.heirs_left), (0, 0));
    assert!(code(pid) == before);
    assert!(program.end().success());
}

#[test]
fn who_waits_in_vfork_loses_nothing_behind_its_back() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = Program::start(SOURCE, &["vforks"]);
    let pid = ready(&mut program).unwrap();
    let before = code(pid);
    let mut patch = Patch::put_in(pid, Detail::Kinds).unwrap();
    program.tell("");
    assert_eq!(ready(&mut program), Some(pid));
    waits_in_kernel(pid);
    // The child stands still at once, and has the same memory.
    let said = patch.remove().unwrap_err().to_string();
    assert!(said.contains("does not stop"), "{said}");
    assert!(code(pid) != before && !mappings(pid).is_empty());
    assert!(program.end().success());
}
