//! Processes that a target forks are counted once each, as themselves.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    process::Command,
};

use kernel::{
    inline::{Detail, Patch, repair},
    target::Pinned,
};
use model::{inline::InlineKind, session::Session};
use pulse_trace::session::Scope;

use super::{HOW, code, mappings, program::Program, stats};
use crate::support::{How, Trace, installed, need};

/// Numbers that each process counts of itself: its id, acquisitions, contended ones.
pub fn obey(program: &mut Program, command: Option<&str>) -> Vec<(u32, u64, u64)> {
    command.inspect(|command| program.tell(command));
    let lines = std::iter::from_fn(|| Some(program.line()).filter(|line| line != "done"));
    let numbers = |line: String| {
        let mut words = line.split(' ').map(|word| word.parse().unwrap());
        let mut next = || words.next().unwrap();
        (next() as u32, next(), next())
    };
    lines.map(numbers).collect()
}

fn counted(session: &Session) -> Vec<(u32, u64, u64)> {
    let row = |(key, process): (&model::frame::ProcessKey, _)| {
        let seen = stats(process, InlineKind::Adaptive);
        assert_eq!(seen.spins.count(), seen.contended);
        (key.pid, seen.acquisitions, seen.contended)
    };
    session.processes.iter().map(row).filter(|(_, acquisitions, _)| *acquisitions > 0).collect()
}

fn sorted(mut rows: Vec<(u32, u64, u64)>) -> Vec<(u32, u64, u64)> {
    rows.sort_unstable();
    rows
}

#[test]
fn every_forked_process_is_counted_once_as_itself() {
    need!(installed("gcc"), "gcc is not installed");
    for scope in [Scope::Targets, Scope::Children] {
        let mut program = Program::start("kin.c", &[]);
        obey(&mut program, None);
        let pinned = Pinned::process(program.pid()).unwrap();
        let mut trace = Trace::of_pinned(&pinned, &How { scope, ..HOW });
        // Some end before anybody looks, one lives on.
        let mut truth = obey(&mut program, Some("fork 7 301"));
        trace.step();
        let stayed = obey(&mut program, Some("stay 1 503"));
        trace.step();
        let again = obey(&mut program, Some("stay 1 211"));
        assert_eq!((stayed[1].0, stayed[0].1), (again[1].0, 0));
        truth.push((stayed[1].0, stayed[1].1 + again[1].1, stayed[1].2 + again[1].2));
        let heir = stayed[1].0;
        let session = trace.finish();
        assert_eq!(sorted(counted(&session)), sorted(truth));
        assert!(!session.ledger.lost.contains_key("inline_nobodys"), "{:?}", session.ledger);
        // Who lives on is as before, too.
        assert_eq!(mappings(heir), Vec::<String>::new());
        assert!(code(heir) == code(program.pid()));
        assert_eq!(obey(&mut program, Some("stay 1 101"))[1].0, heir);
        assert!(program.end().success());
    }
}

/// Notes in a process that the tool whose counters it has is gone.
fn disown(pid: u32) {
    /// Offset in the first page of the tool's start time.
    const STARTED: u64 = 40;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let starts = maps.lines().map(|line| u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap());
    let is_ours = |start: &u64| {
        let mut signature = [0; 15];
        memory.read_exact_at(&mut signature, *start).is_ok() && &signature == b"pulse-trace\0pad"
    };
    let ours: Vec<u64> = starts.filter(is_ours).collect();
    assert_eq!(ours.len(), 1, "{maps}");
    memory.write_all_at(&1_u64.to_le_bytes(), ours[0] + STARTED).unwrap();
}

#[test]
fn a_child_of_a_target_whose_tool_was_killed_goes_on_and_is_repaired() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = Program::start("kin.c", &[]);
    obey(&mut program, None);
    let before = code(program.pid());
    let patch = Patch::put_in(program.pid(), Detail::Kinds).unwrap();
    let heir = obey(&mut program, Some("stay 1 503"))[1].0;
    // As a tool does that is killed.
    std::mem::forget(patch);
    [program.pid(), heir].into_iter().for_each(disown);
    assert!(code(heir) != before && !mappings(heir).is_empty());
    let row = obey(&mut program, Some("stay 1 307"))[1];
    assert_eq!((row.0, row.1), (heir, 307 * 4));
    let tool = |pid: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
        let output = command.args(["doctor", "-p", &pid.to_string(), "--repair"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for pid in [heir, program.pid()] {
        let looked = Command::new(env!("CARGO_BIN_EXE_pulse-trace"))
            .args(["doctor", "-p", &pid.to_string()])
            .output()
            .unwrap();
        let looked = String::from_utf8_lossy(&looked.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(looked.contains(&format!("`pulse-trace doctor -p {pid} --repair` removes them")), "{looked}");
        let said = tool(pid);
        assert!(said.contains("12 instructions"), "{said}");
        assert_eq!(mappings(pid), Vec::<String>::new());
        assert!(code(pid) == before);
        assert!(repair(pid).unwrap().is_none());
    }
    assert_eq!(obey(&mut program, Some("stay 1 101"))[1].0, heir);
    assert!(program.end().success());
}

#[test]
fn acquisitions_of_an_unknown_child_are_counted_for_no_process() {
    need!(installed("gcc"), "gcc is not installed");
    // Forked by another thread than the first, of the target or of its child, and ended before anybody looks.
    for (command, scope) in
        [("aside 5 101", Scope::Targets), ("down 5 101", Scope::Targets), ("down 5 101", Scope::Children)]
    {
        let mut program = Program::start("kin.c", &[]);
        obey(&mut program, None);
        let trace = Trace::of(program.pid(), &How { scope, ..HOW });
        let truth = obey(&mut program, Some(command));
        let session = trace.finish();
        assert_eq!(counted(&session), [truth[0]], "{command}");
        let theirs: u64 = truth[1..].iter().map(|(_, total, _)| total).sum();
        assert_eq!(session.ledger.lost.get("inline_nobodys"), Some(&theirs), "{:?}", session.ledger);
        assert!(program.end().success());
    }
}

#[test]
fn mutexes_of_children_are_their_own() {
    need!(installed("gcc"), "gcc is not installed");
    let mut program = Program::start("kin.c", &[]);
    obey(&mut program, None);
    let mut patch = Patch::put_in(program.pid(), Detail::Locks).unwrap();
    let truth = obey(&mut program, Some("fork 5 401"));
    let all = patch.read_all().unwrap();
    let mut counted: Vec<(u32, u64, u64)> = Vec::new();
    for (number, own) in &all.processes {
        let (_, lock) = own.locks.first_key_value().unwrap();
        assert_eq!((own.locks.len(), lock), (1, &own.all));
        let pid = if own.leader == 0 { program.pid() } else { own.leader };
        assert_eq!(own.leader == 0, *number == kernel::inline::TARGET);
        let attempts = lock.of(binary::locate::replaceable::Passing::AdaptiveAttempt);
        counted.push((pid, attempts, lock.spins.iter().sum()));
    }
    assert_eq!(sorted(counted), sorted(truth));
    assert!(all.outside.is_nothing() && all.nobodys.is_nothing());
    patch.remove().unwrap();
    assert!(program.end().success());
}
