//! A plan of probe sites in one file: plain data, for the code that attaches probes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{combine::Check, instruction::Class, register::Reg, usdt::Mark};
use crate::fixed::{self, Fixed};

/// Event that passing a site stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// An adaptive mutex was not free: the thread is about to spin. Passed once by each contended acquisition.
    Contended,
    /// The spin is over and its count goes into the mean. Passed with the lock held, by those who got it spinning and
    /// by those who had to wait alike.
    SpinEnd,
    /// The limit of the spin is reached; one last attempt follows.
    GaveUp,
    /// The same event right after the last attempt. Cheaper, but the lock may already be held.
    LastAttempt,
    /// The wait in the kernel is next.
    KernelWait(Wait),
    /// Entry of a function of this runtime that only contended acquisitions call.
    #[serde(with = "fixed")]
    SlowPathEntry(Fixed),
    /// Entry of a function of this runtime that contended acquisitions call, but others too.
    #[serde(with = "fixed")]
    LockEntry(Fixed),
    /// A function is entered, whether or not the mutex is free: passed once by each call.
    Call(Call),
}

/// Purpose of a call on a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Call {
    /// Take the mutex.
    Lock,
    /// Take it within a time.
    Timed,
    /// Take it if it is free.
    Try,
    /// Let go of it.
    Unlock,
    /// Let go of it until a condition holds.
    Wait,
}

/// Kind of a wait in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wait {
    /// A thread that gave up spinning for an adaptive mutex.
    Adaptive,
    /// A normal or an error-checking mutex.
    Normal,
    /// A recursive mutex.
    Recursive,
    /// A mutex of any kind with a time limit. One acquisition may pass several times: each pass is one wait.
    Timed,
    /// A reader of a read-write lock. Each pass is one wait.
    Read,
    /// A writer of a read-write lock. Each pass is one wait.
    Write,
}

/// Unit in which a spin counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generation {
    /// One for each attempt.
    Linear,
    /// The sum of the pauses, whose lengths double, with a random part: equal counts do not mean equal time.
    Exponential,
}

/// Method by which a site was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FoundBy {
    /// By what the code does to the mutex.
    Signature,
    /// By debug information.
    Dwarf,
    /// By both, and they agree.
    Both,
    /// By the name of a function.
    Symbol,
}

/// A register that holds the address of the lock, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LockPointer {
    /// Register that holds the pointer.
    pub register: Reg,
    /// Bytes from the beginning of the lock to the address that it holds.
    pub offset: i64,
}

/// A place for a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Event that passing it stands for.
    pub role: Role,
    /// The function that holds it.
    pub function: String,
    /// In the file's own address space.
    pub address: u64,
    /// In the file; uprobes are attached by it.
    pub file_offset: u64,
    /// Cost class of a hit.
    pub class: Class,
    /// Holds the spin count (32 bits, signed) when control is here.
    pub count_register: Option<Reg>,
    /// Holds the lock when control is here.
    pub lock: Option<LockPointer>,
    /// Method by which it was found.
    pub found_by: FoundBy,
}

impl Site {
    /// The register that holds the address of the lock itself.
    #[must_use]
    pub fn lock_register(&self) -> Option<Reg> {
        self.lock.filter(|lock| lock.offset == 0).map(|lock| lock.register)
    }
}

/// Counting of spins in one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spin {
    /// Name of the function.
    pub function: String,
    /// Its way to count.
    pub generation: Generation,
}

/// Everything that can be probed in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlan {
    /// Build id, in hexadecimal.
    pub build_id: Option<String>,
    /// Runtimes found in it, `glibc` and `musl` among them.
    #[serde(with = "fixed::list")]
    pub runtimes: Vec<Fixed>,
    /// Counting of spins in `pthread_mutex_lock`.
    pub generation: Option<Generation>,
    /// Counting of spins in every function that spins: they differ within one library.
    pub spins: Vec<Spin>,
    /// Sites in the order of their addresses.
    pub sites: Vec<Site>,
    /// Sites that calls pass that may well find the lock free, by function.
    pub calls: Vec<Site>,
    /// Probes that the library marks itself.
    #[serde(skip)]
    pub marks: Vec<Mark>,
    /// Comparison of debug information with the code, by function.
    #[serde(with = "fixed::pairs")]
    pub checks: Vec<Check>,
    /// Functions that could not be found, each with the reason.
    pub refusals: Vec<String>,
}

impl FilePlan {
    /// Sites of one role, by address.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(move |site| site.role == role)
    }

    /// Site that calls of a function pass.
    #[must_use]
    pub fn of_call(&self, function: &str) -> Option<&Site> {
        self.calls.iter().find(|site| site.function == function)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contended => "begin of the spin",
            Self::SpinEnd => "end of the spin",
            Self::GaveUp => "gave up the spin",
            Self::LastAttempt => "after the last attempt of a spin",
            Self::KernelWait(Wait::Adaptive) => "wait in the kernel after a spin",
            Self::KernelWait(Wait::Normal) => "wait in the kernel, normal mutex",
            Self::KernelWait(Wait::Recursive) => "wait in the kernel, recursive mutex",
            Self::KernelWait(Wait::Timed) => "wait in the kernel with a time limit",
            Self::KernelWait(Wait::Read) => "wait in the kernel, reader",
            Self::KernelWait(Wait::Write) => "wait in the kernel, writer",
            Self::SlowPathEntry(_) => "slow path",
            Self::LockEntry(_) => "entry",
            Self::Call(Call::Lock | Call::Timed) => "every call",
            Self::Call(Call::Try) => "every attempt",
            Self::Call(Call::Unlock) => "every release",
            Self::Call(Call::Wait) => "every wait for a condition",
        })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear: the count is the number of attempts",
            Self::Exponential => "exponential back-off: the count is the sum of the pauses",
        })
    }
}
