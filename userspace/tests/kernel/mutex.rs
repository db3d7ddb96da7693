//! Probes in the code of targets see what really happened there, let go when they cost too much, and leave nothing
//! behind.

mod children;
mod hold;
pub mod left_behind;
pub mod library;
mod total;
mod truth;

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use kernel::target::Pinned;
use library::Named;
use model::{
    locks::{ContendedMutex, LockPlace, ranked_mutexes},
    session::Session,
};
use probes::{Choice, source::probing::Wish};
use pulse_trace_common::hist::index;

use crate::support::{Calls, How, Oracle, Trace, built, children_of, installed, need, whole};

const UNLIMITED: Wish =
    Wish { choice: Choice { spin_time: false, total: false, hold: None }, budget_percent: None };

/// Distributions of the C libraries that `cargo xtask libraries` fetches, besides the one that programs here use.
const RELEASES: [&str; 3] = ["bullseye", "trixie", "sid"];

/// Two processes that fight for the locks of two queues; both are ready to go.
pub fn ping_pong(mutex: &str, trips: &str) -> (Calls, Vec<Pinned>) {
    ping_pong_with(&[], mutex, trips)
}

fn ping_pong_with(wrapper: &[&str], mutex: &str, trips: &str) -> (Calls, Vec<Pinned>) {
    let words = format!("--mutex {mutex} --size 256 --repetitions {trips} --pin 0,1 --timeout 60");
    let arguments: Vec<&str> = words.split(' ').collect();
    let program = Calls::start_program(wrapper, &built("shmemq"), &arguments);
    let pids = children_of(program.outermost());
    let pinned: Vec<Pinned> = pids.iter().map(|pid| Pinned::process(*pid).unwrap()).collect();
    assert_eq!(pinned.len(), 2);
    (program, pinned)
}

fn traced(mutex: &str, trips: &str, wish: Wish) -> (Session, Vec<u32>) {
    let (mut program, pinned) = ping_pong(mutex, trips);
    let how = How { probes: &["mutex", "futex"], wish, ..How::default() };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    trace.until(|| program.has_ended());
    (trace.finish(), pinned.iter().map(|pinned| pinned.pid).collect())
}

fn mutexes(session: &Session) -> Vec<ContendedMutex> {
    ranked_mutexes(&session.processes)
}

fn contended(session: &Session) -> u64 {
    mutexes(session).iter().map(|mutex| mutex.seen.stats.contended).sum()
}

#[test]
fn an_adaptive_mutex_tells_who_spun_who_gave_up_and_who_went_to_the_kernel() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (session, pids) = traced("adaptive", "50000", UNLIMITED);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    // Each side has a CPU: both fight thousands of times, however busy those are.
    assert!(contended(&session) > 0, "{:?}", session.notes);
    let both: BTreeSet<u32> = pids.iter().copied().collect();
    for mutex in mutexes(&session) {
        let stats = &mutex.seen.stats;
        assert!(matches!(mutex.place, LockPlace::Shared { .. }), "{mutex:?}");
        assert!(mutex.users.iter().all(|user| both.contains(&user.0)), "{mutex:?}");
        assert_eq!(mutex.seen.kind.unwrap().name(), "adaptive shared");
        assert!(mutex.seen.runtime.starts_with("glibc 2."), "{}", mutex.seen.runtime);
        assert!(mutex.seen.generation.is_some());
        // Everybody who gets it in the end has passed the end of the spin, and the others are told by the way there.
        assert_eq!(stats.spin_count.count(), stats.contended);
        assert!(stats.gave_up <= stats.contended && stats.went_to_kernel <= stats.gave_up, "{stats:?}");
        assert!(stats.spin_count.max.is_some_and(|max| max < 1000), "{:?}", stats.spin_count.max);
        // The first ones are all looked at, and lead to the code that wanted the lock.
        let leads =
            |caller: &Option<String>| caller.as_ref().is_some_and(|it| it.contains("PthreadMutex::with"));
        assert!(!stats.stacks.is_empty(), "{stats:?}");
        assert!(stats.stacks.iter().all(|stack| leads(&stack.caller)), "{:?}", stats.stacks);
    }
    let traps = session.overhead.traps.as_ref().unwrap();
    assert!(traps.trap_ns > 0.0 && traps.detached_at_ns.is_none(), "{traps:?}");
    let passed = |mutex: &ContendedMutex| {
        let stats = &mutex.seen.stats;
        stats.contended + stats.gave_up + stats.went_to_kernel
    };
    assert_eq!(traps.hits, mutexes(&session).iter().map(passed).sum::<u64>());
    assert_eq!(session.ledger.events.get("contended_acquisitions"), Some(&contended(&session)));
}

/// An endless ping-pong with a budget that it exceeds, until the probes are out, and as long again.
fn over_budget(probes: &[&str], choice: Choice) -> Session {
    let (mut program, pinned) = ping_pong("adaptive", "100000000");
    let how = How { probes, wish: Wish { choice, budget_percent: Some(0.1) }, ..How::default() };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    let (since, pid) = (Instant::now(), pinned[0].pid);
    trace.until(|| !left_behind::is_probed(pid) || since.elapsed() > Duration::from_secs(60));
    assert!(!left_behind::is_probed(pid), "a minute of a lock that is fought for costs nothing");
    let end = Instant::now() + since.elapsed() + Duration::from_millis(100);
    trace.until(|| Instant::now() > end);
    program.kill();
    trace.finish()
}

#[test]
fn probes_that_cost_more_than_their_budget_are_taken_out_and_what_they_saw_is_kept() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let session = over_budget(&["mutex"], Choice::default());
    let traps = session.overhead.traps.as_ref().unwrap();
    let at = traps.detached_at_ns.unwrap();
    assert!(traps.attached_ns <= at && at < session.duration_ns, "{traps:?} of {}", session.duration_ns);
    assert!(contended(&session) > 0);
    assert!(traps.hits as f64 * traps.trap_ns > 0.001 * traps.target_cpu_ns as f64, "{traps:?}");
}

#[test]
fn every_spin_count_is_the_one_that_bpftrace_reads_where_debug_information_says() {
    let dir = tempfile::tempdir().unwrap();
    let named = Named::needed(dir.path());
    need!(named.is_ok(), "{}", named.err().unwrap_or_default());
    let named = named.unwrap();
    let preload = format!("LD_LIBRARY_PATH={}", dir.path().display());
    let (mut program, pinned) = ping_pong_with(&["env", &preload], "adaptive", "30000");
    let pids: Vec<u32> = pinned.iter().map(|pinned| pinned.pid).collect();
    let script = dir.path().join("spins.bt");
    std::fs::write(&script, named.script()).unwrap();
    let oracle = Oracle::run(&script, &pids);
    named.hide();
    let how = How { probes: &["mutex"], wish: UNLIMITED, ..How::default() };
    let mut trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    program.go();
    trace.until(|| program.has_ended());
    let session = trace.finish();
    let said = oracle.finish();
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let mut theirs = vec![0_u64; 256];
    for (spins, count) in said["@spins"].as_object().unwrap() {
        theirs[index(spins.parse().unwrap())] += count.as_u64().unwrap();
    }
    let mut ours = vec![0_u64; theirs.len()];
    for mutex in mutexes(&session) {
        for (bucket, count) in mutex.seen.stats.spin_count.buckets() {
            ours[usize::from(*bucket)] += *count;
        }
    }
    assert!(ours == theirs, "ours and theirs by bucket, of {:?}: {ours:?} {theirs:?}", session.ledger);
    assert_eq!(ours.iter().sum::<u64>(), contended(&session));
    assert!(theirs.iter().sum::<u64>() > 0, "neither side found a lock taken");
}

#[test]
fn a_library_that_was_replaced_on_disk_is_probed_as_it_is_mapped() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let dir = tempfile::tempdir().unwrap();
    let (mapped, new) = (dir.path().join("libc.so.6"), dir.path().join("new"));
    std::fs::copy(library::SYSTEM, &mapped).unwrap();
    let preload = format!("LD_LIBRARY_PATH={}", dir.path().display());
    let (mut program, pinned) = ping_pong_with(&["env", &preload], "adaptive", "100000000");
    // Another file by now, of which nothing can be made.
    std::fs::write(&new, "no library").unwrap();
    std::fs::rename(&new, &mapped).unwrap();
    let how = How { probes: &["mutex"], wish: UNLIMITED, ..How::default() };
    let trace = Trace::of_all(&pinned.iter().collect::<Vec<_>>(), &how);
    assert!(pinned.iter().all(|pinned| left_behind::is_probed(pinned.pid)));
    program.kill();
    trace.finish();
}

#[test]
fn a_static_program_without_symbols_is_refused_by_name_and_its_calls_are_still_counted() {
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("idle.c"), dir.path().join("idle"));
    std::fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) usleep(1000); }").unwrap();
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-static", "-s", "-o"]).args([&program, &source]);
    need!(compiler.status().is_ok_and(|status| status.success()), "this compiler makes no static programs");
    let mut child = std::process::Command::new(&program).spawn().unwrap();
    let how = How { probes: &["mutex", "futex", "syscalls"], ..How::default() };
    let mut trace = Trace::of(child.id(), &how);
    trace.steps(10);
    child.kill().unwrap();
    child.wait().unwrap();
    let session = trace.finish();
    let said = |note: &String| note.ends_with("it is a static program without symbols; showing tier 0");
    assert!(session.notes.iter().any(said), "{:?}", session.notes);
    assert!(session.ledger.counted > 0 && contended(&session) == 0);
}

/// The sites of a library, by where they are in the file.
fn sites(library: &Path) -> Vec<u64> {
    let bytes = std::fs::read(library).unwrap();
    let plan = binary::locate::plan::plan(&bytes, &binary::locate::debug_file::Nowhere);
    plan.sites.iter().map(|site| site.file_offset).collect()
}
