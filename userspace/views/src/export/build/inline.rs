//! Mutexes as counters inside of a process saw them.

use model::inline::{self, InlineKind};

use super::hist::distribution;
use crate::export::json::{Inline, InlineCost, Unit};

/// All mutexes of one kind.
pub fn inline(kind: InlineKind, seen: &inline::Inline) -> Inline {
    let stats = &seen.stats;
    let spins = kind == InlineKind::Adaptive;
    Inline {
        kind: kind.name().to_owned(),
        generation: seen.generation.clone(),
        acquisitions: stats.acquisitions,
        contended: stats.contended,
        gave_up_spinning: spins.then_some(stats.gave_up),
        went_to_kernel: stats.went_to_kernel,
        spin_count: spins.then(|| distribution(&stats.spins, Unit::Count)),
    }
}

/// Cost of the counters inside of processes.
pub fn cost(cost: &inline::InlineCost) -> InlineCost {
    let &inline::InlineCost { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone } = cost;
    InlineCost { put_in_ns, taken_out_ns, programs, late, late_cpu_ns, left_alone }
}
