//! The ledger, and what the measurement cost.

use model::{frame, session};

use super::inline;
use crate::export::json::{CostBudget, Ledger, Overhead, Program};

/// A ledger, and how complete it is.
pub fn ledger(ledger: &frame::Ledger) -> Ledger {
    Ledger {
        counted: ledger.counted,
        events: ledger.events.clone(),
        lost: ledger.lost.clone(),
        censored: ledger.censored.clone(),
        degraded: ledger.degraded.clone(),
        complete: ledger.complete(),
        grade: ledger.grade().name().to_owned(),
        share_percent: ledger.grade().share().map(|share| share * 100.0),
        room: ledger.room.clone(),
    }
}

pub fn overhead(session: &session::Session) -> Overhead {
    let overhead = &session.overhead;
    let traps = overhead.traps.as_ref();
    let percent = |share: f64| share * 100.0;
    Overhead {
        programs: overhead
            .programs
            .iter()
            .map(|program| Program {
                name: program.name.clone(),
                events: program.events,
                ns_per_event: program.net_ns_per_event(overhead.empty_program_ns),
                cpu_percent: overhead.cpu_share(program).map(percent),
                missed: program.missed,
            })
            .collect(),
        cpu_percent: overhead.total_cpu_share(session.duration_ns).map(percent),
        target_calls_percent: overhead.calls_cpu_shares().map(|shares| percent(shares.0)),
        other_calls_percent: overhead.calls_cpu_shares().map(|shares| percent(shares.1)),
        measured_ns: overhead.measured_ns,
        empty_program_ns: overhead.empty_program_ns,
        tool_cpu_ns: overhead.tool_cpu_ns,
        tool_bytes: overhead.tool_bytes,
        kernel_bytes: overhead.kernel_bytes,
        uprobe_trap_ns: traps.map(|traps| traps.trap_ns),
        uprobe_hits: traps.map(|traps| traps.hits),
        uprobe_attached_ns: traps.map(|traps| traps.attached_ns),
        slowdown_estimate: traps.and_then(frame::Traps::slowdown).and_then(frame::Slowdown::factor),
        budget: traps.map(|traps| CostBudget {
            limit_percent: traps.budget_percent,
            detached_at_unix_ns: traps
                .detached_at_ns
                .map(|at_ns| session.header.start_unix_ns.saturating_add(at_ns)),
        }),
        hold_one_in: traps.and_then(|traps| traps.hold_one_in),
        inline: overhead.inline.as_ref().map(inline::cost),
    }
}
