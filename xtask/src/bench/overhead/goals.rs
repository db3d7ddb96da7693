//! Goals for the cost of the tool, and the measured cost.

use super::{
    Outcome, many,
    peers::{BPFTRACE, EMPTY, NOT_TRACED, SYSCOUNT, TRACED},
};

/// A goal and how it was met.
pub struct Goal {
    /// Name of the limited cost.
    pub what: String,
    /// The most it may be.
    pub limit: f64,
    /// The measured value; `None` where it could not be measured.
    pub value: Option<f64>,
    /// Unit of limit and value.
    pub unit: &'static str,
    /// Main part of the cost: the place to look at when it is too much.
    pub why: String,
}

impl Goal {
    /// True when it was met; `None` when it was not measured.
    pub fn is_met(&self) -> Option<bool> {
        self.value.map(|value| value <= self.limit)
    }

    /// In a word, and by how much where it was missed.
    pub fn verdict(&self) -> String {
        match (self.is_met(), self.value) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), Some(value)) if self.limit > 0.0 => {
                format!("**missed** by {:.0} %: {}", (value / self.limit - 1.0) * 100.0, self.why)
            }
            (Some(false), _) => format!("**missed**: {}", self.why),
            (None, _) => "not measured".to_owned(),
        }
    }
}

/// Judges all goals.
pub fn judged(outcome: &Outcome) -> Vec<Goal> {
    let mut goals = per_call(outcome);
    goals.extend(of_the_tool(outcome));
    goals
}

fn goal(what: &str, limit: f64, value: Option<f64>, unit: &'static str, why: &str) -> Goal {
    Goal { what: what.to_owned(), limit, value, unit, why: why.to_owned() }
}

fn per_call(outcome: &Outcome) -> Vec<Goal> {
    let pair = outcome.net(TRACED).map(|spread| spread.median);
    let share = |peer| Some(pair? / outcome.net(peer)?.median);
    let stranger = outcome.net(NOT_TRACED).map(|spread| spread.median / 2.0);
    let flood = &outcome.flood;
    let rate = flood.per_second_running / 1e6;
    let missing = (flood.made - flood.counted.min(flood.made)) as f64;
    let lost = (rate >= 1.0).then_some(if flood.complete { missing } else { missing.max(1.0) });
    let table = "it is one look at a table of thread ids, which a busy machine pushes out of its caches";
    vec![
        goal("one traced call, entry and exit, net of an empty program", 125.0, pair, "ns", CLOCK),
        goal("the same, as a share of bpftrace's", 0.35, share(BPFTRACE), "", CLOCK),
        goal("the same, as a share of `syscount -P -L`'s", 0.6, share(SYSCOUNT), "", CLOCK),
        goal("a call of another process, per hook, net", 35.0, stranger, "ns", table),
        goal(
            &format!("calls lost at {rate:.2} million a second (1 is asked for)"),
            0.0,
            lost,
            "calls",
            "the ledger of the session says which",
        ),
    ]
}

fn of_the_tool(outcome: &Outcome) -> Vec<Goal> {
    let many = &outcome.many;
    let resident = many.memory.resident.max(outcome.memory(TRACED).resident);
    let pairs = (many::PROCESSES * many.kinds).max(1) as f64;
    let maps = format!(
        "{:.1} MB of it are the program file, libraries and the BPF maps that the tool reads through memory: kernel \
         memory that is counted here a second time; --limit histograms=N makes it less",
        megabytes(many.memory.resident - many.memory.anonymous)
    );
    let drain = format!(
        "each of the {pairs:.0} pairs of a process and a call takes {:.1} us a second: its 1153 buckets are copied and \
         compared whenever one has changed",
        many.cpu_share * 1e6 / pairs
    );
    let notional = "64 processes x 60 calls, 128 CPUs";
    vec![
        goal("resident memory, 64 processes", 40.0, Some(megabytes(resident)), "MB", &maps),
        goal(
            &format!("kernel memory, {notional}"),
            64.0,
            Some(megabytes(many.notional.bytes())),
            "MB",
            "a table that grows on demand would be needed",
        ),
        goal(
            "CPU of the tool, 64 processes, 1 s interval",
            1.0,
            Some(many.cpu_share * 100.0),
            "% of a CPU",
            &drain,
        ),
        goal(
            "first frame in a recording with `-i 100ms`, from the command",
            500.0,
            Some(outcome.first.frame_ms.median),
            "ms",
            "100 ms are the frame; the rest is the kernel verifying and attaching the programs",
        ),
        goal(
            "stripped binary",
            12.0,
            Some(megabytes(outcome.binary_bytes)),
            "MB",
            "it is the packages that it is made of",
        ),
    ]
}

/// Reason that a pair of programs cannot cost nothing.
const CLOCK: &str = "two clock reads alone are about 90 ns on a virtual machine";

/// Bytes as millions.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// True when a row is one of the tools, and not a yardstick.
pub fn is_tool(name: &str) -> bool {
    name != EMPTY && name != NOT_TRACED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_by_how_much() {
        let goal = |limit, value| Goal { what: String::new(), limit, value, unit: "", why: "so".to_owned() };
        assert_eq!(goal(100.0, Some(100.0)).verdict(), "met");
        assert_eq!(goal(100.0, Some(125.0)).verdict(), "**missed** by 25 %: so");
        assert_eq!(goal(0.0, Some(3.0)).verdict(), "**missed**: so");
        assert_eq!(goal(1.0, None).verdict(), "not measured");
    }
}
