//! Events by kind.

use super::{Shape, random::Random, stacks};
use crate::{
    events::{EventFrame, EventName, EventStats},
    frame::{CallStats, Lean},
    probes::with_events,
};

/// Events of a process in an interval: of every kind at first, then of some.
pub fn process(shape: Shape, index: u32, number: u32) -> Vec<EventFrame> {
    if !shape.events {
        return Vec::new();
    }
    let mut random = Random(u64::from(index) << 32 | u64::from(number) | 1 << 63);
    let mut events = Vec::new();
    for (spec, table) in with_events() {
        for kind in table.kinds {
            if number == 0 || random.below(3) > 0 {
                let name = EventName { probe: spec.name.to_owned(), kind: kind.name.to_owned() };
                events.push(EventFrame { name, thread: None, stats: stats(&mut random, shape) });
            }
        }
    }
    events
}

fn stats(random: &mut Random, shape: Shape) -> EventStats {
    let mut times = CallStats::default();
    for _ in 0..1 + random.below(60) {
        times.latency.record(300 + random.below(4000));
    }
    times.blocked_ns = times.latency.sum / 4;
    if shape.lossy && random.below(4) == 0 {
        times.lean = Lean { count: 3, sum_ns: 6000, max_ns: 4000, max_is_bound: false };
    }
    EventStats { times, stacks: stacks::mutex(random) }
}
