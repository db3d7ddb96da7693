//! The measurements as data.

use serde_json::{Value, json};

use super::{super::spread::Spread, Outcome, goals, rounds::Round};

/// Everything as one object.
pub fn render(outcome: &Outcome) -> Value {
    let at = &outcome.circumstances;
    let (many, flood) = (&outcome.many, &outcome.flood);
    json!({
        "benchmark": "overhead",
        "date": at.date,
        "commit": at.commit,
        "kernel": at.kernel,
        "cpus": at.cpus,
        "load": [at.load.0, at.load.1],
        "took": at.took,
        "untraced_ns_per_call": outcome.untraced_ns(),
        "tools": outcome.rows.iter().map(|row| json!({
            "name": row.peer.name,
            "pair_net_ns": outcome.net(row.peer.name).map(spread),
            "rounds": row.rounds.iter().map(round).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "first_data_ms": {
            "attached": spread(outcome.first.attached_ms),
            "first_frame": spread(outcome.first.frame_ms),
        },
        "processes_64": {
            "cpu_percent": many.cpu_share * 100.0,
            "kinds_of_calls": many.kinds,
            "resident_bytes": many.memory.resident,
            "anonymous_bytes": many.memory.anonymous,
            "kernel_bytes": many.kernel_bytes,
            "notional_kernel_bytes": many.notional.bytes(),
        },
        "flood": {
            "calls_per_second": flood.per_second,
            "calls_per_second_running": flood.per_second_running,
            "made": flood.made,
            "counted": flood.counted,
            "ledger_complete": flood.complete,
        },
        "stripped_binary_bytes": outcome.binary_bytes,
        "goals": goals::judged(outcome).iter().map(|goal| json!({
            "what": goal.what,
            "limit": goal.limit,
            "value": goal.value,
            "unit": goal.unit,
            "met": goal.is_met(),
        })).collect::<Vec<_>>(),
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

fn round(round: &Round) -> Value {
    json!({
        "untraced_ns_per_call": round.untraced_ns,
        "traced_ns_per_call": round.traced_ns,
        "pair_ns": round.pair_ns,
        "foreign_share": round.foreign,
        "made": round.made,
        "counted": round.counted,
        "tool_ns_per_call": round.tool_ns,
        "resident_bytes": round.memory.resident,
        "anonymous_bytes": round.memory.anonymous,
        "map_bytes": round.map_bytes,
    })
}
