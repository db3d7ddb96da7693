//! Descriptions of the probes, as plain data: what is printed of a probe is what is used.

mod counters;
mod faults;
mod futex;
mod mmaplock;
mod mutex;
mod sched;
mod syscalls;

use std::{env::consts::ARCH, iter};

use strsim::levenshtein;

/// All probes, in a fixed order.
pub const ALL: &[Spec] =
    &[syscalls::SPEC, sched::SPEC, futex::SPEC, mutex::SPEC, counters::SPEC, faults::SPEC, mmaplock::SPEC];

/// A probe's entry in the list of probes.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its stem: the name in commands, files and documents.
    pub name: &'static str,
    /// One line about the data that it shows.
    pub summary: &'static str,
    /// Hooks in the kernel, in the order of attachment. Two probes may share hooks.
    pub hooks: &'static [Hook],
    /// Where it looks besides, in words.
    pub elsewhere: &'static str,
    /// The only kind of processor that it works on, as the kernel names it; `None` for all.
    pub only_on: Option<&'static str>,
    /// The first release of Linux that has its hooks.
    pub since: (u32, u32),
    /// Requirements on kernel and user.
    pub needs: &'static str,
    /// True if it runs by default.
    pub default: bool,
    /// Its measured cost.
    pub cost: &'static str,
    /// True if stacks are taken of a sample of what it sees.
    pub takes_stacks: bool,
    /// Its events, where it counts some by kind.
    pub events: Option<&'static EventTable>,
}

/// Events that a probe counts by kind. Everything from the map to the screens follows from this.
#[derive(Debug)]
pub struct EventTable {
    /// Several of them, in a sentence.
    pub noun: &'static str,
    /// Number of the first kind among those of all probes.
    pub first: u32,
    /// The kinds, in the order of their numbers.
    pub kinds: &'static [EventKind],
    /// Maps of the kernel side that have an entry for each thread.
    pub thread_maps: &'static [&'static str],
    /// Names in the ledger of events that are missing, with what they are in words.
    pub missing: &'static [(&'static str, &'static str)],
}

impl Spec {
    /// A description without anything optional.
    const NONE: Self = Self {
        name: "",
        summary: "",
        hooks: &[],
        elsewhere: "",
        only_on: None,
        since: (5, 10),
        needs: "CAP_BPF and CAP_PERFMON; Linux 5.10 with BTF",
        default: false,
        cost: "",
        takes_stacks: false,
        events: None,
    };

    /// The reason why it cannot be had on this processor or this release of the kernel.
    ///
    /// # Errors
    /// That reason.
    pub fn allowed_on(&self, release: &str) -> Result<(), String> {
        let (major, minor) = self.since;
        match self.only_on.filter(|arch| *arch != ARCH) {
            Some(arch) => Err(format!("it needs {arch}")),
            None if numbers(release).is_some_and(|numbers| numbers < self.since) => {
                Err(format!("it needs Linux {major}.{minor}"))
            }
            None => Ok(()),
        }
    }

    /// All places where it looks, in words.
    #[must_use]
    pub fn places(&self) -> String {
        let hooks = self.hooks.iter().map(|hook| hook.point.to_string());
        let elsewhere = iter::once(self.elsewhere.to_owned()).filter(|place| !place.is_empty());
        hooks.chain(elsewhere).collect::<Vec<_>>().join(", ")
    }
}

/// A kind of event that a probe counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// Its name in tables and files.
    pub name: &'static str,
    /// The same in a sentence.
    pub meaning: &'static str,
    /// True if its time is part of the time that a thread runs outside of system calls.
    pub in_user_time: bool,
}

/// A place in the kernel and the programs that can serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// The program for kernels that refuse the first.
    pub fallback: Option<&'static str>,
    /// The place.
    pub point: Point,
}

/// A place in the kernel that programs can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A tracepoint, by the kernel's name.
    Tracepoint(&'static str),
    /// A software event of perf on each CPU, each time that it is counted: its name, and its number in `perf_event.h`.
    Software(&'static str, u64),
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tracepoint(name) => write!(f, "tp_btf:{name}"),
            Self::Software(name, _) => write!(f, "software:{name}"),
        }
    }
}

/// A program on a tracepoint.
#[must_use]
pub const fn hook(program: &'static str, tracepoint: &'static str) -> Hook {
    Hook { program, fallback: None, point: Point::Tracepoint(tracepoint) }
}

/// Choice of probes unless the user names some.
pub const AUTO: &str = "auto";

/// A set of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeSet(u32);

impl ProbeSet {
    /// The probes of these names.
    #[must_use]
    pub fn named(names: &[&str]) -> Self {
        let bits = ALL.iter().enumerate().filter(|(_, spec)| names.contains(&spec.name));
        Self(bits.fold(0, |bits, (at, _)| bits | 1 << at))
    }

    /// The probes that a choice of names comes to. System calls go with scheduling, which has to know which call a
    /// thread is blocked in.
    #[must_use]
    pub fn chosen(names: &[String]) -> Self {
        let named = |wanted: &str| names.iter().any(|name| name == wanted);
        let auto = named(AUTO);
        let wanted = |spec: &&Spec| {
            (auto && spec.default)
                || named(spec.name)
                || (spec.name == syscalls::SPEC.name && named(sched::SPEC.name))
        };
        Self::named(&ALL.iter().filter(wanted).map(|spec| spec.name).collect::<Vec<_>>())
    }

    /// True if the probe of this name is among them.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.specs().any(|spec| spec.name == name)
    }

    /// Their descriptions, in the order of all.
    pub fn specs(self) -> impl Iterator<Item = &'static Spec> {
        ALL.iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, spec)| spec)
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.specs().map(|spec| spec.name).collect()
    }

    /// True if stacks say more about what one of them finds.
    #[must_use]
    pub fn takes_stacks(self) -> bool {
        self.specs().any(|spec| spec.takes_stacks)
    }

    /// True if one of them counts events.
    #[must_use]
    pub fn counts_events(self) -> bool {
        self.specs().any(|spec| spec.events.is_some())
    }
}

/// Major and minor number of a release such as `6.1.0-50-cloud-amd64`.
#[must_use]
pub fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Probes that count events by kind, with their tables.
pub fn with_events() -> impl Iterator<Item = (&'static Spec, &'static EventTable)> {
    ALL.iter().filter_map(|spec| Some((spec, spec.events?)))
}

/// The probe of a name, where there is one: a recording may have been made by a later version.
#[must_use]
pub fn find(name: &str) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.name == name)
}

/// Hooks of the probe of a name.
#[must_use]
pub fn hooks_of(name: &str) -> &'static [Hook] {
    find(name).map_or(&[], |spec| spec.hooks)
}

/// The probe of a name.
///
/// # Errors
/// A sentence that names the nearest probe, when there is none of that name.
pub fn named(name: &str) -> Result<&'static Spec, String> {
    find(name).ok_or_else(|| {
        let nearest = ALL.iter().min_by_key(|spec| levenshtein(spec.name, name)).map_or("", |spec| spec.name);
        format!("cannot use probe {name:?}: there is no such probe; did you mean {nearest:?}? See `pulse-trace probes`")
    })
}

#[cfg(test)]
mod tests {
    use pulse_trace_common::probes::EVENT_KINDS;

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
        let names = ProbeSet::names;
        assert_eq!(names(ProbeSet::chosen(&["sched".to_owned()])), ["syscalls", "sched"]);
        for alone in ["syscalls", "futex", "mutex", "counters", "faults"] {
            assert_eq!(names(ProbeSet::chosen(&[alone.to_owned()])), [alone]);
        }
        let auto: Vec<&str> = ALL.iter().filter(|spec| spec.default).map(|spec| spec.name).collect();
        assert_eq!(names(ProbeSet::chosen(&[AUTO.to_owned()])), auto);
    }

    #[test]
    fn releases_are_understood_and_one_that_is_too_old_is_named() {
        assert_eq!(numbers("6.1.0-50-cloud-amd64"), Some((6, 1)));
        assert_eq!(numbers("weird"), None);
        let young = Spec { since: (5, 11), ..Spec::NONE };
        assert_eq!(young.allowed_on("5.10.0-28"), Err("it needs Linux 5.11".to_owned()));
        assert_eq!(young.allowed_on("6.1"), Ok(()));
        assert!(Spec { only_on: Some("vax"), ..Spec::NONE }.allowed_on("6.1").is_err());
    }

    #[test]
    fn kinds_of_events_have_numbers_of_their_own() {
        let mut next = 0;
        for (spec, table) in with_events() {
            assert_eq!(table.first, next, "{}", spec.name);
            next += table.kinds.len() as u32;
        }
        assert_eq!(next, EVENT_KINDS);
    }
}
