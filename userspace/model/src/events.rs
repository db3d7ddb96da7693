//! Events of kinds that are known beforehand, as probes with an [`EventTable`](probes::EventTable) count them.

use serde::{Deserialize, Serialize};

use super::{
    frame::{CallStats, ThreadName},
    locks::{StackCount, merge_stacks},
    probes::{self, EventKind, Spec},
    session::Process,
};

/// A kind of event: its probe's name and its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventName {
    /// Name of the probe.
    pub probe: String,
    /// Name of the kind.
    pub kind: String,
}

impl EventName {
    /// It as it is shown beside other things.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}: {}", self.probe, self.kind)
    }

    /// Its descriptions, where this version knows them.
    #[must_use]
    pub fn described(&self) -> Option<(&'static Spec, &'static EventKind)> {
        let spec = probes::find(&self.probe)?;
        Some((spec, spec.events?.kinds.iter().find(|kind| kind.name == self.kind)?))
    }
}

/// Data of one kind of event of a process in an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventFrame {
    /// The kind.
    pub name: EventName,
    /// The thread, where threads are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    /// Numbers and stacks.
    pub stats: EventStats,
}

/// Numbers of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventStats {
    /// Counts and times.
    pub times: CallStats,
    /// Stacks of a sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackCount>,
}

impl EventStats {
    /// Adds another interval, or another thread.
    pub fn merge(&mut self, other: &Self) {
        self.times.merge(&other.times);
        merge_stacks(&mut self.stacks, &other.stacks);
    }
}

impl From<CallStats> for EventStats {
    fn from(times: CallStats) -> Self {
        Self { times, stacks: Vec::new() }
    }
}

impl Process {
    /// Events of a probe, all threads together, in the order of the probe's kinds.
    #[must_use]
    pub fn events_of(&self, probe: &str) -> Vec<(EventName, EventStats)> {
        let mut kinds: Vec<(EventName, EventStats)> = Vec::new();
        for ((name, _), stats) in self.events.iter().filter(|((name, _), _)| name.probe == probe) {
            match kinds.last_mut().filter(|(last, _)| last == name) {
                Some((_, known)) => known.merge(stats),
                None => kinds.push((name.clone(), stats.clone())),
            }
        }
        let place = |name: &EventName| {
            let table = probes::find(probe).and_then(|spec| spec.events);
            table.map_or(&[][..], |table| table.kinds).iter().position(|kind| kind.name == name.kind)
        };
        kinds.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        kinds
    }

    /// Time on a CPU outside of system calls that events took, where a probe counts such events.
    #[must_use]
    pub fn events_in_user_time_ns(&self) -> u64 {
        let in_user_time = |name: &EventName| name.described().is_some_and(|(_, kind)| kind.in_user_time);
        let events = self.events.iter().filter(|((name, _), _)| in_user_time(name));
        events.map(|(_, stats)| stats.times.on_cpu_ns()).sum()
    }
}
