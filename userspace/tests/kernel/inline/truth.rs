//! Counts equal what the mutex itself keeps, in every release of glibc whose code is known.

use std::collections::BTreeMap;

use binary::locate::{register::Reg, replaceable::Passing, site::Generation};
use kernel::inline::{Counts, Detail, Patch};

use super::{code, mappings, program::Program};
use crate::support::{installed, need};

/// Numbers of the program about one process: see `programs/truth.c`.
pub struct Ledger {
    pub pid: u32,
    pub total: u64,
    /// Number of times that the mean changed by so much.
    windows: BTreeMap<u64, u64>,
}

impl Ledger {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        let (pid, total) = (next().parse().unwrap(), next().parse().unwrap());
        let windows = words.map(|word| {
            let (window, count) = word.split_once(':').unwrap();
            (window.parse().unwrap(), count.parse().unwrap())
        });
        Self { pid, total, windows: windows.collect() }
    }

    /// Both stretches together.
    pub fn and(mut self, other: Self) -> Self {
        self.total += other.total;
        for (window, count) in other.windows {
            *self.windows.entry(window).or_default() += count;
        }
        self
    }

    pub fn contended(&self) -> u64 {
        self.windows.values().sum()
    }
}

/// The window that a spin count falls into.
fn window(count: u64, base: u64) -> u64 {
    (base - count) / 8
}

pub fn windows(spins: &[u64], base: u64) -> BTreeMap<u64, u64> {
    let mut windows = BTreeMap::new();
    for (count, times) in (0..).zip(spins).filter(|(_, times)| **times > 0) {
        *windows.entry(window(count, base)).or_default() += times;
    }
    windows
}

/// Obeys a command; what each process did then.
pub fn obey(program: &mut Program, command: Option<&str>) -> Vec<Ledger> {
    if let Some(command) = command {
        program.tell(command);
    }
    let lines = std::iter::from_fn(|| Some(program.line()).filter(|line| line != "done"));
    lines.map(|line| Ledger::parse(&line)).collect()
}

/// The counters of all its processes, with what was read last.
struct Counted(Vec<(u32, Patch, Counts)>);

impl Counted {
    fn begin(pids: &[u32]) -> Self {
        let put_in = |pid: &u32| (*pid, Patch::put_in(*pid, Detail::Kinds).unwrap(), Counts::default());
        Self(pids.iter().map(put_in).collect())
    }

    /// Counts that were added, with the ledger of the same process.
    fn next<'a>(&mut self, ledgers: &'a [Ledger]) -> Vec<(Counts, &'a Ledger)> {
        let pairs = self.0.iter_mut().map(|(pid, patch, before)| {
            let now = patch.read().unwrap();
            let new = now.since(before);
            *before = now;
            (new, ledgers.iter().find(|ledger| ledger.pid == *pid).unwrap())
        });
        pairs.collect()
    }

    /// The least spin count of those that gave up, as the library's source has it.
    fn limit(&self) -> u64 {
        match self.0[0].1.about.generation {
            Some(Generation::Linear) => 101,
            _ => 100,
        }
    }
}

const ENDS: Passing = Passing::SpinEnd(Reg::Rax);
/// So many that no spin count is as large, and that the limit of the spin is the constant one.
pub const BASE: u64 = 4003;

/// All four numbers of a fight, at each of the eight ways to divide spin counts into windows.
fn fight(program: &mut Program, counted: &mut Counted, times: u64, what: &str) {
    let mut gave_up_known = false;
    for base in BASE..BASE + 8 {
        let ledgers = obey(program, Some(&format!("round {times} {base}")));
        let limit = counted.limit();
        for (new, ledger) in counted.next(&ledgers) {
            assert_eq!(new.of(Passing::AdaptiveAttempt), ledger.total, "{what}");
            assert_eq!(new.of(ENDS), ledger.contended(), "{what}");
            assert_eq!(windows(&new.spins, base), ledger.windows, "{what}");
            assert_eq!(new.of(Passing::NormalAttempt) + new.of(Passing::NormalWait), 0, "{what}");
            assert!(new.of(Passing::AdaptiveWait) <= new.of(Passing::GaveUp), "{what}");
            let by_count = new.spins.iter().skip(limit as usize).sum::<u64>();
            assert_eq!(new.of(Passing::GaveUp), by_count, "{what}");
            // Where a window begins at the limit, the mutex itself knows who gave up.
            if window(limit, base) < window(limit - 1, base) {
                let above = ledger.windows.range(..=window(limit, base));
                assert_eq!(new.of(Passing::GaveUp), above.map(|(_, count)| count).sum::<u64>(), "{what}");
                gave_up_known = true;
            }
        }
    }
    assert!(gave_up_known);
}

/// Every second acquisition waits in the kernel, no other does.
fn hold(program: &mut Program, counted: &mut Counted, adaptive: bool, what: &str) {
    const TIMES: u64 = 23;
    let ledgers = obey(program, Some(&format!("hold {TIMES} {BASE}")));
    let all = counted.next(&ledgers);
    let sum = |passing: Passing| all.iter().map(|(new, _)| new.of(passing)).sum::<u64>();
    let (attempt, wait) = match adaptive {
        true => (Passing::AdaptiveAttempt, Passing::AdaptiveWait),
        false => (Passing::NormalAttempt, Passing::NormalWait),
    };
    assert_eq!((sum(attempt), sum(wait)), (2 * TIMES, TIMES), "{what}");
    let spun = if adaptive { TIMES } else { 0 };
    assert_eq!((sum(ENDS), sum(Passing::GaveUp)), (spun, spun), "{what}");
    for (new, ledger) in &all {
        assert_eq!(windows(&new.spins, BASE), ledger.windows, "{what}");
    }
}

/// A wait on a condition takes the mutex again, in another function of the library.
fn cond(program: &mut Program, counted: &mut Counted, adaptive: bool, what: &str) {
    let ledgers = obey(program, Some(&format!("cond 97 {BASE}")));
    for (new, ledger) in counted.next(&ledgers) {
        let attempt = if adaptive { Passing::AdaptiveAttempt } else { Passing::NormalAttempt };
        assert_eq!(new.of(attempt), ledger.total, "{what}");
        assert_eq!(windows(&new.spins, BASE), ledger.windows, "{what}");
    }
}

/// The whole proof for one program, from putting in to taking out.
fn prove(mut program: Program, kind: &str, times: u64, what: &str) {
    let pids: Vec<u32> = obey(&mut program, None).iter().map(|ledger| ledger.pid).collect();
    let before: Vec<Vec<u8>> = pids.iter().map(|pid| code(*pid)).collect();
    let mut counted = Counted::begin(&pids);
    let adaptive = kind == "adaptive";
    if adaptive {
        fight(&mut program, &mut counted, times, what);
    } else {
        let ledgers = obey(&mut program, Some(&format!("round {times} {BASE}")));
        for (new, ledger) in counted.next(&ledgers) {
            assert_eq!(new.of(Passing::NormalAttempt), ledger.total, "{what}");
            assert!(new.of(Passing::NormalWait) <= ledger.total, "{what}");
            assert_eq!(new.of(Passing::AdaptiveAttempt) + new.of(ENDS), 0, "{what}");
        }
    }
    if !what.contains("alone") {
        hold(&mut program, &mut counted, adaptive, what);
        cond(&mut program, &mut counted, adaptive, what);
    }
    for (pid, patch, _) in &mut counted.0 {
        assert!(!patch.remove().unwrap().memory_left, "{what}");
        assert_eq!(mappings(*pid), Vec::<String>::new(), "{what}");
    }
    // From here on nothing is counted, and the code is as it was.
    let ledgers = obey(&mut program, Some(&format!("round {times} {BASE}")));
    for (new, _) in counted.next(&ledgers) {
        let attempts = new.of(Passing::AdaptiveAttempt) + new.of(Passing::NormalAttempt);
        assert_eq!((attempts, new.of(ENDS)), (0, 0), "{what}");
    }
    for (pid, before) in pids.iter().zip(before) {
        assert!(code(*pid) == before, "{what}: the code is not what it was");
    }
    assert!(program.end().success(), "{what}");
}

/// Threads, bytes under the lock, processes, acquisitions of each thread.
const SHAPES: [(&str, &str, &str, u64); 5] = [
    ("2", "16", "1", 5003),
    ("2", "65536", "1", 503),
    ("16", "1024", "1", 503),
    ("4", "256", "2", 1009),
    ("1", "16", "1", 1009),
];

/// `None` where the release is not here.
fn prove_all(release: Option<&str>) -> Option<()> {
    for kind in ["adaptive", "plain"] {
        for (threads, bytes, processes, times) in SHAPES {
            let alone = if threads == "1" { " alone" } else { "" };
            let what =
                format!("{release:?} {kind}, {threads} threads{alone}, {bytes} B, {processes} processes");
            let arguments = [kind, threads, bytes, processes];
            let program = match release {
                Some(release) => Program::start_under(release, "truth.c", &arguments)?,
                None => Program::start("truth.c", &arguments),
            };
            prove(program, kind, times, &what);
        }
    }
    Some(())
}

#[test]
fn four_numbers_equal_those_of_the_mutex_itself() {
    need!(installed("gcc"), "gcc is not installed");
    prove_all(None).unwrap();
}

#[test]
fn four_numbers_equal_those_of_the_mutex_itself_in_other_releases() {
    need!(installed("gcc"), "gcc is not installed");
    for release in ["bullseye", "trixie", "sid"] {
        let proved = prove_all(Some(release));
        need!(proved.is_some(), "the C library of {release} is not here; run `cargo xtask libraries`");
    }
}
