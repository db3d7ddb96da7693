//! Performance counters of a synthetic session.

use super::{INTERVAL_NS, Shape, random::Random};
use crate::counters::{Counter, Counters, Reading, Tally};

/// Every second process has those of the one that it forked in its own. Of two, one runs where the processor shows its
/// counters and one where it does not; and numbers are the same in each interval.
pub fn process(shape: Shape, index: u32) -> Option<Counters> {
    if !index.is_multiple_of(2) {
        return None;
    }
    let mut random = Random(u64::from(index));
    let bare = index % 4 == 2;
    let switches = 1 + random.below(5000);
    let enabled_ns = INTERVAL_NS / 2 + random.below(INTERVAL_NS / 4);
    let tally = |counter| {
        let hardware = counter >= Counter::Cycles;
        let running_ns = if hardware && shape.lossy { enabled_ns / 8 * 5 } else { enabled_ns };
        let per_mille_of_cycles = match counter {
            Counter::StalledFrontend => 8,
            Counter::StalledBackend => 437,
            Counter::Instructions => 1413,
            Counter::Branches => 235,
            Counter::BranchMisses => 2,
            Counter::L1Loads => 722,
            Counter::L1LoadMisses => 6,
            Counter::LlcLoads => 4,
            Counter::LlcLoadMisses => 1,
            _ => 1000,
        };
        let count = match counter {
            Counter::TaskClock => enabled_ns,
            Counter::MinorFaults if bare && shape.lossy => {
                return Tally::Refused("the limit of open files is reached".to_owned());
            }
            Counter::ContextSwitches => switches,
            Counter::PageFaults => 2 * switches + 3,
            Counter::MinorFaults => 2 * switches,
            Counter::Migrations | Counter::MajorFaults => 3,
            _ if bare => return Tally::Unsupported("the processor has no such counter".to_owned()),
            Counter::LlcLoads | Counter::LlcLoadMisses if shape.lossy => {
                return Tally::Unsupported("this one it has not".to_owned());
            }
            _ => running_ns * 3 * per_mille_of_cycles / 1000,
        };
        Tally::Counted(Reading { count, enabled_ns, running_ns })
    };
    let tallies = Counter::ALL.into_iter().map(|counter| (counter, tally(counter))).collect();
    Some(Counters { with_children: index + 1 < shape.processes, tallies })
}
