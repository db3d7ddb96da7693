//! Waits on futexes: whose lock it is, read from the memory of the process.

use super::{
    edge::{Certainty, Edge},
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
}

/// Offsets in glibc's lock for readers and writers.
mod rwlock {
    pub const READERS: u64 = 0;
    pub const PADDING: [u64; 2] = [16, 20];
    pub const WRITER: u64 = 24;
    /// Words that threads wait at.
    pub const WORDS: [u64; 2] = [8, 12];
    /// The number of readers stands above these bits.
    pub const READERS_SHIFT: u32 = 3;
}

/// The process of a waiting thread, as far as the edges need it.
pub struct Around<'a> {
    /// Its memory.
    pub memory: &'a Memory,
    /// Functions of the waiting thread's stack, the innermost first.
    pub functions: &'a [String],
    /// True if a thread of this id lives, in this process or another one.
    pub lives: &'a dyn Fn(u32) -> bool,
    /// True if it is one of the process's own threads.
    pub is_own: &'a dyn Fn(u32) -> bool,
}

/// What a thread in `futex` waits for.
pub fn edge(call: &InCall, around: &Around<'_>) -> Edge {
    let [address, operation, expected, timeout, ..] = call.arguments;
    let operation = operation & op::MASK;
    let edge = match operation {
        op::LOCK_PI | op::LOCK_PI2 => inheriting(address, around),
        op::WAIT | op::WAIT_BITSET => {
            let waits =
                |names: &[&str]| names.iter().any(|name| around.functions.iter().any(|it| it.contains(name)));
            if waits(&["pthread_cond_", "Condvar", "condition_variable"]) {
                return Edge::idle("a condition");
            }
            joined(address, expected, around)
                .or_else(|| waits(&["rwlock"]).then(|| reading_and_writing(address, around)).flatten())
                .or_else(|| {
                    owned(address, waits(&["mutex_lock", "mutex_timedlock", "mutex_clocklock"]), around)
                })
        }
        _ => None,
    };
    let edge = edge.unwrap_or_else(|| Edge::unknown(format!("futex {address:#x}"), "it is woken"));
    Edge { ends_otherwise: edge.ends_otherwise || timeout != 0, ..edge }
}

/// A mutex whose word names its owner for the kernel.
fn inheriting(address: u64, around: &Around<'_>) -> Option<Edge> {
    let owner = around.memory.word(address)? & OWNER;
    Some(held(format!("mutex {address:#x} (priority inheritance)"), [owner], Certainty::Known, around))
}

/// The end of a thread: its id stands in the word, and the kernel clears it when it ends.
fn joined(address: u64, expected: u64, around: &Around<'_>) -> Option<Edge> {
    let tid = around.memory.word(address)?;
    let is_thread = u64::from(tid) == expected && tid > 1 && (around.is_own)(tid);
    is_thread.then(|| Edge {
        object: format!("thread {tid}"),
        until: "it ends",
        enders: vec![tid],
        certainty: Certainty::Known,
        ends_otherwise: false,
        is_idle: false,
        idle_in: None,
    })
}

/// A mutex of glibc: its word says that threads wait, and another one names the owner.
fn owned(address: u64, in_its_code: bool, around: &Around<'_>) -> Option<Edge> {
    let word = around.memory.word(address)?;
    let owner = around.memory.word(address + mutex::OWNER)?;
    let kind = around.memory.word(address + mutex::KIND)?;
    let is_taken = word == 1 || word == 2 || word & OWNER == owner & OWNER && owner != 0;
    let looks_like_it = is_taken && kind & !mutex::KINDS == 0 && owner > 1 && (around.lives)(owner);
    if !looks_like_it {
        return None;
    }
    let form = ["normal", "recursive", "error-checking", "adaptive"][(kind & mutex::FORM) as usize];
    let certainty = if in_its_code { Certainty::Read } else { Certainty::Claimed };
    Some(held(format!("mutex {address:#x} ({form})"), [owner], certainty, around))
}

/// A lock for readers and writers of glibc: the writer is named, readers are only counted. Threads wait at one of two
/// words: of both places for the beginning, the one with zeros where there are always some, and with a writer that lives.
fn reading_and_writing(address: u64, around: &Around<'_>) -> Option<Edge> {
    let lock = |word: &u64| {
        let base = address.checked_sub(*word)?;
        let field = |offset: u64| around.memory.word(base + offset);
        let is_padded = rwlock::PADDING.iter().all(|offset| field(*offset) == Some(0));
        is_padded.then_some((base, field(rwlock::WRITER)?, field(rwlock::READERS)? >> rwlock::READERS_SHIFT))
    };
    let all: Vec<(u64, u32, u32)> = rwlock::WORDS.iter().filter_map(lock).collect();
    if let Some((base, writer, _)) = all.iter().find(|lock| lock.1 != 0 && (around.lives)(lock.1)) {
        return Some(held(format!("read-write lock {base:#x}"), [*writer], Certainty::Read, around));
    }
    let (base, _, readers) = all.into_iter().find(|lock| lock.1 == 0 && (1..1 << 16).contains(&lock.2))?;
    Some(Edge::unknown(format!("read-write lock {base:#x} ({readers} readers)"), "its readers let go"))
}

fn held<const N: usize>(object: String, owners: [u32; N], certainty: Certainty, around: &Around<'_>) -> Edge {
    let enders: Vec<u32> = owners.into_iter().filter(|owner| (around.lives)(*owner)).collect();
    let ends_otherwise = enders.is_empty();
    Edge {
        object,
        until: "its holder lets go",
        enders,
        certainty,
        ends_otherwise,
        is_idle: false,
        idle_in: None,
    }
}
