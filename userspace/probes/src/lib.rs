//! The probes: for each stem its description and how its counters are read. The list is explicit and ordered.
#![forbid(unsafe_code)]

mod counters;
mod futex;
mod mutex;
mod sched;
pub mod source;
mod syscalls;

pub use counters::{Counters, Wanted};
pub use futex::{FutexChange, Futexes, kind_of};
use model::spec::Spec;
pub use mutex::{
    Choice, HOLD_NEEDS, MutexChange, Mutexes, Origin, REFUSED, attachable, class_of, spots, unprobed,
};
pub use sched::{RowChange, Sched, SchedChanges, ThreadChange};
use strsim::levenshtein;
pub use syscalls::{Change, Glanced, Syscalls};

/// All probes, in a fixed order.
pub const ALL: &[Spec] = &[syscalls::SPEC, sched::SPEC, futex::SPEC, mutex::SPEC, counters::SPEC];

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
        _ => Switch::Fixed(
            "its numbers are held against all the time that a process was traced; start without it (--probes)",
        ),
    }
}

/// The probe of a name.
///
/// # Errors
/// A sentence that names the nearest probe, when there is none of that name.
pub fn named(name: &str) -> Result<&'static Spec, String> {
    ALL.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let nearest = ALL.iter().min_by_key(|spec| levenshtein(spec.name, name)).map_or("", |spec| spec.name);
        format!("cannot use probe {name:?}: there is no such probe; did you mean {nearest:?}? See `pulse-trace probes`")
    })
}

/// Choice of probes unless the user names some.
pub const AUTO: &str = "auto";

/// The probes that a choice of names comes to, in the order of [`ALL`]. System calls go with scheduling, which has to
/// know which call a thread is blocked in.
#[must_use]
pub fn chosen(names: &[String]) -> Vec<&'static str> {
    let named = |wanted: &str| names.iter().any(|name| name == wanted);
    let auto = named(AUTO);
    let wanted = |spec: &&Spec| {
        (auto && spec.default)
            || named(spec.name)
            || (spec.name == syscalls::SPEC.name && named(sched::SPEC.name))
    };
    ALL.iter().filter(wanted).map(|spec| spec.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_slip_is_understood() {
        for (at, spec) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.name != spec.name));
            assert_eq!(named(spec.name).unwrap().name, spec.name);
        }
        assert!(named("sycalls").unwrap_err().contains("\"syscalls\""));
    }

    #[test]
    fn a_choice_always_has_what_it_builds_on() {
        assert_eq!(chosen(&["sched".to_owned()]), ["syscalls", "sched"]);
        for alone in ["syscalls", "futex", "mutex", "counters"] {
            assert_eq!(chosen(&[alone.to_owned()]), [alone]);
        }
        let auto: Vec<&str> = ALL.iter().filter(|spec| spec.default).map(|spec| spec.name).collect();
        assert_eq!(chosen(&[AUTO.to_owned()]), auto);
    }
}
