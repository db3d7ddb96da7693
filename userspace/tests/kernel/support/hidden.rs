//! Threads that a hypervisor hides from every BPF program: some keep the programs out of the context of a task of
//! theirs, and with it out of interrupts on top of it. Proven by bpftrace, when the ledger of a test needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{Oracle, installed};

/// Lengths of the looks that one test may cost: a hidden thread may rest for a while.
const LOOKS: [Duration; 3] = [Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(16)];
/// Entries of a map of bpftrace: of more threads than these some would seem hidden.
const MOST_KEYS: usize = 4096;
/// A hidden thread and the interrupts on top of it wake at most one thread in so long, besides one at either end of its
/// time on a CPU.
const WAKEUP_NS: u64 = 10_000;

/// Process and id of a thread.
type Thread = (u32, u32);

/// Time on CPUs, and how often a thread got one.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    run_ns: u64,
    slices: u64,
}

type Threads = BTreeMap<Thread, Use>;

thread_local! {
    /// The threads of the machine as the test began, which has a thread to itself.
    static BEFORE: Threads = threads();
}

/// Evidence of all looks.
static EVIDENCE: Mutex<Evidence> = Mutex::new(Evidence::new());

/// Notes the threads of the machine, unless this test has done so before.
pub fn begin() {
    BEFORE.with(|_| ());
}

/// True if threads that are proven hidden can have caused so many unseen switches and wakeups since the test began.
/// Looks for more of them where those known do not suffice.
pub fn explain(switches: u64, wakeups: u64) -> bool {
    let after = threads();
    // A test that failed meanwhile makes no evidence wrong.
    let mut evidence = EVIDENCE.lock().unwrap_or_else(PoisonError::into_inner);
    BEFORE.with(|before| {
        let suffices = |most: Most| switches <= most.switches && wakeups <= most.wakeups;
        suffices(evidence.most(before, &after, Evidence::proves))
            || installed("bpftrace")
                && LOOKS.into_iter().any(|time| {
                    evidence.look(time);
                    suffices(evidence.most(before, &after, Evidence::allows))
                })
    })
}

/// Most events that hidden threads can have hidden.
#[derive(Debug, Default, PartialEq)]
struct Most {
    switches: u64,
    wakeups: u64,
}

struct Evidence {
    /// Threads that left a CPU during a look, and that no look saw leave one.
    hidden: BTreeSet<Thread>,
    /// Ids of threads that a look saw leave a CPU.
    seen: BTreeSet<u32>,
}

impl Evidence {
    const fn new() -> Self {
        Self { hidden: BTreeSet::new(), seen: BTreeSet::new() }
    }

    fn look(&mut self, time: Duration) {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("seen.bt");
        fs::write(&script, "tracepoint:sched:sched_switch { @seen[args->prev_pid] = count(); }").unwrap();
        let oracle = Oracle::run(&script, &[]);
        let before = threads();
        thread::sleep(time);
        let after = threads();
        let said = oracle.finish();
        let seen: Vec<u32> =
            said["@seen"].as_object().unwrap().keys().map(|tid| tid.parse().unwrap()).collect();
        self.add(&before, &after, &seen);
    }

    fn add(&mut self, before: &Threads, after: &Threads, seen: &[u32]) {
        self.seen.extend(seen);
        // Between two times that it got a CPU, a thread has left one.
        let left = |(thread, now): (&Thread, &Use)| {
            let slices = before.get(thread).map_or(0, |then| now.slices.saturating_sub(then.slices));
            (slices >= 2 && seen.len() < MOST_KEYS).then_some(*thread)
        };
        self.hidden.extend(after.iter().filter_map(left));
        self.hidden.retain(|(_, tid)| !self.seen.contains(tid));
    }

    /// True if a thread is itself proven hidden.
    fn proves(&self, thread: &Thread) -> bool {
        self.hidden.contains(thread)
    }

    /// True if a thread is proven hidden, or rested in every look while another one of its process was.
    fn allows(&self, (pid, tid): &Thread) -> bool {
        !self.seen.contains(tid) && self.hidden.iter().any(|(process, _)| process == pid)
    }

    /// Most events that such threads hid by what they used of CPUs.
    fn most(&self, before: &Threads, after: &Threads, is_hidden: fn(&Self, &Thread) -> bool) -> Most {
        let mut most = Most::default();
        for (thread, now) in after.iter().filter(|(thread, _)| is_hidden(self, thread)) {
            let then = before.get(thread).copied().unwrap_or_default();
            let run_ns = now.run_ns.saturating_sub(then.run_ns);
            if run_ns > 0 {
                // Each time that it leaves a CPU, the thread that follows is not seen to get it. It may have had one
                // when the test began.
                let leaves = now.slices.saturating_sub(then.slices) + 1;
                most.switches += leaves;
                most.wakeups += 2 * leaves + run_ns / WAKEUP_NS;
            }
        }
        most
    }
}

/// All threads of the machine.
fn threads() -> Threads {
    let numbers = |path: &str| -> Vec<u32> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    };
    let mut threads = Threads::new();
    for pid in numbers("/proc") {
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
            let words: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            if let [run_ns, _, slices] = words[..] {
                threads.insert((pid, tid), Use { run_ns, slices });
            }
        }
    }
    threads
}

#[test]
fn only_unseen_threads_beside_one_that_is_proven_hidden_are_allowed_for() {
    let at = |slices: u64| -> Threads {
        let threads = [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30)];
        threads.map(|thread| (thread, Use { run_ns: slices * 20_000, slices })).into()
    };
    let mut evidence = Evidence::new();
    let most =
        |evidence: &Evidence, which: fn(&Evidence, &Thread) -> bool| evidence.most(&at(0), &at(3), which);
    // All of them ran, and all of them were seen.
    evidence.add(&at(0), &at(5), &[10, 11, 12, 20, 30]);
    assert_eq!(most(&evidence, Evidence::allows), Most::default());
    let mut evidence = Evidence::new();
    // One slice proves nothing: it may have had the CPU since.
    evidence.add(&at(0), &at(1), &[]);
    assert_eq!(most(&evidence, Evidence::allows), Most::default());
    // 10 ran unseen, 11 rested; process 2 rested as well.
    let mut after: Threads = at(0);
    after.insert((1, 10), Use { run_ns: 40_000, slices: 2 });
    evidence.add(&at(0), &after, &[12, 30]);
    let one = Most { switches: 4, wakeups: 8 + 6 };
    assert_eq!(most(&evidence, Evidence::proves), one);
    assert_eq!(most(&evidence, Evidence::allows), Most { switches: 8, wakeups: 2 * 14 });
    // Seen once, a thread is hidden no more, and proves nothing for others.
    evidence.add(&at(0), &at(0), &[11]);
    assert_eq!(most(&evidence, Evidence::allows), one);
    evidence.add(&at(0), &at(0), &[10]);
    assert_eq!(most(&evidence, Evidence::allows), Most::default());
}

#[test]
fn no_look_at_more_threads_than_a_map_holds_proves_any_hidden() {
    let mut evidence = Evidence::new();
    let at = |slices| Threads::from([((1, 1), Use { run_ns: slices, slices })]);
    evidence.add(&at(0), &at(9), &(2..2 + MOST_KEYS as u32).collect::<Vec<_>>());
    assert!(!evidence.allows(&(1, 1)));
}
