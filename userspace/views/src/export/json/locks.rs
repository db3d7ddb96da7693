//! Futexes and mutexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Hist;

/// One operation on one futex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Futex {
    /// The address at which this process has it.
    pub address: u64,
    /// What sort of memory it lies in.
    pub place: Place,
    /// The object that is mapped there; null for memory of one process, and where it could not be told.
    pub shared: Option<SharedObject>,
    /// Address of the lock that it is a part of, by which report, CSV and dashboard name that lock: CPython's GIL consists
    /// of several futexes, and so do Java's monitors; null for a futex that is a lock by itself.
    #[serde(default)]
    pub lock: Option<u64>,
    /// The operation as `futex(2)` names it, in upper case.
    pub op: String,
    /// Calls that ended.
    pub count: u64,
    /// How they ended: `woken` (a wait) or `done` (anything else) for success, else the name of the error.
    pub outcomes: BTreeMap<String, u64>,
    /// What the waits were; null for operations that do not wait.
    pub waits: Option<Waits>,
    /// How long waits took.
    pub wait: Hist,
    /// Of waits that slept: until they were woken.
    pub blocked: Hist,
    /// Of waits that slept: from being woken to running.
    pub run_queue: Hist,
    /// Calls that wake.
    pub wakes: u64,
    /// Waiters that they woke.
    pub waiters_woken: u64,
    /// Calls that wake and found no waiter.
    pub wakes_in_vain: u64,
    /// First call, ns since 1970.
    pub first_unix_ns: Option<u64>,
    /// Last call, ns since 1970.
    pub last_unix_ns: Option<u64>,
    /// What the memory at the address says where it is a mutex.
    pub mutex: Option<Seen>,
    /// Whose lock it is, as far as most stacks tell: `Rust std mutex`, `pthread condition`, ...; null where they do not.
    pub runtime: Option<String>,
    /// Waits during which the word did not look like a held mutex.
    pub unlike_mutex: u64,
    /// Waits whose stack was taken.
    pub sampled: u64,
    /// Where it was called from, the most frequent first; counts are the waits that the sampled ones stand for.
    pub stacks: Vec<Stack>,
}

/// What sort of memory a lock lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Memory of one process.
    Private,
    /// A shared mapping: equal `device`, `inode` and `offset` are one lock, whichever process has it.
    Shared,
    /// A process-shared lock whose memory could not be told apart any more.
    Unresolved,
}

/// A lock's place in an object that several processes may map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SharedObject {
    /// Device of the object.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// The lock's place within it.
    pub offset: u64,
    /// Its name.
    pub path: String,
}

/// What the waits on a futex were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// Threads wanted a lock that another one had.
    Contention,
    /// It cannot be told.
    Unclear,
    /// On a condition, an event or a timer, or so long that it looks like one; a lock that is built on one looks the same.
    Waiting,
    /// Threads had nothing to do, for certain.
    Idle,
}

/// What was read of a mutex when a thread began to wait for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Seen {
    /// Which kind it is.
    pub kind: String,
    /// Who held it, the most frequent first.
    pub holders: Vec<Holder>,
    /// The library's running mean of the spin count, for adaptive ones.
    pub spins: Hist,
    /// The same, read at random times; null where it was not.
    #[serde(default)]
    pub spin_mean: Option<SpinMean>,
}

/// Mean of the library's running mean of the spin count, over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SpinMean {
    /// The mean of `__spins`.
    pub mean: f64,
    /// How many samples it is of, and how many of them differed from the one before.
    pub samples: u64,
    /// See above.
    pub moved: u64,
    /// What the mean spin count is less than, where it is only known to be small.
    pub below: Option<f64>,
    /// Why `mean` is not the mean spin count to ten percent; null where it is.
    pub doubt: Option<String>,
}

/// A thread that held a mutex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Holder {
    /// Thread id.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Waits that found it so.
    pub count: u64,
}

/// Equal stacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stack {
    /// Functions from the innermost outwards.
    pub frames: Vec<String>,
    /// The function that used the lock: the first one that is not part of the lock itself.
    pub caller: Option<String>,
    /// Why the outer end is missing, where it is.
    pub cut: Option<String>,
    /// How many events its samples stand for.
    pub count: u64,
}

/// A mutex as probes on its contended path saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mutex {
    /// The address at which this process has it.
    pub address: u64,
    /// What sort of memory it lies in.
    pub place: Place,
    /// The object that is mapped there; null as for a futex.
    pub shared: Option<SharedObject>,
    /// Whose lock it is.
    pub runtime: String,
    /// How that library counts spins, where it spins: equal counts of different generations are not equal times.
    pub generation: Option<String>,
    /// The kind, where it is known.
    pub kind: Option<String>,
    /// Calls that wanted it, those that found it free included; null where they were not asked for.
    #[serde(default)]
    pub calls: Option<u64>,
    /// Acquisitions that found it taken.
    pub contended: u64,
    /// Those that got it while spinning; null for a lock that does not spin.
    pub got_by_spinning: Option<u64>,
    /// Those that gave up spinning; null likewise.
    pub gave_up_spinning: Option<u64>,
    /// Those that called the kernel to wait.
    pub went_to_kernel: u64,
    /// Iterations of the spin loop, as the library counts them.
    pub spin_count: Hist,
    /// From finding it taken to having it or giving up.
    pub spin_time: Hist,
    /// How long it was held; null where that was not asked for.
    #[serde(default)]
    pub hold: Option<Hist>,
    /// Where it was wanted, sampled, the most frequent first.
    pub stacks: Vec<Stack>,
}
