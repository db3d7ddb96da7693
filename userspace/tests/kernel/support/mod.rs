//! Common parts of the tests.

mod compile;
mod hidden;
mod holds;
mod invariants;
mod numbers;
mod oracle;
mod running;
mod staged;
mod tool;
mod trace;
mod workload;

use std::path::Path;

pub use compile::{compiled, source};
pub use hidden::begin;
pub use holds::{Fought, Holds};
pub use invariants::{assert_consistent, assert_consistent_export};
pub use numbers::{assert_true, counts, entries, nothing_missing, operations, quantile, whole};
pub use oracle::Oracle;
pub use pulse_trace_testing::{installed, need};
pub use running::Running;
pub use staged::Staged;
pub use tool::{HOOKS, Tool, export};
pub use trace::{How, Trace};
pub use workload::{Calls, Truth, blocked_in, built, children_of, in_call, program, within};

/// Has files read by the tool: what is traced with the library alone is traced by another program.
pub fn reads_by_the_tool() {
    kernel::sandbox::use_program(Path::new(env!("CARGO_BIN_EXE_pulse-trace")));
}
