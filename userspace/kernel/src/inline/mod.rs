//! Counts inside of a process: the only code that writes into a target, and only where a flag asks for it.
//!
//! A jump takes the place of one instruction in each of a handful of places of glibc's mutex functions; it leads to a
//! pad of code that counts in memory of its own and goes on where the original went. `docs/locks/inline.md` tells what,
//! how and what is refused.
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what reads counters has none to read"))]

mod counters;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
mod error;
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "there are no steps"))]
mod fault;
mod helper;
mod layout;
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "there are none to own"))]
mod owner;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::time::Duration;

use binary::locate::{replaceable::JUMP, site::Generation};
pub use counters::{Counts, Everything, LARGEST, Own, TARGET};
#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{Patch, bring_to_entry, repair, replaced};
pub use error::InlineError;
pub use helper::{HELPER, Helper, serve};
use serde::{Deserialize, Serialize};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Patch, bring_to_entry, repair, replaced};

/// How finely it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// All mutexes of a kind together.
    Kinds,
    /// Every mutex by itself as well, as far as there is room.
    Locks,
}

/// An address and the instruction that leads from there to a pad.
type Jump = (u64, [u8; JUMP]);

/// What there is to know of counters in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The process.
    pub pid: u32,
    layout: layout::Layout,
    jumps: Vec<Jump>,
    /// How long the process stood still for it.
    pub stopped: Duration,
    /// Threads whose call with a time limit returned `EINTR` for it.
    pub cut_short: usize,
    /// How its library's spin counts.
    pub generation: Option<Generation>,
    /// What is not counted, and why.
    pub left_out: Vec<String>,
    /// Whether counters of a tool that was killed were found and removed first.
    pub repaired: bool,
    /// What the process calls itself; 0 where that is not known.
    pub own_id: u32,
}

impl About {
    /// Whether it is what lies at a place in a process.
    fn is_at(&self, pid: u32, base: u64) -> bool {
        (self.pid, self.layout.base) == (pid, base)
    }
}

/// Who puts counters in and takes them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// This process: what it leaves when it is killed stays.
    Own,
    /// A process of their own, which takes them out even then.
    Helper,
}

/// What was done to take counters out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// How long the process stood still, the longest time at a stretch.
    pub stopped: Duration,
    /// Instructions that are the original ones again.
    pub restored: usize,
    /// Threads whose call with a time limit returned `EINTR` for it.
    pub cut_short: usize,
    /// The memory could not be taken away, since something on a stack may lead back to it. It is harmless.
    pub memory_left: bool,
    /// Processes that were forked from it and are as they were too.
    pub heirs: usize,
    /// Those that are not, or keep the memory, as above. What is in them is harmless.
    pub heirs_left: usize,
}
