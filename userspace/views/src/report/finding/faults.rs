//! Much of the wall time in page faults.

use model::{locks::StackCount, sched::Budget, session::Process, units};

use super::super::share::{percent, percent_words};

/// Page faults stand out from this share of the wall time, percent.
const FAULTS_OF_WALL: u64 = 10;

/// The share, the kind that took most of it, and the code that caused it; with the time.
pub fn clause(process: &Process, budget: &Budget) -> Option<(String, u64)> {
    let (faults, whole) = (budget.faults_ns, budget.parts_ns());
    if percent(faults, whole) < FAULTS_OF_WALL {
        return None;
    }
    let mut words = format!("in page faults for {} of its wall time", percent_words(faults, whole));
    let events = process.events_of("faults").into_iter();
    let in_user_time = events.filter(|(name, _)| name.described().is_some_and(|(_, kind)| kind.in_user_time));
    if let Some((name, stats)) = in_user_time.max_by_key(|(_, stats)| stats.times.on_cpu_ns()) {
        words += &format!(": {} of kind {}", units::grouped(stats.times.count()), name.kind);
        let often = stats.stacks.iter().max_by_key(|stack| stack.count);
        words += &often.and_then(origin).map(|frame| format!(", most from {frame}")).unwrap_or_default();
    }
    Some((words, faults))
}

/// The function in which a stack begins.
fn origin(stack: &StackCount) -> Option<&str> {
    stack.caller.as_deref().or_else(|| stack.frames.first().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use model::{
        events::{EventName, EventStats},
        frame::CallStats,
    };

    use super::*;

    #[test]
    fn the_kind_that_took_most_and_its_code_are_named_from_a_tenth_on() {
        let mut process = Process::default();
        for (kind, times, ns) in [("write", 1200, 2000), ("copy", 3, 1000), ("write in calls", 9000, 2000)] {
            let mut stats = CallStats::default();
            (0..times).for_each(|_| stats.latency.record(ns));
            let stack = |caller: &str, count| StackCount {
                frames: vec![caller.to_owned()],
                caller: Some(caller.to_owned()),
                cut: None,
                count,
            };
            let stacks = vec![stack("main", 1), stack("fill+0x12", 1199)];
            let name = EventName { probe: "faults".to_owned(), kind: kind.to_owned() };
            process.events.insert((name, None), EventStats { times: stats, stacks });
        }
        let of = |user_ns| clause(&process, &Budget { user_ns, faults_ns: 2_403_000, ..Budget::default() });
        let words = "in page faults for 44% of its wall time: 1,200 of kind write, most from fill+0x12";
        assert_eq!(of(3_000_000), Some((words.to_owned(), 2_403_000)));
        assert_eq!(of(30_000_000), None);
    }
}
