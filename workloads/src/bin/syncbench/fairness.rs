//! Fairness: how evenly parties that race divide the work among them.

use pulse_trace_workloads::patterns::Lap;
use serde::Serialize;

use crate::stats::median;

/// The verdict over all laps of a race. Each lap counts by itself: over many laps the winners change, and sums would
/// look fair where no single lap was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fairness {
    /// Operations per party over all laps.
    pub shares: Vec<u64>,
    /// Jain's index of the laps: 1 when all parties got as much, 1/n when one got everything.
    pub jain_median: f64,
    /// That of the least fair lap.
    pub jain_worst: f64,
    /// Median over the laps of the smallest share, in percent of an equal one.
    pub least_percent: f64,
    /// Most operations in a row by one party, in any lap.
    pub longest_streak: u64,
}

impl Fairness {
    /// The verdict over several rounds; `None` without a race.
    pub fn over<'a>(rounds: impl Iterator<Item = &'a Self> + Clone) -> Option<Self> {
        let mut shares = vec![0; rounds.clone().next()?.shares.len()];
        for round in rounds.clone() {
            shares.iter_mut().zip(&round.shares).for_each(|(sum, share)| *sum += share);
        }
        let middle = |of: fn(&Self) -> f64| median(&mut rounds.clone().map(of).collect::<Vec<_>>());
        Some(Self {
            shares,
            jain_median: middle(|round| round.jain_median),
            jain_worst: rounds.clone().map(|round| round.jain_worst).fold(1.0, f64::min),
            least_percent: middle(|round| round.least_percent),
            longest_streak: rounds.map(|round| round.longest_streak).max().unwrap_or(0),
        })
    }

    /// The verdict of one round; `None` without a race.
    pub fn of(laps: &[Lap]) -> Option<Self> {
        let parties = laps.first()?.shares.len();
        let mut sums = vec![0; parties];
        let (mut jains, mut leasts) = (Vec::new(), Vec::new());
        for lap in laps {
            let shares: Vec<u64> = lap.shares.iter().map(|share| share.operations).collect();
            jains.push(jain(&shares));
            leasts.push(least_percent(&shares));
            for (sum, share) in sums.iter_mut().zip(shares) {
                *sum += share;
            }
        }
        Some(Self {
            shares: sums,
            jain_worst: jains.iter().copied().fold(1.0, f64::min),
            jain_median: median(&mut jains),
            least_percent: median(&mut leasts),
            longest_streak: laps.iter().filter_map(|lap| lap.longest_streak).max().unwrap_or(0),
        })
    }
}

fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (squares * shares.len() as f64) }
}

fn least_percent(shares: &[u64]) -> f64 {
    let sum: u64 = shares.iter().sum();
    let least = shares.iter().min().copied().unwrap_or(0);
    if sum == 0 { 100.0 } else { 100.0 * least as f64 * shares.len() as f64 / sum as f64 }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use pulse_trace_workloads::patterns::Share;

    use super::*;

    fn lap(shares: &[u64], streak: u64) -> Lap {
        let now = Instant::now();
        let share = |&operations| Share { operations, began: now, ended: now };
        Lap { longest_streak: Some(streak), ..Lap::of(shares.iter().map(share).collect()) }
    }

    #[test]
    fn jain_is_one_for_equals_and_a_part_for_a_monopoly() {
        assert_eq!(jain(&[5, 5, 5, 5]), 1.0);
        assert_eq!(jain(&[8, 0]), 0.5);
        assert_eq!(jain(&[0, 0]), 1.0);
        assert!((jain(&[3, 1]) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn unfair_laps_do_not_add_up_to_a_fair_race() {
        let fairness = Fairness::of(&[lap(&[100, 0], 100), lap(&[0, 100], 100)]).unwrap();
        assert_eq!(fairness.shares, [100, 100]);
        assert_eq!((fairness.jain_median, fairness.least_percent), (0.5, 0.0));
        assert_eq!(fairness.longest_streak, 100);
        assert!(Fairness::of(&[]).is_none());
    }
}
