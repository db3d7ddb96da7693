//! Counts inside of a process: the only code that writes into a target, and only where a flag asks for it.
//!
//! A jump takes the place of one instruction in each of a handful of places of glibc's mutex functions; it leads to a
//! pad of code that counts in memory of its own and goes on where the original went. `docs/locks/inline.md` tells what,
//! how and what is refused.
#![expect(unsafe_code, reason = "ptrace(2); see ptrace.rs")]

mod call;
mod code;
mod counters;
mod error;
mod fault;
mod halt;
mod layout;
mod library;
mod memory;
mod pad;
mod patch;
mod presence;
mod ptrace;
mod refusal;
mod removal;
mod stub;

pub use counters::{Counts, LARGEST};
pub use error::InlineError;
pub use patch::Patch;
pub use removal::{Removal, repair};
