//! Recordings that were written before are kept: what comes later reads the same in them and writes the same.

use std::{collections::BTreeMap, fs, io::Cursor, path::Path};

use model::{
    events::{EventFrame, EventName, EventStats},
    frame::{Abi, Call, Frame, Lean, ThreadName},
    locks::{FutexStats, LockPlace, MutexKind, MutexSeen},
    sched::{Blocked, Interrupt, Place, Waker, WakerContext},
    session::Header,
    synthetic::{self, Shape},
};
use serde_json::Value;

use super::*;
use crate::files;

const PLAIN: Shape =
    Shape { frames: 1, processes: 1, threads: 0, lossy: false, inline: false, events: false };

/// Each file with what it was made from.
const FILES: [(&str, u64, Shape); 4] = [
    ("plain", 3, PLAIN),
    ("threads", 5, Shape { threads: 2, ..PLAIN }),
    ("lossy", 7, Shape { processes: 3, lossy: true, ..PLAIN }),
    (
        "everything",
        11,
        Shape { frames: 2, processes: 2, threads: 1, lossy: true, inline: true, events: true },
    ),
];

/// What synthetic sessions do not have: every field that is left out elsewhere.
fn unusual() -> Frame {
    let mut frame = synthetic::frames(13, PLAIN).remove(0);
    let process = &mut frame.processes[0];
    process.syscalls.truncate(1);
    process.syscalls[0].stats.lean = Lean { count: 2, sum_ns: 9, max_ns: 8, max_is_bound: true };
    let thread = ThreadName { tid: 7, comm: "\u{1}\"q".to_owned() };
    process.sched.truncate(1);
    process.sched[0].thread = Some(thread.clone());
    let stats = &mut process.sched[0].stats;
    (stats.budget.faults_ns, stats.budget.stopped_ns) = (3, 4);
    let place = Place::Call(Call::whole(Abi::Compat, 3));
    stats.budget.blocked.insert(place, Blocked { count: 5, ns: 6 });
    for context in Interrupt::ALL.map(WakerContext::Interrupt).into_iter().chain([WakerContext::Unknown]) {
        stats.wakers.insert(Waker { context, pid: 0, comm: String::new() }, stats.wakeup_to_run.clone());
    }
    (stats.wakeup_to_run.min_is_bound, stats.wakeup_to_run.max_is_bound) = (true, true);
    let kind = MutexKind { form: 9, robust: true, inherits: true, protects: true, shared: true };
    let holders = BTreeMap::from([((7, "a".to_owned()), 3), ((8, String::new()), 1)]);
    process.futexes.truncate(2);
    process.futexes[0].place = LockPlace::Unresolved { address: 5 };
    process.futexes[0].stats.mutex = Some(MutexSeen { kind, holders, ..MutexSeen::default() });
    process.futexes[0].stats.seen_ns = Some((1, 1));
    process.futexes[0].stats.unlike_mutex = 4;
    process.futexes[1].stats = FutexStats::default();
    process.mutexes.truncate(1);
    process.mutexes[0].kind = Some(kind);
    (process.mutexes[0].generation, process.mutexes[0].stats.calls) = (None, 11);
    let name = EventName { probe: "later".to_owned(), kind: "unknown".to_owned() };
    process.events = vec![EventFrame { name, thread: Some(thread), stats: EventStats::default() }];
    let overhead = &mut frame.overhead;
    (overhead.empty_program_ns, overhead.sampled_calls, overhead.programs[0].run_ns) = (None, None, None);
    let traps = overhead.traps.get_or_insert_default();
    (traps.budget_percent, traps.detached_at_ns, traps.hold_one_in) = (None, Some(5), None);
    frame
}

/// Name, header and frames of each file.
fn files() -> Vec<(&'static str, Header, Vec<Frame>)> {
    let synthetic = FILES
        .into_iter()
        .map(|(name, seed, shape)| (name, synthetic::header(shape), synthetic::frames(seed, shape)));
    synthetic.chain([("unusual", synthetic::header(PLAIN), vec![unusual()])]).collect()
}

fn path(name: &str) -> String {
    format!("{}/src/record/golden/{name}.rec", env!("CARGO_MANIFEST_DIR"))
}

fn write(path: &Path, header: &Header, frames: &[Frame]) {
    let mut recorder = Recorder::begin(files::create(path).unwrap(), header).unwrap();
    frames.iter().for_each(|frame| recorder.frame(frame).unwrap());
    recorder.finish().unwrap();
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn recordings_of_before_are_read_and_written_alike() {
    let directory = tempfile::tempdir().unwrap();
    for (name, header, frames) in files() {
        let text = fs::read_to_string(path(name)).unwrap();
        let mut reader = Reader::new(Cursor::new(text.as_bytes()), name.to_owned()).unwrap();
        assert_eq!(reader.header(), &header, "{name}");
        for frame in &frames {
            assert!(reader.next_frame().unwrap().as_ref() == Some(frame), "{name}");
        }
        assert_eq!(reader.next_frame().unwrap(), None, "{name}");
        let copy = directory.path().join(name);
        write(&copy, &header, &frames);
        let (before, now) = (records(&text), records(&fs::read_to_string(copy).unwrap()));
        assert_eq!(before.len(), now.len(), "{name}");
        for (before, now) in before.iter().zip(&now) {
            assert!(before == now, "{name}: {before} was written, and now {now}");
        }
    }
}

#[test]
fn a_replay_of_before_is_the_session() {
    for (name, seed, shape) in FILES {
        let replay = Reader::open(Path::new(&path(name))).unwrap().replay().unwrap();
        assert!(replay.session == synthetic::session(seed, shape), "{name}");
    }
}

/// For new contents of synthetic sessions only, and with a writer that passed these tests before.
#[test]
#[ignore = "writes the files"]
fn write_them_again() {
    files().iter().for_each(|(name, header, frames)| write(Path::new(&path(name)), header, frames));
}
