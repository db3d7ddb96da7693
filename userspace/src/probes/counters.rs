//! Performance counters: opened for every thread of a target, inherited by those born later, read once per interval.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::OwnedFd,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    kernel::{
        descriptors,
        perf::{Begin, Event, Heirs, PerfCounter},
    },
    model::{
        counters::{self, Counter, Reading, Tally},
        frame::ProcessKey,
        spec::Spec,
    },
    target::Pinned,
};

/// The probe's description.
pub const SPEC: Spec = Spec {
    name: "counters",
    summary: "CPU time, switches, migrations, page faults; cycles, stalls, instructions, branches and cache misses",
    hooks: &["perf_event_open, per thread"],
    needs: "CAP_PERFMON; Linux 5.13, or --children; a processor that shows its counters",
    default: true,
    cost: "0.6 us per context switch and 0.1 us per page fault of a target",
};

/// Descriptors that are left to the rest of the session.
const RESERVE: usize = 16;
/// How often threads are listed and opened anew when one was born meanwhile.
const ATTEMPTS: usize = 50;
/// How long a process that has ended is given to be gone altogether.
const LAST_STEPS: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A process whose counters are wanted.
pub struct Wanted<'a> {
    /// The process.
    pub pinned: &'a Pinned,
    /// When it joined the session.
    pub joined_ns: u64,
    /// Whether it is a command that is held before its `exec`, which is where counting begins.
    pub held: bool,
}

/// The open counters of a session.
#[derive(Default)]
pub struct Counters {
    targets: Vec<Target>,
}

/// Those of one target.
struct Target {
    key: ProcessKey,
    process: Option<OwnedFd>,
    open: Vec<Counting>,
    /// What the first interval says: what could not be opened, and whether children are in the numbers.
    first: Option<counters::Counters>,
}

/// One counter of a target: a descriptor for each thread that it had at the start.
struct Counting {
    counter: Counter,
    threads: Vec<PerfCounter>,
    last: Reading,
}

/// Why a counter could not be opened.
enum Obstacle {
    /// The system call said so.
    Kernel(io::Error),
    /// The limit of open files is reached.
    Descriptors,
    /// Threads came and went faster than they could be listed.
    Restless,
    /// There was nobody left to count.
    Gone,
    /// Children cannot be told from threads.
    ChildrenToo,
}

impl Counters {
    /// Opens the counters of all targets, then starts those of targets that run already.
    #[must_use]
    pub fn open(wanted: &[Wanted<'_>], follow_children: bool) -> Self {
        descriptors::raise_limit();
        let mut room = descriptors::free().saturating_sub(RESERVE + wanted.len());
        let open = |wanted: &Wanted<'_>| Target::open(wanted, follow_children, &mut room);
        let this = Self { targets: wanted.iter().map(open).collect() };
        for (target, wanted) in this.targets.iter().zip(wanted) {
            if !wanted.held {
                target.enable();
            }
        }
        this
    }

    /// How many (process, counter) pairs are missing that this machine could have given, had it been less busy.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let words = [Obstacle::Descriptors, Obstacle::Restless].map(|obstacle| obstacle.words());
        let lost = |tally: &&Tally| matches!(tally, Tally::Refused(why) if words.contains(why));
        let first = self.targets.iter().filter_map(|target| target.first.as_ref());
        first.flat_map(|first| first.tallies.values()).filter(lost).count() as u64
    }

    /// What was counted since the last look, by process.
    pub fn drain(&mut self) -> Vec<(ProcessKey, counters::Counters)> {
        let mut changes = Vec::new();
        for target in &mut self.targets {
            let change = target.drain();
            if !change.tallies.is_empty() {
                changes.push((target.key, change));
            }
        }
        changes
    }

    /// Waits until processes that are said to have ended are gone: what a thread does in its last steps counts too.
    pub fn settle(&self, has_ended: impl Fn(&ProcessKey) -> bool) {
        for target in self.targets.iter().filter(|target| has_ended(&target.key)) {
            if let Some(process) = &target.process {
                // Without an answer what is missing is a switch or two of threads that are stuck in their end.
                let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&LAST_STEPS));
            }
        }
    }
}

impl Target {
    fn open(wanted: &Wanted<'_>, follow_children: bool, room: &mut usize) -> Self {
        let pinned = wanted.pinned;
        let heirs = match (pinned.only_thread, follow_children) {
            (Some(_), _) => Heirs::Nobody,
            (None, false) => Heirs::Threads,
            (None, true) => Heirs::Everybody,
        };
        let begin = if wanted.held { Begin::OnExec } else { Begin::Enabled };
        let mut first =
            counters::Counters { with_children: heirs == Heirs::Everybody, tallies: BTreeMap::new() };
        let mut open = Vec::new();
        for counter in Counter::ALL {
            let tally = match cover(pinned, event(counter), heirs, begin, *room) {
                Ok(threads) => {
                    *room -= threads.len();
                    open.push(Counting { counter, threads, last: Reading::default() });
                    Tally::Counted(Reading::default())
                }
                Err(obstacle) => obstacle.tally(),
            };
            first.tallies.insert(counter, tally);
        }
        let key = ProcessKey { pid: pinned.pid, joined_ns: wanted.joined_ns };
        let process = pinned.descriptor().try_clone_to_owned().ok();
        Self { key, process, open, first: Some(first) }
    }

    fn enable(&self) {
        for counter in self.open.iter().flat_map(|counting| &counting.threads) {
            // It cannot fail for an open counter; one that did not start says so by its time enabled, which is zero.
            let _ = counter.enable();
        }
    }

    fn drain(&mut self) -> counters::Counters {
        let mut change = self.first.take().unwrap_or_default();
        for counting in &mut self.open {
            let now = counting.read();
            let new = now.since(&counting.last);
            counting.last = now;
            if new != Reading::default() {
                change.tallies.insert(counting.counter, Tally::Counted(new));
            }
        }
        change
    }
}

impl Counting {
    fn read(&self) -> Reading {
        let mut sum = Reading::default();
        for [count, enabled_ns, running_ns] in self.threads.iter().flat_map(PerfCounter::read) {
            sum.merge(&Reading { count, enabled_ns, running_ns });
        }
        sum
    }
}

/// Opens a counter for all threads of a process. A thread that is born meanwhile has inherited the counter or not, by
/// whether its parent's was open, and nobody can tell: then all are closed and opened anew.
fn cover(
    pinned: &Pinned,
    event: Event,
    heirs: Heirs,
    begin: Begin,
    room: usize,
) -> Result<Vec<PerfCounter>, Obstacle> {
    for _ in 0..ATTEMPTS {
        let listed = BTreeSet::from_iter(pinned.threads());
        let mut threads = Vec::with_capacity(listed.len());
        for tid in &listed {
            match PerfCounter::open(event, *tid, heirs, begin) {
                // Found out only now: a counter that does not exist takes no room.
                Ok(_) if listed.len() > room => return Err(Obstacle::Descriptors),
                Ok(counter) => threads.push(counter),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => return Err(Obstacle::of(error, event, *tid, heirs)),
            }
        }
        if !pinned.is_alive() || threads.is_empty() {
            return Err(Obstacle::Gone);
        }
        if pinned.threads().iter().all(|tid| listed.contains(tid)) {
            return Ok(threads);
        }
    }
    Err(Obstacle::Restless)
}

const fn event(counter: Counter) -> Event {
    const L1_DATA: u64 = 0;
    const LAST_LEVEL: u64 = 2;
    match counter {
        Counter::TaskClock => Event::software(1),
        Counter::PageFaults => Event::software(2),
        Counter::ContextSwitches => Event::software(3),
        Counter::Migrations => Event::software(4),
        Counter::MinorFaults => Event::software(5),
        Counter::MajorFaults => Event::software(6),
        Counter::Cycles => Event::hardware(0),
        Counter::Instructions => Event::hardware(1),
        Counter::Branches => Event::hardware(4),
        Counter::BranchMisses => Event::hardware(5),
        Counter::StalledFrontend => Event::hardware(7),
        Counter::StalledBackend => Event::hardware(8),
        Counter::L1Loads => Event::cache_loads(L1_DATA, false),
        Counter::L1LoadMisses => Event::cache_loads(L1_DATA, true),
        Counter::LlcLoads => Event::cache_loads(LAST_LEVEL, false),
        Counter::LlcLoadMisses => Event::cache_loads(LAST_LEVEL, true),
    }
}

impl Obstacle {
    fn of(error: io::Error, event: Event, tid: u32, heirs: Heirs) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Self::Descriptors,
            // Before Linux 5.13 whoever inherits cannot be chosen; is it that, or is there no such counter?
            Some(libc::EINVAL) if heirs == Heirs::Threads => {
                match PerfCounter::open(event, tid, Heirs::Nobody, Begin::Enabled) {
                    Ok(_) => Self::ChildrenToo,
                    Err(error) => Self::Kernel(error),
                }
            }
            _ => Self::Kernel(error),
        }
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Kernel(error) if !is_refusal(error) => Tally::Unsupported(self.words()),
            _ => Tally::Refused(self.words()),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Kernel(error) if is_refusal(error) => refusal(error),
            Self::Kernel(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                "this kernel is built without performance counters".to_owned()
            }
            Self::Kernel(_) => {
                "the processor has no such counter, or its hypervisor does not pass it on".to_owned()
            }
            Self::Descriptors => {
                "the limit of open files is reached; raise it with `ulimit -n`, or trace fewer threads".to_owned()
            }
            Self::Restless => {
                "its threads come and go faster than they can be listed; start it with `pulse-trace run`".to_owned()
            }
            Self::Gone => "it ended before its counters were open".to_owned(),
            Self::ChildrenToo => {
                "before Linux 5.13 forked children cannot be left out; trace with --children, and they are counted too"
                    .to_owned()
            }
        }
    }
}

/// Whether an error is about this user or this moment, and not about the machine.
fn is_refusal(error: &io::Error) -> bool {
    let machine = [libc::ENOENT, libc::EOPNOTSUPP, libc::ENODEV, libc::ENXIO, libc::EINVAL, libc::ENOSYS];
    error.raw_os_error().is_none_or(|number| !machine.contains(&number))
}

fn refusal(error: &io::Error) -> String {
    if !matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) {
        return format!("the kernel says: {error}");
    }
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    format!(
        "perf_event_paranoid is {} and this user lacks CAP_PERFMON; run with sudo, or grant it with setcap",
        level.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_told_from_what_the_user_may_not() {
        let tally = |number| Obstacle::Kernel(io::Error::from_raw_os_error(number)).tally();
        for number in [libc::ENOENT, libc::EOPNOTSUPP, libc::ENODEV, libc::EINVAL, libc::ENOSYS] {
            assert!(matches!(tally(number), Tally::Unsupported(_)), "{number}");
        }
        assert!(matches!(tally(libc::EACCES), Tally::Refused(why) if why.contains("CAP_PERFMON")));
        assert!(matches!(tally(libc::EBUSY), Tally::Refused(why) if why.contains("busy")));
        assert!(matches!(Obstacle::Descriptors.tally(), Tally::Refused(why) if why.contains("ulimit -n")));
    }

    #[test]
    fn every_counter_is_an_event_of_its_own() {
        let events = Counter::ALL.map(event);
        for (at, one) in events.iter().enumerate() {
            assert!(!events[..at].contains(one), "{}", Counter::ALL[at].name());
        }
    }
}
