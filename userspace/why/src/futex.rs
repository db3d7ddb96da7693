//! Waits on futexes: whose lock it is, read from the memory of the process.

use super::{
    edge::{Besides, Certainty, Edge, FUTEX},
    thread::{InCall, Memory},
};

/// Operations of `futex(2)`.
mod op {
    pub const MASK: u64 = 0x7f;
    pub const WAIT: u64 = 0;
    pub const LOCK_PI: u64 = 6;
    pub const WAIT_BITSET: u64 = 9;
    pub const LOCK_PI2: u64 = 13;
}

/// Bits of a word that names its owner.
const OWNER: u32 = 0x3fff_ffff;

/// Offsets in glibc's mutex, from its word on.
mod mutex {
    pub const OWNER: u64 = 8;
    pub const KIND: u64 = 16;
    /// Bits that a kind may have.
    pub const KINDS: u32 = 0x1f3;
    pub const FORM: u32 = 3;
    /// It may be in memory of several processes.
    pub const SHARED: u32 = 0x80;
}

/// Offsets in glibc's lock for readers and writers.
mod rwlock {
    pub const READERS: u64 = 0;
    pub const PADDING: [u64; 2] = [16, 20];
    pub const WRITER: u64 = 24;
    /// Not zero where it may be in memory of several processes.
    pub const SHARED: u64 = 28;
    /// Words that threads wait at.
    pub const WORDS: [u64; 2] = [8, 12];
    /// The number of readers stands above these bits.
    pub const READERS_SHIFT: u32 = 3;
}

/// The process of a waiting thread, as far as the edges need it.
pub struct Around<'a> {
    /// Its memory.
    pub memory: &'a Memory,
    /// Functions of libraries and runtimes at the inner end of the waiting thread's stack.
    pub functions: &'a [String],
    /// The thread of this process that its memory calls by an id, which is that of its own PID namespace.
    pub own: &'a dyn Fn(u32) -> Option<u32>,
    /// The thread of any process of the same namespace.
    pub any: &'a dyn Fn(u32) -> Option<u32>,
}

/// An owner that a lock names.
enum Owner {
    Lives(u32),
    Gone(u32),
}

impl Around<'_> {
    fn owner(&self, id: u32, is_shared: bool) -> Owner {
        let found = (self.own)(id).or_else(|| is_shared.then(|| (self.any)(id)).flatten());
        found.map_or(Owner::Gone(id), Owner::Lives)
    }

    fn is_in(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.functions.iter().any(|it| it.contains(name)))
    }
}

/// What a thread in `futex` waits for.
pub fn edge(call: &InCall, around: &Around<'_>) -> Edge {
    let [address, operation, expected, timeout, ..] = call.arguments;
    let edge = match operation & op::MASK {
        op::LOCK_PI | op::LOCK_PI2 => inheriting(address, around),
        op::WAIT | op::WAIT_BITSET => waiting(address, expected, around),
        _ => None,
    };
    let edge = edge.unwrap_or_else(|| Edge::unknown(format!("{FUTEX}{address:x}"), "it is woken"));
    if timeout == 0 { edge } else { Edge { besides: Besides::Anything, ..edge } }
}

fn waiting(address: u64, expected: u64, around: &Around<'_>) -> Option<Edge> {
    const IN_MUTEX: [&str; 3] = ["mutex_lock", "mutex_timedlock", "mutex_clocklock"];
    const IN_CONDITION: [&str; 3] = ["pthread_cond_", "Condvar", "condition_variable"];
    let (in_mutex, in_condition) = (around.is_in(&IN_MUTEX), around.is_in(&IN_CONDITION));
    joined(address, expected, around)
        .or_else(|| around.is_in(&["rwlock"]).then(|| reading_and_writing(address, around)).flatten())
        // Back from a condition, a thread waits for the condition's mutex there.
        .or_else(|| owned(address, in_mutex || in_condition, around))
        .or_else(|| in_condition.then(|| Edge::idle("a condition")))
}

/// A mutex whose word names its owner for the kernel.
fn inheriting(address: u64, around: &Around<'_>) -> Option<Edge> {
    let owner = around.memory.word(address)? & OWNER;
    let object = format!("mutex {address:#x} (priority inheritance)");
    Some(held(object, &around.owner(owner, true), Certainty::Known))
}

/// The end of a thread: its id stands in the word, and the kernel clears it when it ends.
fn joined(address: u64, expected: u64, around: &Around<'_>) -> Option<Edge> {
    let id = around.memory.word(address)?;
    let tid = (around.own)(id).filter(|_| u64::from(id) == expected && id > 1)?;
    Some(Edge::known(format!("thread {tid}"), "it ends", vec![tid], Besides::Nothing))
}

/// A mutex of glibc: its word says that threads wait, and another one names the owner.
fn owned(address: u64, in_its_code: bool, around: &Around<'_>) -> Option<Edge> {
    let word = around.memory.word(address)?;
    let id = around.memory.word(address + mutex::OWNER)?;
    let kind = around.memory.word(address + mutex::KIND)?;
    let is_taken = word == 1 || word == 2 || word & OWNER == id & OWNER && id != 0;
    if !is_taken || kind & !mutex::KINDS != 0 || id <= 1 {
        return None;
    }
    let owner = around.owner(id, kind & mutex::SHARED != 0);
    // Of memory that only looks like a mutex, an owner that is gone makes none.
    if matches!(owner, Owner::Gone(_)) && !in_its_code {
        return None;
    }
    let form = ["normal", "recursive", "error-checking", "adaptive"][(kind & mutex::FORM) as usize];
    let certainty = if in_its_code { Certainty::Read } else { Certainty::Claimed };
    Some(held(format!("mutex {address:#x} ({form})"), &owner, certainty))
}

/// A lock for readers and writers of glibc: the writer is named, readers are only counted. Threads wait at one of two
/// words: of both places for the beginning, the one with zeros where there are always some, and with a writer that lives.
fn reading_and_writing(address: u64, around: &Around<'_>) -> Option<Edge> {
    let lock = |word: &u64| {
        let base = address.checked_sub(*word)?;
        let field = |offset: u64| around.memory.word(base + offset);
        let is_padded = rwlock::PADDING.iter().all(|offset| field(*offset) == Some(0));
        let owner = match field(rwlock::WRITER)? {
            0 => None,
            id => Some(around.owner(id, field(rwlock::SHARED)? != 0)),
        };
        is_padded.then_some((base, owner, field(rwlock::READERS)? >> rwlock::READERS_SHIFT))
    };
    let all: Vec<(u64, Option<Owner>, u32)> = rwlock::WORDS.iter().filter_map(lock).collect();
    if let Some((base, Some(owner), _)) = all.iter().find(|lock| matches!(lock.1, Some(Owner::Lives(_)))) {
        return Some(held(format!("read-write lock {base:#x}"), owner, Certainty::Read));
    }
    let (base, _, readers) =
        all.into_iter().find(|lock| lock.1.is_none() && (1..1 << 16).contains(&lock.2))?;
    Some(Edge::unknown(format!("read-write lock {base:#x} ({readers} readers)"), "its readers let go"))
}

fn held(object: String, owner: &Owner, certainty: Certainty) -> Edge {
    let until = "its holder lets go";
    match owner {
        Owner::Lives(tid) => Edge { certainty, ..Edge::known(object, until, vec![*tid], Besides::Nothing) },
        Owner::Gone(id) => {
            Edge { certainty, ..Edge::unknown(format!("{object}, whose holder {id} is gone,"), until) }
        }
    }
}
