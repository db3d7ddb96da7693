//! The probes: how the counters of each are read. What they are stands in [`model::probes`].
#![forbid(unsafe_code)]

mod counters;
mod futex;
mod mutex;
mod sched;
pub mod source;
mod syscalls;

pub use counters::{Counters, Wanted};
pub use futex::{FutexChange, Futexes, kind_of};
use model::probes::Hook;
pub use mutex::{
    Choice, HOLD_NEEDS, MutexChange, Mutexes, Origin, REFUSED, attachable, class_of, spots, unprobed,
};
pub use sched::{RowChange, Sched, SchedChanges, ThreadChange};
pub use syscalls::{Change, Glanced, Syscalls};

/// Possibility to switch a probe off and on again while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It can: it has programs of its own, and its accounts can be closed and opened anew.
    Sched,
    /// It can, while nothing is on that has to know which call a thread is in.
    Syscalls,
    /// It can: its part of the programs for system calls looks away.
    Futex,
    /// It can: its probes are taken out of the targets' code and put in again.
    Mutex,
    /// It can: its hooks are its own.
    Hooks(&'static [Hook]),
    /// It cannot, and why.
    Fixed(&'static str),
}

/// Possibility to switch the probe of this name.
#[must_use]
pub fn switch(name: &str) -> Switch {
    match name {
        "sched" => Switch::Sched,
        "syscalls" => Switch::Syscalls,
        "futex" => Switch::Futex,
        "mutex" => Switch::Mutex,
        _ if let Some(spec) = model::probes::find(name).filter(|spec| spec.events.is_some()) => {
            Switch::Hooks(spec.hooks)
        }
        _ => Switch::Fixed(
            "its numbers are held against all the time that a process was traced; start without it (--probes)",
        ),
    }
}
