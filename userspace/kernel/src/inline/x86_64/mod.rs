//! Puts counters into x86-64 code, and removes them.
#![expect(unsafe_code, reason = "ptrace(2); see ptrace.rs")]

mod call;
mod code;
mod entry;
mod halt;
mod heirs;
mod library;
mod memory;
mod pad;
mod patch;
mod presence;
mod ptrace;
mod refusal;
mod removal;
mod resume;
mod row;
mod sequence;
mod sharers;
mod stub;

pub use entry::bring_to_entry;
pub use patch::Patch;
pub use removal::{repair, replaced};

use super::{
    About, Counts, Detail, Everything, Helper, InlineError, Jump, Removal, counters, fault, layout, owner,
};
