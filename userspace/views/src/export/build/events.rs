//! Export of events.

use model::{
    events::{EventName, EventStats},
    probes::with_events,
    session::Process,
};

use super::{distribution, locks::stacks};
use crate::export::json::{Event, Lean, Unit};

/// Events of a process, probe by probe, in the order of their kinds.
pub fn events(process: &Process) -> Vec<Event> {
    with_events().flat_map(|(spec, _)| process.events_of(spec.name)).map(event).collect()
}

fn event((name, stats): (EventName, EventStats)) -> Event {
    let times = &stats.times;
    Event {
        meaning: name.described().map_or_else(String::new, |(_, kind)| kind.meaning.to_owned()),
        probe: name.probe,
        kind: name.kind,
        count: times.count(),
        time: distribution(&times.latency, Unit::Ns),
        lean: Lean { count: times.lean.count, sum_ns: times.lean.sum_ns, max_ns: times.lean.max_ns },
        blocked_ns: times.blocked_ns,
        queued_ns: times.queued_ns,
        stacks: stacks(&stats.stacks),
    }
}
