//! Counters inside of a process: the only code that writes into a target, and only where a flag asks for it.
//!
//! In each of a handful of glibc's mutex functions a jump replaces one instruction; it leads to a pad of code that
//! counts in memory of its own and goes on behind the replaced instruction. `docs/locks/inline.md` describes the
//! counters, the method and the refusals.
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

/// Level of detail of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// One set of counters for all mutexes of a kind.
    Kinds,
    /// Counters for every mutex by itself as well, as far as there is room.
    Locks,
}

/// An address and the instruction that leads from there to a pad.
type Jump = (u64, [u8; JUMP]);

/// Properties of the counters in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Id of the process.
    pub pid: u32,
    layout: layout::Layout,
    jumps: Vec<Jump>,
    /// Time for which the process was stopped to put the counters in.
    pub stopped: Duration,
    /// Threads whose call with a time limit returned `EINTR` because of the stop.
    pub cut_short: usize,
    /// Generation of the library's spin loop.
    pub generation: Option<Generation>,
    /// Events that are not counted, with reasons.
    pub left_out: Vec<String>,
    /// True if counters of a killed tool were found and removed first.
    pub repaired: bool,
    /// Process id as the process itself knows it; 0 where that is not known.
    pub own_id: u32,
}

impl About {
    /// True for the counters at an address of a process.
    fn is_at(&self, pid: u32, base: u64) -> bool {
        (self.pid, self.layout.base) == (pid, base)
    }
}

/// The process that puts counters in and removes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// This process: if it is killed, the counters stay in the target.
    Own,
    /// A helper process, which removes the counters even then.
    Helper,
}

/// Result of removing counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Longest time for which the process was stopped without a pause.
    pub stopped: Duration,
    /// Instructions that are the original ones again.
    pub restored: usize,
    /// Threads whose call with a time limit returned `EINTR` because of the stop.
    pub cut_short: usize,
    /// True if the memory could not be unmapped, since a stack may hold an address in it. It is harmless.
    pub memory_left: bool,
    /// Forked children from which the counters were removed too.
    pub heirs: usize,
    /// Forked children that keep the jumps or the memory. What is in them is harmless.
    pub heirs_left: usize,
}
