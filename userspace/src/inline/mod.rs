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

pub use counters::{Counts, Everything, LARGEST, Own, TARGET};
#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{Patch, Removal, bring_to_entry, repair};
pub use error::InlineError;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Patch, Removal, bring_to_entry, repair};

/// How finely it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All mutexes of a kind together.
    Kinds,
    /// Every mutex by itself as well, as far as there is room.
    Locks,
}
