//! Runs of programs that the kernel left out, and the calls that may be missing because of it.

use model::frame::{Ledger, ProgramCost};

/// Runs that were left out, since the session began.
#[derive(Debug, Default)]
pub struct Misses {
    entries: u64,
    exits: u64,
    /// Calls of which only the end was left out: the next call of their thread has shown them.
    unmatched_entries: u64,
    /// Calls that the ledger has as lost.
    lost: u64,
}

impl Misses {
    /// Books what an interval's programs have missed. A call that lost both ends left no trace: there are at most as
    /// many as runs at the beginning of calls, and as at their end, that no other call explains. (Calls that seccomp
    /// refuses have no beginning, too: they explain nothing.)
    pub fn book(&mut self, programs: &[ProgramCost], ledger: &mut Ledger) {
        let of = |prefix: &str| {
            programs.iter().filter(|it| it.name.starts_with(prefix)).map(|it| it.missed).sum::<u64>()
        };
        self.entries += of("syscalls_enter");
        self.exits += of("syscalls_exit");
        self.unmatched_entries += ledger.degraded.get("unmatched_entry").copied().unwrap_or(0);
        let lost = self.entries.min(self.exits.saturating_sub(self.unmatched_entries));
        let new = lost.saturating_sub(self.lost);
        self.lost += new;
        let runs = of("").saturating_sub(2 * new);
        for (book, name, count) in
            [(&mut ledger.lost, "calls_left_out", new), (&mut ledger.degraded, "recursion_misses", runs)]
        {
            if count > 0 {
                *book.entry(name.to_owned()).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(
        misses: &mut Misses,
        (entries, exits, switches): (u64, u64, u64),
        unmatched: u64,
    ) -> (u64, u64) {
        let program = |(name, missed): (&str, u64)| ProgramCost {
            name: name.to_owned(),
            events: None,
            run_ns: None,
            missed,
        };
        let programs =
            [("syscalls_enter_raw", entries), ("syscalls_exit", exits), ("sched_switch", switches)];
        let mut ledger = Ledger::default();
        ledger.degraded.insert("unmatched_entry".to_owned(), unmatched);
        misses.book(&programs.map(program), &mut ledger);
        let count =
            |book: &std::collections::BTreeMap<String, u64>, name| book.get(name).copied().unwrap_or(0);
        (count(&ledger.lost, "calls_left_out"), count(&ledger.degraded, "recursion_misses"))
    }

    #[test]
    fn calls_that_may_have_lost_both_ends_are_lost_and_those_that_lost_one_are_not() {
        assert_eq!(booked(&mut Misses::default(), (0, 0, 0), 0), (0, 0));
        assert_eq!(booked(&mut Misses::default(), (5, 0, 2), 0), (0, 7));
        assert_eq!(booked(&mut Misses::default(), (0, 5, 0), 5), (0, 5));
        assert_eq!(booked(&mut Misses::default(), (3, 5, 0), 4), (1, 6));
        assert_eq!(booked(&mut Misses::default(), (3, 5, 1), 0), (3, 3));
    }

    #[test]
    fn a_call_that_lost_its_ends_in_two_intervals_is_lost_too() {
        let mut misses = Misses::default();
        assert_eq!(booked(&mut misses, (1, 0, 0), 0), (0, 1));
        assert_eq!(booked(&mut misses, (0, 1, 0), 0), (1, 0));
        // One that was shown later is not taken back, and explains the next.
        assert_eq!(booked(&mut misses, (1, 1, 0), 1), (0, 2));
    }
}
