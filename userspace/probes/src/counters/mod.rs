//! Performance counters: opened for every thread of a target, inherited by those born later, read once per interval.

mod cover;
mod obstacle;

use std::{collections::BTreeMap, os::fd::OwnedFd};

use cover::{People, cover};
use kernel::{
    descriptors,
    perf::{Begin, Event, Heirs, PerfCounter},
    target::Pinned,
};
use model::{
    counters::{self, Counter, Reading, Tally},
    frame::ProcessKey,
};
use obstacle::Obstacle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Descriptors that are left to the rest of the session.
const RESERVE: usize = 16;
/// Time in which a process that has ended is expected to be gone altogether.
const LAST_STEPS: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A process whose counters are wanted.
pub struct Wanted<'a> {
    /// Process to count for.
    pub pinned: &'a Pinned,
    /// Time at which it joined the session, ns of the monotonic clock.
    pub joined_ns: u64,
    /// True for a command that is held before its `exec`, which is where counting begins.
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
    held: bool,
    process: Option<OwnedFd>,
    open: Vec<Counting>,
    /// Counters of the first interval: those that could not be opened, and whether children are in the numbers.
    first: Option<counters::Counters>,
}

/// One counter of a target: a descriptor for each thread that it had at the start.
struct Counting {
    counter: Counter,
    threads: Vec<PerfCounter>,
    last: Reading,
}

impl Counters {
    /// Opens the counters of all targets. None counts yet; those of a held command start with it.
    #[must_use]
    pub fn open(wanted: &[Wanted<'_>], follow_children: bool) -> Self {
        descriptors::raise_limit();
        let mut room = descriptors::free().saturating_sub(RESERVE + wanted.len());
        let open = |wanted: &Wanted<'_>| Target::open(wanted, follow_children, &mut room);
        Self { targets: wanted.iter().map(open).collect() }
    }

    /// Starts those of targets that run already.
    pub fn start(&self) {
        self.targets.iter().filter(|target| !target.held).for_each(Target::enable);
    }

    /// Number of (process, counter) pairs that are missing although this machine could have given them, had it
    /// been less busy.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let words = [Obstacle::Descriptors, Obstacle::Restless].map(|obstacle| obstacle.words());
        let lost = |tally: &&Tally| matches!(tally, Tally::Refused(why) if words.contains(why));
        let first = self.targets.iter().filter_map(|target| target.first.as_ref());
        first.flat_map(|first| first.tallies.values()).filter(lost).count() as u64
    }

    /// Counts since the last look, by process.
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
            (Some(_), _) => Heirs::None,
            (None, false) => Heirs::Threads,
            (None, true) => Heirs::Everybody,
        };
        let begin = if wanted.held { Begin::OnExec } else { Begin::Enabled };
        let mut first =
            counters::Counters { with_children: heirs == Heirs::Everybody, tallies: BTreeMap::new() };
        let mut open = Vec::new();
        for counter in Counter::ALL {
            let event = event(counter);
            let open_for = |tid| {
                let opened = PerfCounter::open(event, tid, heirs, begin);
                opened.map_err(|error| Obstacle::of(error, event, tid, heirs))
            };
            let tally = match cover(pinned, open_for, *room) {
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
        Self { key, held: wanted.held, process, open, first: Some(first) }
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

impl People for Pinned {
    fn list(&self) -> Vec<u32> {
        self.threads()
    }

    fn are_same(&self) -> bool {
        self.is_alive()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_an_event_of_its_own() {
        let events = Counter::ALL.map(event);
        for (at, one) in events.iter().enumerate() {
            assert!(!events[..at].contains(one), "{}", Counter::ALL[at].name());
        }
    }
}
