//! What the tool is meant to cost at most, and what it did cost.

use super::{
    Outcome,
    peers::{BPFTRACE, EMPTY, NOT_TRACED, SYSCOUNT, TRACED},
};

/// A goal and how it was met.
pub struct Goal {
    /// What is limited.
    pub what: String,
    /// The most it may be.
    pub limit: f64,
    /// What it was; `None` where it could not be measured.
    pub value: Option<f64>,
    /// Of what.
    pub unit: &'static str,
}

impl Goal {
    /// Whether it was met.
    pub fn is_met(&self) -> Option<bool> {
        self.value.map(|value| value <= self.limit)
    }

    /// In a word, and by how much where it was missed.
    pub fn verdict(&self) -> String {
        match (self.is_met(), self.value) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), Some(value)) if self.limit > 0.0 => {
                format!("**missed** by {:.0} %", (value / self.limit - 1.0) * 100.0)
            }
            (Some(false), _) => "**missed**".to_owned(),
            (None, _) => "not measured".to_owned(),
        }
    }
}

/// All goals.
pub fn judged(outcome: &Outcome) -> Vec<Goal> {
    let pair = outcome.net(TRACED).map(|spread| spread.median);
    let share = |peer| Some(pair? / outcome.net(peer)?.median);
    let goal = |what: &str, limit, value, unit| Goal { what: what.to_owned(), limit, value, unit };
    let (many, flood) = (&outcome.many, &outcome.flood);
    let missing = (flood.made - flood.counted.min(flood.made)) as f64;
    let is_flood = flood.per_second_running >= 1e6;
    let resident = [many.memory.resident, outcome.memory(TRACED).resident];
    let largest = resident.into_iter().max().unwrap_or(0);
    vec![
        goal("one traced call, entry and exit, net of an empty program", 125.0, pair, "ns"),
        goal("the same, as a share of bpftrace's", 0.35, share(BPFTRACE), ""),
        goal("the same, as a share of `syscount -P -L`'s", 0.6, share(SYSCOUNT), ""),
        goal(
            "a call of another process, per hook, net",
            35.0,
            outcome.net(NOT_TRACED).map(|spread| spread.median / 2.0),
            "ns",
        ),
        goal(
            &format!("calls lost at {:.2} million a second (1 is asked for)", flood.per_second_running / 1e6),
            0.0,
            is_flood.then_some(if flood.complete { missing } else { missing.max(1.0) }),
            "calls",
        ),
        goal("resident memory, 64 processes", 40.0, Some(megabytes(largest)), "MB"),
        goal(
            "kernel memory, 64 processes x 60 calls, 128 CPUs",
            64.0,
            Some(megabytes(many.notional.bytes())),
            "MB",
        ),
        goal("CPU of the tool, 64 processes, 1 s interval", 1.0, Some(many.cpu_share * 100.0), "% of a CPU"),
        goal(
            "first frame in a recording with `-i 100ms`, from the command",
            500.0,
            Some(outcome.first.frame_ms.median),
            "ms",
        ),
        goal("stripped binary", 12.0, Some(megabytes(outcome.binary_bytes)), "MB"),
    ]
}

/// Bytes as millions.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Whether a row is one of the tools, and not a yardstick.
pub fn is_tool(name: &str) -> bool {
    name != EMPTY && name != NOT_TRACED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_by_how_much() {
        let goal = |limit, value| Goal { what: String::new(), limit, value, unit: "" };
        assert_eq!(goal(100.0, Some(100.0)).verdict(), "met");
        assert_eq!(goal(100.0, Some(125.0)).verdict(), "**missed** by 25 %");
        assert_eq!(goal(0.0, Some(3.0)).verdict(), "**missed**");
        assert_eq!(goal(1.0, None).verdict(), "not measured");
    }
}
