//! The targets that were published for these patterns, to be held against what is measured.

/// One row of the published table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The kind of operation.
    pub operation: &'static str,
    /// It is to take less than this, in ns.
    pub below_ns: f64,
    /// Project whose measurements the row is said to come from.
    pub source: &'static str,
    /// True for parties that get in each other's way; such a target means nothing where they do not.
    pub contended: bool,
}

pub const UNCONTENDED_ATOMIC: Target = Target {
    operation: "uncontended atomic",
    below_ns: 10.0,
    source: "Crossbeam benchmarks",
    contended: false,
};
pub const UNCONTENDED_MUTEX: Target = Target {
    operation: "uncontended mutex",
    below_ns: 20.0,
    source: "parking_lot fast path",
    contended: false,
};
pub const CONTENTION_2: Target = Target {
    operation: "2-thread contention",
    below_ns: 50.0,
    source: "Crossbeam measurements",
    contended: true,
};
pub const CONTENTION_8: Target =
    Target { operation: "8-thread contention", below_ns: 200.0, source: "Tokio benchmarks", contended: true };
pub const SEND_AND_RECEIVE: Target =
    Target { operation: "channel send/recv", below_ns: 100.0, source: "MPSC benchmarks", contended: false };
pub const TASK_SPAWN: Target =
    Target { operation: "task spawn", below_ns: 500.0, source: "runtime benchmarks", contended: false };
pub const CONTEXT_SWITCH: Target =
    Target { operation: "context switch", below_ns: 1_500.0, source: "yield benchmarks", contended: false };

/// All rows, in the published order.
pub const TARGETS: [Target; 7] = [
    UNCONTENDED_ATOMIC,
    UNCONTENDED_MUTEX,
    CONTENTION_2,
    CONTENTION_8,
    SEND_AND_RECEIVE,
    TASK_SPAWN,
    CONTEXT_SWITCH,
];
