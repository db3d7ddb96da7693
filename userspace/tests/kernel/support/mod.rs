//! What the tests have in common.

mod compile;
mod holds;
mod invariants;
mod numbers;
mod oracle;
mod running;
mod skip;
mod tool;
mod trace;
mod workload;

pub use compile::{compiled, source};
pub use holds::{Fought, Holds};
pub use invariants::{assert_consistent, assert_consistent_export};
pub use numbers::{assert_true, counts, entries, nothing_missing, quantile, whole};
pub use oracle::Oracle;
pub use running::Running;
pub use skip::{installed, skip};
pub use tool::{HOOKS, Tool, export};
pub use trace::{How, Trace};
pub use workload::{Calls, Truth, blocked_in, built, children_of, in_call, program, within};

/// Leaves the test with a declared reason where something that it needs is not to be had.
macro_rules! need {
    ($condition:expr, $($reason:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            let test = std::thread::current().name().unwrap_or("unknown").to_owned();
            return crate::support::skip(&test, &format!($($reason)+));
        }
    };
}
pub(crate) use need;
