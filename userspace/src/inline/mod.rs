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
mod layout;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::time::Duration;

pub use counters::{Counts, Everything, LARGEST, Own, TARGET};
#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{Patch, bring_to_entry, repair, replaced};
pub use error::InlineError;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Patch, bring_to_entry, repair, replaced};

/// How finely it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All mutexes of a kind together.
    Kinds,
    /// Every mutex by itself as well, as far as there is room.
    Locks,
}

/// What was done to take counters out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How long the process stood still, the longest time at a stretch.
    pub stopped: Duration,
    /// Instructions that are the original ones again.
    pub restored: usize,
    /// The memory could not be taken away, since something on a stack may lead back to it. It is harmless.
    pub memory_left: bool,
    /// Processes that were forked from it and are as they were too.
    pub heirs: usize,
    /// Those that are not, or keep the memory, as above. What is in them is harmless.
    pub heirs_left: usize,
}
