//! Performance counters of a process: raw readings, so that intervals can be added up before they are scaled.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::valid::{self, LARGEST_TIME_NS, is_default};

/// A thing that the kernel or the processor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Time on a CPU, ns.
    TaskClock,
    /// Times that a thread left its CPU.
    ContextSwitches,
    /// Times that it came back on another one.
    Migrations,
    /// Page faults of all kinds.
    PageFaults,
    /// Page faults served from memory.
    MinorFaults,
    /// Page faults that had to wait for a disk.
    MajorFaults,
    /// Cycles of the processor while it ran the process.
    Cycles,
    /// Cycles in which the front end delivered nothing.
    StalledFrontend,
    /// Cycles in which the back end could take nothing.
    StalledBackend,
    /// Instructions that were retired.
    Instructions,
    /// Branch instructions that were retired.
    Branches,
    /// Branches that were mispredicted.
    BranchMisses,
    /// Loads from the first level of the data cache.
    L1Loads,
    /// Those that it had not.
    L1LoadMisses,
    /// Loads from the last cache.
    LlcLoads,
    /// Those that it had not.
    LlcLoadMisses,
}

impl Counter {
    /// Every counter, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::TaskClock,
        Self::ContextSwitches,
        Self::Migrations,
        Self::PageFaults,
        Self::MinorFaults,
        Self::MajorFaults,
        Self::Cycles,
        Self::StalledFrontend,
        Self::StalledBackend,
        Self::Instructions,
        Self::Branches,
        Self::BranchMisses,
        Self::L1Loads,
        Self::L1LoadMisses,
        Self::LlcLoads,
        Self::LlcLoadMisses,
    ];

    /// Its name, the one that `perf stat` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaskClock => "task-clock",
            Self::ContextSwitches => "context-switches",
            Self::Migrations => "cpu-migrations",
            Self::PageFaults => "page-faults",
            Self::MinorFaults => "minor-faults",
            Self::MajorFaults => "major-faults",
            Self::Cycles => "cycles",
            Self::StalledFrontend => "stalled-cycles-frontend",
            Self::StalledBackend => "stalled-cycles-backend",
            Self::Instructions => "instructions",
            Self::Branches => "branches",
            Self::BranchMisses => "branch-misses",
            Self::L1Loads => "L1-dcache-loads",
            Self::L1LoadMisses => "L1-dcache-load-misses",
            Self::LlcLoads => "LLC-loads",
            Self::LlcLoadMisses => "LLC-load-misses",
        }
    }

    /// The counter of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.name() == name)
    }
}

/// A reading: a count, and the time for which it was running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Events while the counter was running.
    pub count: u64,
    /// Time in which it was to run, ns, all threads together.
    pub enabled_ns: u64,
    /// Time in which it did: less where more counters were asked for than the processor has.
    pub running_ns: u64,
}

impl Reading {
    /// The share of the time in which it was counted; `None` before anything ran.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.enabled_ns > 0).then(|| self.running_ns as f64 / self.enabled_ns as f64)
    }

    /// The number of events, scaled up where they were counted for a part of the time; `None` where they never were.
    #[must_use]
    pub fn value(&self) -> Option<u64> {
        if self.running_ns >= self.enabled_ns {
            return Some(self.count);
        }
        let scaled =
            u128::from(self.count) * u128::from(self.enabled_ns) / u128::from(self.running_ns.max(1));
        (self.running_ns > 0).then(|| u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// Adds another interval, or another thread.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.enabled_ns += other.enabled_ns;
        self.running_ns += other.running_ns;
    }

    /// The events and times added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            enabled_ns: self.enabled_ns.saturating_sub(earlier.enabled_ns),
            running_ns: self.running_ns.saturating_sub(earlier.running_ns),
        }
    }
}

/// Result of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// It was counted.
    Counted(Reading),
    /// This machine or this kernel has no such counter: why.
    Unsupported(String),
    /// It exists but was not to be had: why.
    Refused(String),
}

/// The counters of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// True if processes that it forked meanwhile are in its numbers.
    pub with_children: bool,
    /// Each counter. An interval may leave out those that have not moved; the first one has them all.
    pub tallies: BTreeMap<Counter, Tally>,
}

/// Counters as a file has them: by name, apart by what became of them.
#[derive(Default, Serialize, Deserialize)]
struct File<'a> {
    #[serde(default, skip_serializing_if = "is_default")]
    with_children: bool,
    /// Count, time enabled and time running.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "numbers")]
    counted: BTreeMap<String, [u64; 3]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unsupported: BTreeMap<String, Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refused: BTreeMap<String, Cow<'a, str>>,
}

fn numbers<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, [u64; 3]>, D::Error> {
    valid::up_to(LARGEST_TIME_NS, "a performance counter is too large", input)
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let mut file = File { with_children: self.with_children, ..File::default() };
        for (counter, tally) in &self.tallies {
            let name = counter.name().to_owned();
            match tally {
                Tally::Counted(Reading { count, enabled_ns, running_ns }) => {
                    file.counted.insert(name, [*count, *enabled_ns, *running_ns]);
                }
                Tally::Unsupported(why) => drop(file.unsupported.insert(name, why.into())),
                Tally::Refused(why) => drop(file.refused.insert(name, why.into())),
            }
        }
        file.serialize(output)
    }
}

impl<'de> Deserialize<'de> for Counters {
    /// Counters that this version does not know are passed over.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let File { with_children, counted, unsupported, refused } = File::deserialize(input)?;
        let counted = counted.into_iter().map(|(name, [count, enabled_ns, running_ns])| {
            (name, Tally::Counted(Reading { count, enabled_ns, running_ns }))
        });
        let unsupported = unsupported.into_iter().map(|(name, why)| (name, Tally::Unsupported(why.into())));
        let refused = refused.into_iter().map(|(name, why)| (name, Tally::Refused(why.into())));
        let known = |(name, tally): (String, Tally)| Some((Counter::named(&name)?, tally));
        let tallies = counted.chain(unsupported).chain(refused).filter_map(known).collect();
        Ok(Self { with_children, tallies })
    }
}

impl Counters {
    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.with_children |= other.with_children;
        for (counter, theirs) in &other.tallies {
            match (self.tallies.get_mut(counter), theirs) {
                (Some(Tally::Counted(mine)), Tally::Counted(theirs)) => mine.merge(theirs),
                (Some(Tally::Counted(_)), _) => {}
                _ => {
                    self.tallies.insert(*counter, theirs.clone());
                }
            }
        }
    }

    /// The reading of a counter, where it was counted.
    #[must_use]
    pub fn reading(&self, counter: Counter) -> Option<Reading> {
        match self.tallies.get(&counter) {
            Some(Tally::Counted(reading)) => Some(*reading),
            _ => None,
        }
    }

    /// The number of events, scaled where need be; `None` where it is not known.
    #[must_use]
    pub fn value(&self, counter: Counter) -> Option<u64> {
        self.reading(counter)?.value()
    }

    /// One number divided by another, where both are known and the second is not zero.
    #[must_use]
    pub fn ratio(&self, part: Counter, whole: Counter) -> Option<f64> {
        let (part, whole) = (self.value(part)?, self.value(whole)?);
        (whole > 0).then(|| part as f64 / whole as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(count: u64, enabled_ns: u64, running_ns: u64) -> Reading {
        Reading { count, enabled_ns, running_ns }
    }

    #[test]
    fn names_lead_back_to_their_counters() {
        for counter in Counter::ALL {
            assert_eq!(Counter::named(counter.name()), Some(counter));
        }
        assert_eq!(Counter::named("bogomips"), None);
    }

    #[test]
    fn what_was_counted_for_a_part_of_the_time_is_scaled_and_what_never_was_is_unknown() {
        assert_eq!(reading(100, 50, 50).value(), Some(100));
        assert_eq!(reading(100, 1000, 250).value(), Some(400));
        assert_eq!(reading(100, 1000, 250).share(), Some(0.25));
        assert_eq!(reading(0, 1000, 0).value(), None);
        assert_eq!(reading(0, 0, 0).value(), Some(0));
        assert_eq!(reading(0, 0, 0).share(), None);
        assert_eq!(reading(u64::MAX, u64::MAX, 1).value(), Some(u64::MAX));
    }

    #[test]
    fn intervals_are_added_before_they_are_scaled() {
        let counted = |reading| Counters {
            with_children: false,
            tallies: [
                (Counter::Cycles, Tally::Counted(reading)),
                (Counter::LlcLoads, Tally::Unsupported("no".to_owned())),
            ]
            .into(),
        };
        let mut sum = Counters::default();
        // The counter ran for one third of the first interval, and for all of the second.
        sum.merge(&counted(reading(10, 300, 100)));
        sum.merge(&counted(reading(50, 100, 100)));
        assert_eq!(sum.value(Counter::Cycles), Some(60 * 2));
        assert_eq!(sum.value(Counter::LlcLoads), None);
        assert_eq!(sum.ratio(Counter::Cycles, Counter::Cycles), Some(1.0));
        assert_eq!(sum.ratio(Counter::Cycles, Counter::LlcLoads), None);
    }
}
