//! Met or missed, slower or faster: and where the samples cannot tell, that.

use pulse_trace_workloads::patterns::Target;
use serde::Serialize;

use crate::stats::{Bootstrap, Interval, between_rounds, median};

/// A measured interval against a published target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    /// The whole interval lies below the target.
    Met,
    /// The whole interval lies at the target or above.
    Missed,
    /// The target lies in the interval, or it was missed on a machine too busy with other things to tell.
    Unsure,
    /// The target is about contention, and the parties hardly met: nothing was put to the test.
    Untested,
}

/// Under what conditions a benchmark was measured.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub parties: usize,
    /// Share of the lap that the parties were at work together; see `Lap::overlap`.
    pub overlap: f64,
    /// CPU time by elapsed time: near 1, the parties took turns on one CPU.
    pub cpus_used: f64,
    /// Share of the wanted CPU time that went to others; see [`crate::starved`].
    pub starved: f64,
    /// CPU time per operation.
    pub cpu_ns: f64,
}

impl Conditions {
    /// True when there was contention to speak of: together for most of the time, and on more than one CPU.
    fn parties_met(self) -> bool {
        self.parties < 2 || (self.overlap >= 0.8 && self.cpus_used >= 1.2)
    }

    /// True when a target can have been missed for no other reason than that strangers had the CPU.
    fn blame_strangers(self, target: &Target) -> bool {
        self.starved > 0.1 && self.cpu_ns < target.below_ns
    }
}

impl Aim {
    /// Judges a measured interval against a target.
    pub fn of(target: &Target, measured: Interval, conditions: Conditions) -> Self {
        if target.contended && !conditions.parties_met() {
            Self::Untested
        } else if measured.high < target.below_ns {
            Self::Met
        } else if measured.low >= target.below_ns && !conditions.blame_strangers(target) {
            Self::Missed
        } else {
            Self::Unsure
        }
    }

    /// The verdict, as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unsure => "unsure",
            Self::Untested => "untested",
        }
    }
}

/// Against an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// Slower beyond noise: a regression.
    Slower,
    /// No difference beyond noise.
    Same,
    /// Faster beyond noise.
    Faster,
}

impl Trend {
    fn of(change: Interval, noise: f64) -> Self {
        if change.low > noise {
            Self::Slower
        } else if (1.0 + change.high) * (1.0 + noise) < 1.0 {
            Self::Faster
        } else {
            Self::Same
        }
    }
}

/// A change and what it amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Of the median, as a share of the earlier one.
    pub change: f64,
    pub interval: Interval,
    /// Changes up to this share are noise: what the user allowed, or how far rounds of either run lay apart.
    pub noise: f64,
    pub trend: Trend,
}

impl Change {
    /// Compares rounds of samples with earlier ones.
    pub fn between(before: &[Vec<f64>], after: &[Vec<f64>], bootstrap: &Bootstrap, allowed: f64) -> Self {
        let (old, new) = (median(&mut before.concat()), median(&mut after.concat()));
        let spread = |rounds: &[Vec<f64>], middle| between_rounds(rounds, middle).unwrap_or(0.0);
        let noise = allowed.max(spread(before, old)).max(spread(after, new));
        let interval = bootstrap.change(before, after);
        Self { change: new / old - 1.0, interval, noise, trend: Trend::of(interval, noise) }
    }

    /// Compares laps with the one beside each: what disturbs one of a pair disturbs both.
    pub fn paired(before: &[Vec<f64>], after: &[Vec<f64>], bootstrap: &Bootstrap, allowed: f64) -> Self {
        let ratios = |(old, new): (&Vec<f64>, &Vec<f64>)| {
            old.iter().zip(new).map(|(old, new)| new / old).collect::<Vec<f64>>()
        };
        let rounds: Vec<Vec<f64>> = before.iter().zip(after).map(ratios).collect();
        let Interval { low, high } = bootstrap.median(&rounds);
        let interval = Interval { low: low - 1.0, high: high - 1.0 };
        let change = median(&mut rounds.concat()) - 1.0;
        Self { change, interval, noise: allowed, trend: Trend::of(interval, allowed) }
    }
}

#[cfg(test)]
mod tests {
    use pulse_trace_workloads::patterns::TARGETS;

    use super::*;

    const USUAL: Bootstrap = Bootstrap { resamples: 500, confidence: 0.95, seed: 1 };

    const ALONE: Conditions =
        Conditions { parties: 1, overlap: 1.0, cpus_used: 1.0, starved: 0.0, cpu_ns: 1.0 };

    #[test]
    fn a_busy_machine_is_not_held_against_an_operation() {
        let measured = Interval { low: 15.0, high: 16.0 };
        let verdict =
            |starved, cpu_ns| Aim::of(&TARGETS[0], measured, Conditions { starved, cpu_ns, ..ALONE });
        assert_eq!(verdict(0.6, 6.0), Aim::Unsure);
        assert_eq!(verdict(0.0, 6.0), Aim::Missed, "it slept, or waited for something else");
        assert_eq!(verdict(0.6, 15.0), Aim::Missed, "it takes that long on a CPU of its own");
    }

    fn steady(value: f64) -> Vec<f64> {
        (0..50).map(|nth| value * (1.0 + f64::from(nth % 5) / 1_000.0)).collect()
    }

    #[test]
    fn a_target_is_met_missed_or_undecided() {
        let target = TARGETS[0];
        let verdict = |low, high| Aim::of(&target, Interval { low, high }, ALONE);
        assert_eq!(verdict(1.0, 9.9), Aim::Met);
        assert_eq!(verdict(10.0, 11.0), Aim::Missed);
        assert_eq!(verdict(9.0, 10.0), Aim::Unsure);
    }

    #[test]
    fn without_contention_a_target_of_contention_is_not_met() {
        let target = TARGETS.iter().find(|target| target.contended).unwrap();
        let verdict = |overlap, cpus_used| {
            let conditions = Conditions { parties: 2, overlap, cpus_used, ..ALONE };
            Aim::of(target, Interval { low: 1.0, high: 2.0 }, conditions)
        };
        assert_eq!(verdict(0.95, 1.9), Aim::Met);
        assert_eq!(verdict(0.5, 1.9), Aim::Untested);
        assert_eq!(verdict(1.0, 1.0), Aim::Untested);
    }

    #[test]
    fn only_a_change_beyond_noise_counts() {
        let verdict = |new| Change::between(&[steady(100.0)], &[steady(new)], &USUAL, 0.1).trend;
        assert_eq!(verdict(105.0), Trend::Same);
        assert_eq!(verdict(125.0), Trend::Slower);
        assert_eq!(verdict(95.0), Trend::Same);
        assert_eq!(verdict(80.0), Trend::Faster);
    }

    #[test]
    fn pairs_tell_a_regression_from_a_drift() {
        // The machine gets four times as slow, and every seventh lap is interrupted.
        let drift = |factor: f64, phase: usize| -> Vec<f64> {
            let value = |nth: usize| 100.0 * factor * (1.0 + 3.0 * nth as f64 / 200.0);
            (0..200).map(|nth| value(nth) * if (nth + phase).is_multiple_of(7) { 5.0 } else { 1.0 }).collect()
        };
        let verdict = |factor| Change::paired(&[drift(1.0, 0)], &[drift(factor, 3)], &USUAL, 0.1);
        assert_eq!(verdict(1.0).trend, Trend::Same);
        let slower = verdict(1.3);
        assert_eq!(slower.trend, Trend::Slower);
        assert!((slower.change - 0.3).abs() < 1e-9, "{slower:?}");
        assert_eq!(verdict(0.7).trend, Trend::Faster);
    }

    #[test]
    fn rounds_that_lie_apart_are_noise() {
        let restless = [steady(100.0), steady(140.0), steady(90.0)];
        let change = Change::between(&restless, &[steady(125.0)], &USUAL, 0.1);
        assert_eq!(change.trend, Trend::Same);
        assert!(change.noise > 0.4);
    }
}
