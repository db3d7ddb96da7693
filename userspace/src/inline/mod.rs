//! Counts inside of a process: the only code that writes into a target, and only where a flag asks for it.
//!
//! A jump takes the place of one instruction in each of a handful of places of glibc's mutex functions; it leads to a
//! pad of code that counts in memory of its own and goes on where the original went. `docs/locks/inline.md` tells what,
//! how and what is refused.
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what reads counters has none to read"))]
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "ptrace(2); see ptrace.rs"))]

#[cfg(target_arch = "x86_64")]
mod call;
#[cfg(target_arch = "x86_64")]
mod code;
mod counters;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod entry;
mod error;
#[cfg(target_arch = "x86_64")]
mod fault;
#[cfg(target_arch = "x86_64")]
mod halt;
mod layout;
#[cfg(target_arch = "x86_64")]
mod library;
#[cfg(target_arch = "x86_64")]
mod memory;
#[cfg(target_arch = "x86_64")]
mod pad;
#[cfg(target_arch = "x86_64")]
mod patch;
#[cfg(target_arch = "x86_64")]
mod presence;
#[cfg(target_arch = "x86_64")]
mod ptrace;
#[cfg(target_arch = "x86_64")]
mod refusal;
#[cfg(target_arch = "x86_64")]
mod removal;
#[cfg(target_arch = "x86_64")]
mod stub;

pub use counters::{Counts, LARGEST};
#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{Patch, Removal, bring_to_entry, repair};
#[cfg(target_arch = "x86_64")]
pub use entry::bring_to_entry;
pub use error::InlineError;
#[cfg(target_arch = "x86_64")]
pub use patch::Patch;
#[cfg(target_arch = "x86_64")]
pub use removal::{Removal, repair};
