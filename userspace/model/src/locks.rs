//! Locks of a process: futexes as the kernel sees them, mutexes as probes in the library see them.

mod mutexes;
mod name;
mod parts;
mod runtimes;
mod spins;
mod verdict;
mod view;

use std::collections::BTreeMap;

pub use mutexes::{ContendedMutex, ranked_mutexes};
pub use parts::{Parts, Wholes};
pub use runtimes::{END_OF_A_THREAD, most};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
pub use spins::{Doubt, SpinMean, SpinSamples};
pub use verdict::{LONG_NS, Verdict, is_idle_only, tells_woken, waits, wakes};
pub use view::{Lock, ranked};

use super::{
    hist::Hist,
    valid::{check_counts, check_times, count, is_default, read_pairs, write_pairs},
};

/// Place of a lock. Two processes that map the same object shared have the same place for the same lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockPlace {
    /// Memory of one process.
    Private {
        /// Its address there.
        address: u64,
    },
    /// A shared mapping of a file or a memory object.
    Shared {
        /// Device and inode of the object.
        device: u64,
        /// Inode of the object.
        inode: u64,
        /// The lock's place within the object.
        offset: u64,
        /// The object's name.
        path: String,
    },
    /// A process-shared lock in memory that could not be told apart any more, for instance of a process that is gone.
    Unresolved {
        /// Its address in the process.
        address: u64,
    },
}

/// One operation on one futex in an interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FutexFrame {
    /// Place of the futex.
    pub place: LockPlace,
    /// The address at which this process has it.
    pub address: u64,
    /// The operation as `futex(2)` names it, in upper case: `WAIT`, `WAKE_BITSET`, `LOCK_PI`, ...; those with calls of
    /// their own are `WAITV`, `WAIT2`, `WAKE2` and `REQUEUE2`.
    pub op: String,
    /// Counts, histograms and stacks.
    #[serde(flatten)]
    pub stats: FutexStats,
}

crate::read_beside! {
    FutexFrame needs { place: LockPlace, address: u64, op: String } has {} beside stats;
    Self { place, address, op, stats }
}

/// Numbers of one operation on one futex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FutexStats {
    /// Calls that ended.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub count: u64,
    /// Failed calls by errno; those that are not here succeeded.
    #[serde(
        skip_serializing_if = "is_default",
        serialize_with = "write_pairs",
        deserialize_with = "read_pairs"
    )]
    pub errors: BTreeMap<u32, u64>,
    /// Duration of waiting operations, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub wait: Hist,
    /// Of waits that slept: until they were woken, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub blocked: Hist,
    /// Of waits that slept: from being woken to running, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub run_queue: Hist,
    /// Waiters that waking operations woke.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub woken: u64,
    /// Waking operations that found no waiter.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub vain: u64,
    /// First and last call, ns since the session began.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "first_and_last")]
    pub seen_ns: Option<(u64, u64)>,
    /// Contents of the memory at the address, where it is a mutex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutex: Option<MutexSeen>,
    /// Waits during which the word did not look like a mutex that a thread holds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub unlike_mutex: u64,
    /// Waits whose stack was taken.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub sampled: u64,
    /// Call stacks. Their counts are the waits that the sampled ones stand for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackCount>,
}

/// State of a mutex, read at the beginning of waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MutexSeen {
    /// Kind of the mutex.
    pub kind: MutexKind,
    /// Holders by thread id and name, with the number of waits that found them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "write_holders")]
    pub holders: BTreeMap<(u32, String), u64>,
    /// The library's running mean of the spin count, for adaptive ones.
    #[serde(skip_serializing_if = "is_default")]
    pub spins: Hist,
    /// The same, read at random times.
    #[serde(flatten)]
    pub sampled: SpinSamples,
}

crate::read_beside! {
    MutexSeen needs {} has { kind: MutexKind, holders: Holders, spins: Hist } beside sampled;
    Self { kind, holders: holders.0, spins, sampled }
}

/// Holders as they were read: thread id, name, and how many waits found it so.
#[derive(Default)]
struct Holders(BTreeMap<(u32, String), u64>);

impl<'de> Deserialize<'de> for Holders {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let holders = Vec::<(u32, String, u64)>::deserialize(input)?;
        check_counts(holders.iter().map(|holder| holder.2))?;
        Ok(Self(holders.into_iter().map(|(tid, comm, count)| ((tid, comm), count)).collect()))
    }
}

fn write_holders<S: Serializer>(
    holders: &BTreeMap<(u32, String), u64>,
    output: S,
) -> Result<S::Ok, S::Error> {
    output.collect_seq(holders.iter().map(|((tid, comm), count)| (tid, comm, count)))
}

fn first_and_last<'de, D: Deserializer<'de>>(input: D) -> Result<Option<(u64, u64)>, D::Error> {
    let seen = Option::<(u64, u64)>::deserialize(input)?;
    check_times(seen.into_iter().flat_map(<[u64; 2]>::from))?;
    match seen {
        Some((first, last)) if first > last => Err(D::Error::custom("a first call comes after the last")),
        seen => Ok(seen),
    }
}

/// Kind of a POSIX mutex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct MutexKind {
    /// Normal, recursive, error-checking or adaptive: the library's number.
    pub form: u8,
    /// Survives the death of its holder.
    #[serde(skip_serializing_if = "is_default")]
    pub robust: bool,
    /// Inherits priorities: the kernel does the locking.
    #[serde(skip_serializing_if = "is_default")]
    pub inherits: bool,
    /// Has a priority ceiling.
    #[serde(skip_serializing_if = "is_default")]
    pub protects: bool,
    /// May be shared between processes.
    #[serde(skip_serializing_if = "is_default")]
    pub shared: bool,
}

impl MutexKind {
    /// Reports whether a thread that finds it taken spins before waiting.
    #[must_use]
    pub const fn spins(self) -> bool {
        const ADAPTIVE: u8 = 3;
        self.form == ADAPTIVE && !(self.robust || self.inherits || self.protects)
    }

    /// As people name it.
    #[must_use]
    pub fn name(self) -> String {
        let form = ["normal", "recursive", "error-checking", "adaptive"];
        let mut name = form.get(usize::from(self.form)).copied().unwrap_or("unknown kind").to_owned();
        let marks = [
            (self.robust, "robust"),
            (self.inherits, "PI"),
            (self.protects, "ceiling"),
            (self.shared, "shared"),
        ];
        for (_, mark) in marks.iter().filter(|mark| mark.0) {
            name = format!("{name} {mark}");
        }
        name
    }
}

/// Equal stacks, and how often they were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackCount {
    /// Functions from the innermost outwards, as they are to be shown.
    pub frames: Vec<String>,
    /// The function that used the lock: the first one that is not part of the lock itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Reason why the outer end is missing, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Number of events that its samples stand for.
    #[serde(deserialize_with = "count")]
    pub count: u64,
}

/// A mutex as probes on the contended path saw it in an interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MutexFrame {
    /// Place of the lock.
    pub place: LockPlace,
    /// The address at which this process has it.
    pub address: u64,
    /// Runtime of the lock: `glibc 2.36`, `Rust std`, ...
    pub runtime: String,
    /// The library's way to count spins: `linear` or `exponential back-off`, where it spins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The kind, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MutexKind>,
    /// Counts, histograms and stacks.
    #[serde(flatten)]
    pub stats: MutexStats,
}

crate::read_beside! {
    MutexFrame needs { place: LockPlace, address: u64, runtime: String }
    has { generation: Option<String>, kind: Option<MutexKind> } beside stats;
    Self { place, address, runtime, generation, kind, stats }
}

/// Numbers of one mutex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MutexStats {
    /// Calls that wanted it, those that found it free included; 0 where calls are not counted.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub calls: u64,
    /// Acquisitions that found it taken.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub contended: u64,
    /// Those that gave up spinning.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub gave_up: u64,
    /// Those that called the kernel to wait.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "count")]
    pub went_to_kernel: u64,
    /// Iterations of the spin loop, as the library counts them.
    #[serde(skip_serializing_if = "is_default")]
    pub spin_count: Hist,
    /// Time from finding it taken to having it or giving up, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub spin_time: Hist,
    /// Hold times, where they were asked for, ns.
    #[serde(skip_serializing_if = "is_default")]
    pub hold: Hist,
    /// Stacks of contended acquisitions, sampled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackCount>,
}

impl MutexStats {
    /// Acquisitions that got the lock while spinning.
    #[must_use]
    pub fn got_by_spinning(&self) -> u64 {
        self.contended.saturating_sub(self.gave_up)
    }

    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.contended += other.contended;
        self.gave_up += other.gave_up;
        self.went_to_kernel += other.went_to_kernel;
        self.spin_count.merge(&other.spin_count);
        self.spin_time.merge(&other.spin_time);
        self.hold.merge(&other.hold);
        merge_stacks(&mut self.stacks, &other.stacks);
    }
}

impl FutexStats {
    /// Calls that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.count.saturating_sub(self.errors.values().sum())
    }

    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (errno, count) in &other.errors {
            *self.errors.entry(*errno).or_default() += count;
        }
        self.wait.merge(&other.wait);
        self.blocked.merge(&other.blocked);
        self.run_queue.merge(&other.run_queue);
        self.woken += other.woken;
        self.vain += other.vain;
        self.unlike_mutex += other.unlike_mutex;
        self.seen_ns = match (self.seen_ns, other.seen_ns) {
            (Some(mine), Some(theirs)) => Some((mine.0.min(theirs.0), mine.1.max(theirs.1))),
            (mine, theirs) => mine.or(theirs),
        };
        match (&mut self.mutex, &other.mutex) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
        self.sampled += other.sampled;
        merge_stacks(&mut self.stacks, &other.stacks);
    }
}

impl MutexSeen {
    fn merge(&mut self, other: &Self) {
        self.kind = other.kind;
        for (holder, count) in &other.holders {
            *self.holders.entry(holder.clone()).or_default() += count;
        }
        self.spins.merge(&other.spins);
        self.sampled.merge(&other.sampled);
    }
}

/// Different stacks of one lock that are kept apart.
pub const MOST_STACKS: usize = 256;
/// Text in place of the frames of all further stacks.
const FURTHER: &str = "further stacks, too many to be kept apart";

impl StackCount {
    /// All stacks that are not kept apart.
    #[must_use]
    pub fn further(count: u64) -> Self {
        Self { frames: Vec::new(), caller: None, cut: Some(FURTHER.to_owned()), count }
    }
}

/// Adds stacks to others: equal ones become one.
pub fn merge_stacks(mine: &mut Vec<StackCount>, theirs: &[StackCount]) {
    for stack in theirs {
        let is_full = mine.len() >= MOST_STACKS;
        let same = mine.iter().position(|known| known.frames == stack.frames && known.cut == stack.cut);
        let further = || mine.iter().position(|known| known.cut.as_deref() == Some(FURTHER));
        match same.or_else(|| further().filter(|_| is_full)) {
            Some(at) => mine[at].count += stack.count,
            None if is_full => mine.push(StackCount::further(stack.count)),
            None => mine.push(stack.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(frames: &[&str], count: u64) -> StackCount {
        StackCount {
            frames: frames.iter().map(|it| (*it).to_owned()).collect(),
            caller: None,
            cut: None,
            count,
        }
    }

    #[test]
    fn equal_stacks_become_one() {
        let mut stats = MutexStats { stacks: vec![stack(&["a", "b"], 2)], ..MutexStats::default() };
        let other =
            MutexStats { stacks: vec![stack(&["a", "b"], 3), stack(&["a"], 1)], ..MutexStats::default() };
        stats.merge(&other);
        assert_eq!(stats.stacks, [stack(&["a", "b"], 5), stack(&["a"], 1)]);
    }

    #[test]
    fn a_merged_futex_knows_its_first_and_last_call() {
        let mut stats = FutexStats { seen_ns: Some((5, 7)), count: 2, ..FutexStats::default() };
        stats.errors.insert(11, 1);
        stats.merge(&FutexStats { seen_ns: Some((3, 6)), count: 1, ..FutexStats::default() });
        assert_eq!((stats.seen_ns, stats.succeeded()), (Some((3, 7)), 2));
    }

    #[test]
    fn kinds_have_the_names_that_people_use() {
        let kind = MutexKind { form: 3, shared: true, ..MutexKind::default() };
        assert_eq!(kind.name(), "adaptive shared");
        assert_eq!(MutexKind::default().name(), "normal");
    }
}
