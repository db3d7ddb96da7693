//! Mutexes are followed from where they are taken to where they are released, by every function that takes them.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

use kernel::target::Pinned;
use model::{hist::Hist, session::Session};
use probes::{
    Choice,
    source::probing::{BUDGET_PERCENT, Wish},
};

use super::{RELEASES, mutexes, over_budget};
use crate::{
    inline::program::Compiled,
    support::{Calls, How, Trace, compiled, installed, need, whole},
};

/// By address: how many holds, for how long all together at least, and at most.
type Truth = BTreeMap<String, (u64, u64, u64)>;

fn traced(program: &Path, one_in: u32) -> (Session, Truth) {
    traced_by(&[], program, one_in, None)
}

fn traced_by(loader: &[&str], program: &Path, one_in: u32, budget_percent: Option<f64>) -> (Session, Truth) {
    traced_while(loader, program, one_in, budget_percent, |trace, program| {
        trace.until(|| program.has_ended());
    })
}

/// The step is repeated for as long as the program runs.
fn traced_while(
    loader: &[&str],
    program: &Path,
    one_in: u32,
    budget_percent: Option<f64>,
    step: fn(&mut Trace, &mut Calls),
) -> (Session, Truth) {
    let mut program = Calls::start_program(loader, program, &[]);
    let pinned = Pinned::process(program.pid()).unwrap();
    let choice = Choice { hold: NonZeroU32::new(one_in), ..Choice::default() };
    let wish = Wish { choice, budget_percent };
    let mut trace = Trace::of_pinned(&pinned, &How { probes: &["mutex", "futex"], wish, ..How::default() });
    program.go();
    while !program.has_ended() {
        step(&mut trace, &mut program);
    }
    (trace.finish(), serde_json::from_str(&program.output()).unwrap())
}

fn held(session: &Session) -> BTreeMap<u64, Hist> {
    let all = mutexes(session).into_iter();
    all.map(|it| (it.users.iter().next().unwrap().1, it.seen.stats.hold)).collect()
}

#[test]
fn every_hold_is_as_long_as_the_program_says() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "held.c", &["-O1", "-pthread"]).unwrap();
    let (session, truth) = traced(&program, 1);
    assert_true(&session, &truth);
}

fn assert_true(session: &Session, truth: &Truth) {
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let seen = held(session);
    for (address, (count, least, most)) in truth {
        let hist = &seen[&address.parse().unwrap()];
        assert_eq!(hist.count(), *count, "{seen:?} {truth:?}");
        assert!((*least..=*most).contains(&hist.sum), "{} in {least}..={most}: {truth:?}", hist.sum);
        // None of them is shorter than the nap in it.
        assert!(hist.min.is_some_and(|min| min >= 1_000_000), "{hist:?}");
    }
    // Forty of one millisecond, twenty of five.
    let plain = &seen[&truth.keys().min_by_key(|it| it.parse::<u64>().unwrap()).unwrap().parse().unwrap()];
    assert!(plain.quantile(0.9).unwrap() >= 5_000_000, "{plain:?}");
    assert_eq!(session.ledger.censored.get("holds_unfinished"), None);
}

#[test]
fn of_a_part_of_the_time_no_hold_is_longer_or_shorter_than_it_was() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "held.c", &["-O1", "-pthread"]).unwrap();
    in_a_stretch(&program, 3, |session, truth| {
        let (some, all) = assert_no_longer_together(session, truth);
        assert!(some < all, "{some} of {all}");
        assert_eq!(session.overhead.traps.as_ref().unwrap().hold_one_in, Some(3));
        some
    });
}

/// Has sessions checked until one has seen a hold, as the check says. On a busy machine the tool looks at the clock
/// up to 300 ms late, and by the time that it does so in a stretch, the program may have ended.
fn in_a_stretch(program: &Path, one_in: u32, check: fn(&Session, &Truth) -> u64) {
    let seen = (0..5).any(|_| {
        let (session, truth) = traced(program, one_in);
        check(&session, &truth) > 0
    });
    assert!(seen, "no hold was seen in any of five sessions");
}

/// Returns how many holds were seen, and how many there were of the mutexes that are known.
fn assert_no_longer_together(session: &Session, truth: &Truth) -> (u64, u64) {
    let seen = held(session);
    let (mut some, mut all) = (0, 0);
    for (address, (count, _, most)) in truth {
        let Some(hist) = seen.get(&address.parse().unwrap()) else { continue };
        assert!(hist.count() <= *count && hist.sum <= *most, "{hist:?} of {count} in {most}");
        // One of which the beginning was missed would be shorter.
        assert!(hist.count() == 0 || hist.min.is_some_and(|min| min >= 1_000_000), "{hist:?}");
        (some, all) = (some + hist.count(), all + count);
    }
    (some, all)
}

/// It takes the kernel many milliseconds to remove probes, and the program goes on in the meantime.
#[test]
fn a_failed_attempt_before_probes_are_removed_is_no_hold() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "tries.c", &["-O1", "-pthread"]).unwrap();
    in_a_stretch(&program, 2, assert_none_longer);
}

#[test]
fn a_failed_attempt_before_the_probe_is_switched_off_is_no_hold() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "tries.c", &["-O1", "-pthread"]).unwrap();
    for one_in in [1, 2] {
        let (session, truth) = traced_while(&[], &program, one_in, None, |trace, program| {
            let end = Instant::now() + Duration::from_millis(30);
            trace.until(|| Instant::now() > end || program.has_ended());
            trace.switch("mutex", false).unwrap();
            trace.switch("mutex", true).unwrap();
        });
        // Probes that are out half of the time, and out again soon, may see none.
        let seen = assert_none_longer(&session, &truth);
        assert!(seen > 0 || one_in > 1);
    }
}

/// The program's truth has the longest of its holds, not the sum. Returns how many were seen.
fn assert_none_longer(session: &Session, truth: &Truth) -> u64 {
    let (address, (count, _, longest)) = truth.first_key_value().unwrap();
    let Some(hist) = held(session).remove(&address.parse().unwrap()) else { return 0 };
    assert!(
        hist.count() <= *count && hist.max.is_none_or(|max| max <= *longest),
        "{hist:?} of {longest} at most"
    );
    hist.count()
}

#[test]
fn holds_are_as_long_with_the_libraries_of_other_releases() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("gcc"), "gcc is not installed");
    for release in RELEASES {
        let made = Compiled::for_release(release, "held.c");
        need!(made.is_some(), "the C library of {release} is not here; run `cargo xtask libraries`");
        let (program, loader) = made.unwrap();
        let loader: Vec<&str> = loader.iter().map(String::as_str).collect();
        let (session, truth) = traced_by(&loader, program.path(), 1, None);
        assert_true(&session, &truth);
    }
}

#[test]
fn within_the_budget_every_hold_is_seen() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "held.c", &["-O1", "-pthread"]).unwrap();
    let (session, truth) = traced_by(&[], &program, 1, Some(BUDGET_PERCENT));
    let traps = session.overhead.traps.as_ref().unwrap();
    assert_eq!((traps.detached_at_ns, traps.budget_percent), (None, Some(BUDGET_PERCENT)));
    assert_true(&session, &truth);
}

#[test]
fn above_the_budget_holds_are_followed_no_longer_and_none_is_made_up() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let session = over_budget(&["mutex", "futex"], Choice { hold: NonZeroU32::new(1), ..Choice::default() });
    let traps = session.overhead.traps.as_ref().unwrap();
    let at = traps.detached_at_ns.unwrap();
    assert!(at < session.duration_ns / 2, "{traps:?} of {}", session.duration_ns);
    let seen = mutexes(&session);
    let holds: Vec<&Hist> = seen.iter().map(|mutex| &mutex.seen.stats.hold).collect();
    let count: u64 = holds.iter().map(|hist| hist.count()).sum();
    // Each is two hits, and began and ended while the probes were in.
    assert!(count > 0 && 2 * count <= traps.hits, "{count} of {traps:?}");
    assert!(holds.iter().all(|hist| hist.max.is_none_or(|max| max <= at)), "{holds:?} {at}");
}
