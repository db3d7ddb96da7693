//! Limit of the cost of probes in targets' code, and whether they still keep to it.

/// A burst may take this much of the targets' CPU time in advance.
const AHEAD_NS: f64 = 200e6;

/// A share of the targets' CPU time that may go into traps.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Percent; `None` for any.
    percent: Option<f64>,
    /// CPU time that may still be spent, ns.
    credit_ns: f64,
}

impl Budget {
    /// One of so many percent; `None` for any.
    #[must_use]
    pub fn new(percent: Option<f64>) -> Self {
        Self { percent, credit_ns: percent.unwrap_or(0.0) / 100.0 * AHEAD_NS }
    }

    /// Percent; `None` for any.
    #[must_use]
    pub const fn percent(&self) -> Option<f64> {
        self.percent
    }

    /// Books what traps have cost while the targets had so much CPU time, that of the traps included. Whether that is
    /// more than may be.
    pub fn book(&mut self, cost_ns: f64, cpu_ns: u64) -> bool {
        let Some(percent) = self.percent else { return false };
        let share = percent / 100.0;
        self.credit_ns = (self.credit_ns + share * cpu_ns as f64).min(share * AHEAD_NS) - cost_ns;
        self.credit_ns < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_NS: u64 = 25_000_000;

    fn ticks_until_spent(budget: &mut Budget, share: f64) -> usize {
        (1..=1000).find(|_| budget.book(share * TICK_NS as f64, TICK_NS)).unwrap_or(usize::MAX)
    }

    #[test]
    fn what_costs_most_of_the_time_is_out_at_once_and_what_keeps_to_it_never() {
        assert_eq!(ticks_until_spent(&mut Budget::new(Some(5.0)), 0.7), 1);
        assert_eq!(ticks_until_spent(&mut Budget::new(Some(5.0)), 0.0499), usize::MAX);
        // A hundredth too much is 250 us per tick, of 8.5 ms that the first leaves.
        assert!((34..=36).contains(&ticks_until_spent(&mut Budget::new(Some(5.0)), 0.06)));
        assert_eq!(ticks_until_spent(&mut Budget::new(None), 0.9), usize::MAX);
    }

    #[test]
    fn long_quiet_does_not_pay_for_a_long_storm() {
        let mut budget = Budget::new(Some(5.0));
        assert!(!budget.book(0.0, 3_600_000_000_000));
        assert_eq!(ticks_until_spent(&mut budget, 0.7), 1);
    }

    #[test]
    fn nothing_is_to_be_had_for_nothing() {
        assert!(Budget::new(Some(0.0)).book(1.0, TICK_NS));
        assert!(!Budget::new(Some(0.0)).book(0.0, TICK_NS));
    }
}
