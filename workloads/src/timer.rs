//! Length of a tick of the processor's clock in nanoseconds, and the cost of reading it.

use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::contract::now_ns;
use crate::hist::LatencyHist;
use crate::sys::tsc;

/// Both ends of a calibration are read as often, and the tightest reading counts.
const READINGS: usize = 16;
const CALIBRATION: Duration = Duration::from_millis(50);
const COST_SAMPLES: usize = 20_000;

/// The clock, as found on this machine.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timer {
    /// Name of a unit: cycles, ticks or ns.
    pub unit: &'static str,
    /// Nanoseconds of one unit.
    pub ns_per_unit: f64,
    /// True when it runs at one speed in all states of the processor.
    pub invariant: bool,
    /// Cost of an empty measurement, contained in every time reported.
    pub cost_min: u64,
    /// Median cost of an empty measurement.
    pub cost_p50: u64,
    /// Its 99th percentile.
    pub cost_p99: u64,
}

impl Timer {
    /// Measures both clocks against each other (50 ms), and what a reading costs.
    #[must_use]
    pub fn calibrate() -> Self {
        let mut cost = LatencyHist::new();
        for _ in 0..COST_SAMPLES {
            let begin = tsc::begin();
            cost.record(tsc::end().saturating_sub(begin));
        }
        let quantile = |q| cost.quantile(q).unwrap_or(0);
        Self {
            unit: tsc::UNIT,
            ns_per_unit: ns_per_unit(),
            invariant: tsc::invariant(),
            cost_min: cost.min().unwrap_or(0),
            cost_p50: quantile(0.5),
            cost_p99: quantile(0.99),
        }
    }

    /// So many units in nanoseconds.
    #[must_use]
    pub fn ns(&self, units: u64) -> f64 {
        units as f64 * self.ns_per_unit
    }
}

fn ns_per_unit() -> f64 {
    let (start_ns, start) = both();
    thread::sleep(CALIBRATION);
    let (end_ns, end) = both();
    (end_ns - start_ns) as f64 / end.saturating_sub(start).max(1) as f64
}

/// Both clocks at one moment: of several tries, the one in which the least time passed between the two readings.
fn both() -> (u64, u64) {
    let reading = || {
        let before = tsc::begin();
        let ns = now_ns();
        (tsc::end().saturating_sub(before), ns, before)
    };
    let tightest = (0..READINGS).map(|_| reading()).min();
    tightest.map_or((0, 0), |(width, ns, before)| (ns, before + width / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_has_the_same_length_on_both_clocks() {
        let timer = Timer::calibrate();
        let (start_ns, start) = both();
        thread::sleep(Duration::from_millis(20));
        let (end_ns, end) = both();
        let ratio = timer.ns(end - start) / (end_ns - start_ns) as f64;
        assert!((0.98..1.02).contains(&ratio), "{ratio}");
        assert!(timer.cost_min <= timer.cost_p50 && timer.cost_p50 <= timer.cost_p99);
    }
}
