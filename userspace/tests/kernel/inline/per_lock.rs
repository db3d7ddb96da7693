//! Every mutex by itself: equal to what the mutex keeps, and what finds no room is counted too.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use binary::locate::{register::Reg, replaceable::Passing};
use kernel::inline::{Counts, Detail, Everything, Patch, TARGET};
use rustix::process::Signal;
use views::export::json::Process;

use super::{
    acquisitions, code, mappings,
    program::Program,
    sides,
    truth::{BASE, windows},
};
use crate::support::{Tool, export, installed, need, within};

const ENDS: Passing = Passing::SpinEnd(Reg::Rax);

/// Numbers that a mutex keeps of itself: address, acquisitions, how often its mean changed by so much.
struct Ledger {
    address: u64,
    total: u64,
    windows: BTreeMap<u64, u64>,
}

fn obey(program: &mut Program, command: Option<&str>) -> Vec<Ledger> {
    command.inspect(|command| program.tell(command));
    let lines = std::iter::from_fn(|| Some(program.line()).filter(|line| line != "done"));
    let ledger = |line: String| {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap().parse().unwrap();
        let (address, total) = (next(), next());
        let windows = words.map(|word| {
            let (window, count) = word.split_once(':').unwrap();
            (window.parse().unwrap(), count.parse().unwrap())
        });
        Ledger { address, total, windows: windows.collect() }
    };
    lines.map(ledger).collect()
}

fn attempts(counts: &Counts) -> u64 {
    counts.of(Passing::AdaptiveAttempt) + counts.of(Passing::NormalAttempt)
}

fn of_lock(all: &Everything, lock: u64) -> Counts {
    all.processes[&TARGET].locks.get(&lock).cloned().unwrap_or_default()
}

fn all_locks(all: &Everything) -> u64 {
    all.processes[&TARGET].locks.values().map(attempts).sum()
}

/// Each mutex, at each of the eight ways to divide spin counts into windows; then more mutexes than there is room for.
fn prove(mut program: Program, kind: &str, what: &str) {
    let pid = program.pid();
    obey(&mut program, None);
    let before = code(pid);
    let mut patch = Patch::put_in(pid, Detail::Locks).unwrap();
    let mut seen = patch.read_all().unwrap();
    for base in BASE..BASE + 8 {
        let ledgers = obey(&mut program, Some(&format!("round 3001 {base}")));
        let now = patch.read_all().unwrap();
        assert!(ledgers.len() > 1 && ledgers[0].total > ledgers[1].total, "{what}");
        for ledger in &ledgers {
            let new = of_lock(&now, ledger.address).since(&of_lock(&seen, ledger.address));
            assert_eq!(attempts(&new), ledger.total, "{what}");
            if kind == "adaptive" {
                assert_eq!(new.of(ENDS), ledger.windows.values().sum::<u64>(), "{what}");
                assert_eq!(windows(&new.spins, base), ledger.windows, "{what}");
                assert!(new.of(Passing::AdaptiveWait) <= new.of(Passing::GaveUp), "{what}");
            }
        }
        assert!(now.outside.is_nothing(), "{what}: there was room");
        seen = now;
    }
    // The table has 4,096 rows; what does not fit is counted without its lock, and nothing twice.
    const FRESH: u64 = 9001;
    obey(&mut program, Some(&format!("many {FRESH} 0")));
    let now = patch.read_all().unwrap();
    let (rows, lost) = (all_locks(&now) - all_locks(&seen), attempts(&now.outside));
    assert_eq!(rows + lost, FRESH, "{what}");
    assert!(rows > 3000 && lost >= FRESH - 4096, "{what}: {rows} rows, {lost} without");
    assert_eq!(attempts(&now.processes[&TARGET].all), all_locks(&now) + lost, "{what}");
    assert!(!patch.remove().unwrap().memory_left, "{what}");
    assert_eq!(mappings(pid), Vec::<String>::new(), "{what}");
    assert!(code(pid) == before, "{what}: the code is not what it was");
    assert!(program.end().success(), "{what}");
}

#[test]
fn every_mutex_equals_its_own_ledger_and_what_finds_no_room_is_counted() {
    need!(installed("gcc"), "gcc is not installed");
    for kind in ["adaptive", "plain"] {
        for arguments in [[kind, "2", "3"], [kind, "7", "5"]] {
            prove(Program::start("locks.c", &arguments), kind, &format!("{arguments:?}"));
        }
        for release in ["bullseye", "trixie", "sid"] {
            let program = Program::start_under(release, "locks.c", &[kind, "3", "4"]);
            need!(program.is_some(), "the C library of {release} is not here; run `cargo xtask libraries`");
            prove(program.unwrap(), kind, &format!("{release} {kind}"));
        }
    }
}

#[test]
fn a_mutex_of_two_processes_is_one_place() {
    let (mut program, pids) = sides("1500");
    let shop = tempfile::tempdir().unwrap();
    let json = shop.path().join("json");
    let mut tool = Tool::start([
        "attach",
        "--inline=per-lock",
        "--probes",
        "syscalls",
        "--json",
        &json.to_string_lossy(),
        "-p",
        &format!("{},{}", pids[0], pids[1]),
    ]);
    within(Duration::from_secs(60), "the tool to trace", || {
        assert!(!tool.has_ended());
        tool.listens_to(Signal::HUP)
    });
    program.go();
    let truth = serde_json::from_str(program.output().lines().last().unwrap()).unwrap();
    assert!(tool.end().0.success());
    let export = export(&json);
    let mutexes = || export.processes.iter().flat_map(|process| &process.mutex);
    let of = |process: &Process| process.mutex.iter().map(|mutex| mutex.calls.unwrap()).sum::<u64>();
    let mut counted: Vec<u64> = export.processes.iter().map(of).collect();
    counted.sort_unstable();
    assert_eq!(counted, acquisitions(&truth));
    // Each has every mutex of the queue at an address of its own; the object and the place in it are the same.
    let places: BTreeSet<(u64, u64)> =
        mutexes().map(|mutex| mutex.shared.as_ref().map(|it| (it.inode, it.offset)).unwrap()).collect();
    assert_eq!(mutexes().count(), 2 * places.len(), "{places:?}");
    for process in &export.processes {
        let (kind, mutexes) = (&process.inline[0], &process.mutex);
        assert_eq!(of(process), kind.acquisitions);
        assert_eq!(mutexes.iter().map(|mutex| mutex.contended).sum::<u64>(), kind.contended);
        assert_eq!(mutexes.iter().map(|mutex| mutex.spin_count.count).sum::<u64>(), kind.contended);
        // Who has ended before anybody looked cannot be asked what its mutexes are.
        let kinds = mutexes.iter().filter_map(|mutex| mutex.kind.as_deref());
        assert!(kinds.into_iter().all(|kind| kind == "adaptive shared"));
    }
}
