//! Who waits for whom: every wait that a program knows of is found, and none is made up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use model::random::Random;
use serde_json::Value;

use crate::support::{compiled, installed, need, within};

/// A program of ours that waits for good; it and its descendants are killed when dropped.
struct Hung(Child);

impl Hung {
    fn start(program: &Path, arguments: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The next lines that it prints.
    fn lines(&mut self, count: usize) -> Vec<String> {
        let output = BufReader::new(self.0.stdout.take().unwrap());
        output.lines().take(count).map(Result::unwrap).collect()
    }

    fn family(&self) -> Vec<u32> {
        kernel::target::family(self.pid())
    }

    /// Threads of all its processes with the times that they left a CPU.
    fn switches(&self) -> BTreeMap<u32, u64> {
        let tids = self.family().into_iter().flat_map(kernel::target::threads);
        let of = |tid: u32| {
            let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap();
            let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
            counts.map(|line| line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
        };
        tids.map(|tid| (tid, of(tid))).collect()
    }

    /// Waits until no thread moves any more.
    fn settled(&self) {
        within(Duration::from_secs(60), "all threads to wait", || {
            let before = self.switches();
            std::thread::sleep(Duration::from_millis(30));
            before == self.switches()
        });
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        for pid in self.family() {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// What `why` says as JSON, and its status.
fn why(pid: u32, more: &[&str]) -> (Value, i32) {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    tool.args(["why", "-p", &pid.to_string(), "--json"]).args(more);
    let output = tool.output().unwrap();
    let picture = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (picture, output.status.code().unwrap())
}

fn tid(told: &Value) -> u32 {
    told["tid"].as_u64().unwrap() as u32
}

fn enders(waiting: &Value) -> Vec<u32> {
    waiting["enders"].as_array().unwrap().iter().map(tid).collect()
}

/// All waits that are told, by thread; each once.
fn waits(picture: &Value) -> BTreeMap<u32, Vec<u32>> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let rings = list(&picture["deadlocks"]).into_iter().flat_map(|ring| list(&ring));
    let convoys = list(&picture["convoys"]).into_iter().flat_map(|convoy| list(&convoy["waiting"]));
    let all = rings.chain(convoys).chain(list(&picture["stuck"])).chain(list(&picture["waiting"]));
    let mut waits = BTreeMap::new();
    for waiting in all {
        let again = waits.insert(tid(&waiting["thread"]), enders(&waiting));
        assert_eq!(again, None, "{waiting}");
    }
    waits
}

/// Rings of a graph in which each thread waits for one other at most, each from its smallest id on.
fn rings(truth: &BTreeMap<u32, u32>) -> BTreeSet<Vec<u32>> {
    let mut rings = BTreeSet::new();
    for begin in truth.keys() {
        let (mut path, mut at) = (vec![*begin], *begin);
        while let Some(next) = truth.get(&at) {
            if let Some(place) = path.iter().position(|tid| tid == next) {
                let mut ring = path.split_off(place);
                let least = (0..ring.len()).min_by_key(|at| ring[*at]).unwrap();
                ring.rotate_left(least);
                rings.insert(ring);
                break;
            }
            path.push(*next);
            at = *next;
        }
    }
    rings
}

/// Graphs of the test below, unless the environment asks for more.
const GRAPHS: u64 = 40;

/// Processes and threads of a graph: a few large ones, and many small.
fn shape(random: &mut Random, graph: u64) -> [usize; 2] {
    match graph % 20 {
        0 => [1, 200],
        1 => [20, 4 + random.below(40) as usize],
        _ => [1 + random.below(5) as usize, 1 + random.below(30) as usize],
    }
}

#[test]
fn every_wait_of_made_up_graphs_is_found_and_no_other_and_every_ring_is_named() {
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "knots.c", &["-O1", "-pthread"]).unwrap();
    let graphs = std::env::var("PULSE_WHY_GRAPHS").map_or(GRAPHS, |number| number.parse().unwrap());
    let mut random = Random(7);
    let mut knotted = 0;
    for graph in 0..graphs {
        knotted += u64::from(assert_found(&program, shape(&mut random, graph), graph));
    }
    assert!((1..graphs).contains(&knotted), "{knotted} of {graphs} graphs have rings");
}

/// Makes a graph and looks at it; true if it has a ring.
fn assert_found(program: &Path, [processes, threads]: [usize; 2], graph: u64) -> bool {
    let arguments = [processes.to_string(), threads.to_string(), graph.to_string()];
    let mut hung = Hung::start(program, &arguments);
    let mut truth = BTreeMap::new();
    for line in hung.lines(processes * threads) {
        let (waiter, owner) = line.split_once(' ').unwrap();
        let (waiter, owner): (u32, u32) = (waiter.parse().unwrap(), owner.parse().unwrap());
        if owner != 0 {
            truth.insert(waiter, owner);
        }
    }
    hung.settled();
    let before = hung.switches();
    let (picture, status) = why(hung.pid(), &["--children"]);
    assert_eq!(hung.switches(), before, "they have noticed");
    let first = |enders: Vec<u32>| *enders.first().unwrap_or(&0);
    let said: BTreeMap<u32, u32> =
        waits(&picture).into_iter().map(|(waiter, enders)| (waiter, first(enders))).collect();
    assert_eq!(said, truth, "{graph}: {processes} processes of {threads}: {picture}");
    let found = picture["deadlocks"].as_array().unwrap().iter();
    let found: BTreeSet<Vec<u32>> =
        found.map(|ring| ring.as_array().unwrap().iter().map(|it| tid(&it["thread"])).collect()).collect();
    assert_eq!(found, rings(&truth), "{graph}: {picture}");
    assert_eq!(status, i32::from(!found.is_empty()));
    !found.is_empty()
}

#[test]
fn two_processes_that_fill_each_others_pipes_are_a_ring_and_what_may_have_a_time_limit_is_none() {
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "pipes.c", &["-O1"]).unwrap();
    for way in ["pipes", "sockets"] {
        let hung = Hung::start(&program, &[way.to_owned()]);
        within(Duration::from_secs(10), "two processes", || hung.family().len() == 2);
        hung.settled();
        let family: BTreeSet<u32> = hung.family().into_iter().collect();
        // The other one is found, although only one was named.
        let (picture, status) = why(hung.pid(), &[]);
        let rings = picture["rings"].as_array().unwrap().iter();
        let rings: Vec<BTreeSet<u32>> = rings
            .map(|ring| ring.as_array().unwrap().iter().map(|it| tid(&it["thread"])).collect())
            .collect();
        assert_eq!(rings, if way == "pipes" { vec![family] } else { Vec::new() }, "{way}: {picture}");
        assert_eq!((picture["deadlocks"].as_array().unwrap().len(), status), (0, 0), "{way}: {picture}");
    }
}

/// Programs that would be called a deadlock by one who does not look closely, and what they are.
#[test]
fn what_can_go_on_is_no_deadlock_and_what_cannot_is_one() {
    need!(installed("cc"), "there is no C compiler");
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "stuck.c", &["-O1", "-pthread"]).unwrap();
    for (way, deadlocks, waiters) in [
        ("ring", 1, 2),
        // In a namespace of ids of its own, memory names threads by those.
        ("ring in namespace", 1, 2),
        ("timed ring", 0, 2),
        // Back from a condition, three threads want its mutex, which another one has.
        ("back from a condition", 0, 3),
        ("condition", 0, 0),
        ("own pipe", 0, 0),
        ("inherited locked", 0, 1),
    ] {
        let in_namespace = way.ends_with(" in namespace");
        let mut hung = match in_namespace {
            true => {
                let all = ["-p", "-f", "--mount-proc", program.to_str().unwrap(), "ring"].map(str::to_owned);
                Hung::start("unshare".as_ref(), &all)
            }
            false => Hung::start(&program, &[way.to_owned()]),
        };
        hung.lines(1);
        hung.settled();
        let (picture, status) = why(hung.pid(), &["--children"]);
        assert_eq!(picture["deadlocks"].as_array().unwrap().len(), deadlocks, "{way}: {picture}");
        assert_eq!(status, i32::from(deadlocks > 0), "{way}");
        assert_eq!(waits(&picture).len(), waiters, "{way}: {picture}");
        assert!(picture["rings"].as_array().unwrap().is_empty(), "{way}: {picture}");
        for (waiter, enders) in waits(&picture) {
            let family = hung.family();
            let own = |tid: &u32| family.iter().any(|pid| kernel::target::threads(*pid).contains(tid));
            assert!(enders.iter().all(own), "{way}: {waiter} waits for {enders:?}: {picture}");
            assert_eq!(enders.is_empty(), way == "inherited locked", "{way}: {picture}");
        }
    }
}

#[test]
fn who_waits_for_a_lock_on_a_file_waits_for_the_process_that_has_it() {
    need!(installed("flock"), "flock is not installed");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file").to_str().unwrap().to_owned();
    let holder = Hung::start("flock".as_ref(), &[file.clone(), "sleep".to_owned(), "1000".to_owned()]);
    within(Duration::from_secs(10), "the lock to be held", || holder.family().len() == 2);
    let waiter = Hung::start("flock".as_ref(), &[file.clone(), "true".to_owned()]);
    within(Duration::from_secs(10), "the other one to wait", || {
        fs::read_to_string("/proc/locks").unwrap().contains(&format!(" {} ", waiter.pid()))
    });
    waiter.settled();
    let (picture, status) = why(waiter.pid(), &[]);
    assert_eq!(waits(&picture), BTreeMap::from([(waiter.pid(), vec![holder.pid()])]), "{picture}");
    assert_eq!(status, 0);
    assert!(picture["waiting"][0]["object"].as_str().unwrap().contains(&file), "{picture}");
}

#[test]
fn a_process_that_waits_for_work_is_idle_and_what_cannot_be_named_is_refused() {
    let sleeper = Hung::start("sleep".as_ref(), &["1000".to_owned()]);
    within(Duration::from_secs(10), "the sleep", || {
        let call = fs::read_to_string(format!("/proc/{}/syscall", sleeper.pid())).unwrap_or_default();
        call.starts_with(&format!("{} ", libc::SYS_clock_nanosleep))
    });
    let (picture, status) = why(sleeper.pid(), &[]);
    assert_eq!((picture["idle"][0]["place"].as_str(), status), (Some("clock_nanosleep"), 0), "{picture}");
    assert!(waits(&picture).is_empty());
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    let output = tool.args(["why", "-p", "4194304"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
