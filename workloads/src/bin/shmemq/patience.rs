//! One side's wait for the other: it tries again at once, as the busy loop of a spinning benchmark does, but not for
//! ever.

use std::thread::yield_now;
use std::time::Duration;

use pulse_trace_workloads::contract::{now_ns, stopping};

use crate::locks::Stop;

/// A wait shorter than this is not worth a yield, however many attempts it took: those without a lock cost next to
/// nothing.
const WORTH_A_YIELD_NS: u64 = 20_000;
/// Attempts in vain before a yield, once yielding has proved to be what the other side was waiting for.
const EAGER: u32 = 50;

/// Counts attempts in vain; now and then lets others run and looks whether to go on at all.
///
/// Two sides on one CPU can only take turns: then every attempt before the yield is lost time. It shows in that the
/// first attempt after a yield succeeds, so the next wait yields early, until a yield has been of no use again.
#[derive(Debug)]
pub struct Patience {
    per_yield: u32,
    timeout_ns: u64,
    worth_a_yield_ns: u64,
    eager: bool,
    left: u32,
    since: Option<u64>,
    yields: u64,
}

impl Patience {
    /// Yields after so many attempts in vain in a row, and gives up after the time without progress.
    pub fn new(per_yield: u32, timeout: Duration) -> Self {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self {
            per_yield,
            timeout_ns,
            worth_a_yield_ns: WORTH_A_YIELD_NS,
            eager: false,
            left: per_yield,
            since: None,
            yields: 0,
        }
    }

    /// Repeats an attempt until it succeeds.
    #[inline]
    pub fn insist(&mut self, mut attempt: impl FnMut() -> Result<bool, Stop>) -> Result<(), Stop> {
        self.left = if self.eager { self.per_yield.min(EAGER) } else { self.per_yield };
        self.since = None;
        while !attempt()? {
            self.left -= 1;
            if self.left == 0 && self.rest()? {
                self.eager = attempt()?;
                if self.eager {
                    break;
                }
            }
        }
        Ok(())
    }

    /// `sched_yield` calls so far.
    pub fn yields(&self) -> u64 {
        self.yields
    }

    /// Looks whether to go on, and lets others run if it is time; answers whether it did.
    #[cold]
    fn rest(&mut self) -> Result<bool, Stop> {
        self.left = self.per_yield;
        if stopping() {
            return Err(Stop::Asked);
        }
        let now = now_ns();
        let waited = now - *self.since.get_or_insert(now);
        if waited > self.timeout_ns {
            return Err(Stop::Stalled);
        }
        if waited < self.worth_a_yield_ns && !self.eager {
            return Ok(false);
        }
        self.yields += 1;
        yield_now();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields until an attempt with this number succeeds.
    fn yields(patience: &mut Patience, success: u32) -> u64 {
        let before = patience.yields;
        let mut attempts = 0;
        let mut attempt = || {
            attempts += 1;
            Ok(attempts == success)
        };
        patience.insist(&mut attempt).unwrap();
        patience.yields - before
    }

    #[test]
    fn it_yields_now_and_then_and_early_when_that_has_helped() {
        let mut patience = Patience::new(1_000, Duration::from_secs(60));
        patience.worth_a_yield_ns = 0;
        assert_eq!(yields(&mut patience, 999), 0);
        assert_eq!(yields(&mut patience, 2_500), 2);
        // The first attempt after the yield succeeds: the sides take turns.
        assert_eq!(yields(&mut patience, 1_001), 1);
        assert_eq!(yields(&mut patience, EAGER + 1), 1);
        // That it came later says that the other side was running anyway.
        assert_eq!(yields(&mut patience, EAGER + 2), 1);
        assert_eq!(yields(&mut patience, 999), 0);
    }

    #[test]
    fn many_attempts_in_no_time_are_no_reason_to_yield() {
        let mut patience = Patience::new(10, Duration::from_secs(60));
        patience.worth_a_yield_ns = u64::MAX;
        assert_eq!(yields(&mut patience, 10_000), 0);
    }

    #[test]
    fn no_progress_ends_it_too() {
        let mut patience = Patience::new(1, Duration::from_millis(1));
        assert!(matches!(patience.insist(|| Ok(false)), Err(Stop::Stalled)));
    }
}
