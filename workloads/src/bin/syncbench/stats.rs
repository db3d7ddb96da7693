//! Statistics of samples: robust location, spread, outliers, and intervals by bootstrap.
//!
//! Samples of one run follow each other on a machine whose state drifts, so they are not independent, and a plain
//! bootstrap would be too sure. Two remedies: whole blocks of neighbouring samples are drawn (circular block
//! bootstrap), and where there are several rounds, rounds are drawn first and blocks within them after.

use serde::{Deserialize, Serialize};

/// A small generator of known quality (SplitMix64); the bootstrap needs no more.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        // The high half of the product is uniform but for a bias of bound / 2^64.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// The median; NaN of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    let len = values.len();
    if len == 0 {
        return f64::NAN;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(len / 2, f64::total_cmp);
    if len % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

/// The value at a share of the way through sorted values, interpolated.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

/// An interval of a stated confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Statistics of a benchmark's samples, in ns per operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub median: f64,
    pub interval: Interval,
    pub mean: f64,
    pub std_dev: f64,
    pub min: f64,
    pub max: f64,
    /// Samples below and above Tukey's inner fences: told, not removed.
    pub outliers_low: usize,
    pub outliers_high: usize,
    /// Distance of the rounds' lowest and highest median, as a share of the median: noise from run to run.
    pub between_rounds: Option<f64>,
}

/// Parameters of the bootstrap intervals.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    pub resamples: u32,
    pub confidence: f64,
    pub seed: u64,
}

impl Bootstrap {
    /// The interval of the median of these rounds of samples.
    pub fn median(&self, rounds: &[Vec<f64>]) -> Interval {
        let mut rng = Rng::new(self.seed);
        let mut drawn = Vec::new();
        self.interval(|| {
            resample(rounds, &mut rng, &mut drawn);
            median(&mut drawn)
        })
    }

    /// The interval of the change of the median from `before` to `after`, as a share of `before`.
    pub fn change(&self, before: &[Vec<f64>], after: &[Vec<f64>]) -> Interval {
        let mut rng = Rng::new(self.seed);
        let mut drawn = Vec::new();
        self.interval(|| {
            resample(before, &mut rng, &mut drawn);
            let old = median(&mut drawn);
            resample(after, &mut rng, &mut drawn);
            median(&mut drawn) / old - 1.0
        })
    }

    fn interval(&self, mut draw: impl FnMut() -> f64) -> Interval {
        let mut medians: Vec<f64> = (0..self.resamples.max(1)).map(|_| draw()).collect();
        medians.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Interval { low: quantile(&medians, tail), high: quantile(&medians, 1.0 - tail) }
    }
}

/// Draws as many rounds as there are, and from each as many samples as it has, in blocks.
fn resample(rounds: &[Vec<f64>], rng: &mut Rng, drawn: &mut Vec<f64>) {
    drawn.clear();
    for _ in 0..rounds.len() {
        let round = &rounds[rng.below(rounds.len())];
        let block = block_length(round.len());
        let full = drawn.len() + round.len();
        while drawn.len() < full {
            let start = rng.below(round.len());
            let wanted = block.min(full - drawn.len());
            drawn.extend((start..start + wanted).map(|place| round[place % round.len()]));
        }
    }
}

/// The cube root is the length that keeps the bootstrap consistent for weakly dependent samples.
fn block_length(samples: usize) -> usize {
    (samples as f64).cbrt().ceil() as usize
}

/// Statistics of these rounds of samples; `None` if there is none, or an empty one.
pub fn summarise(rounds: &[Vec<f64>], bootstrap: &Bootstrap) -> Option<Summary> {
    if rounds.is_empty() || rounds.iter().any(Vec::is_empty) {
        return None;
    }
    let mut all: Vec<f64> = rounds.concat();
    all.sort_unstable_by(f64::total_cmp);
    let middle = quantile(&all, 0.5);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let squares: f64 = all.iter().map(|value| (value - mean).powi(2)).sum();
    let (low, high) = (quantile(&all, 0.25), quantile(&all, 0.75));
    let fence = 1.5 * (high - low);
    Some(Summary {
        median: middle,
        interval: bootstrap.median(rounds),
        mean,
        std_dev: (squares / (all.len() - 1).max(1) as f64).sqrt(),
        min: quantile(&all, 0.0),
        max: quantile(&all, 1.0),
        outliers_low: all.iter().filter(|value| **value < low - fence).count(),
        outliers_high: all.iter().filter(|value| **value > high + fence).count(),
        between_rounds: between_rounds(rounds, middle),
    })
}

/// Distance of the rounds' lowest and highest median, as a share of `middle`; unknown for a single round.
pub fn between_rounds(rounds: &[Vec<f64>], middle: f64) -> Option<f64> {
    if rounds.len() < 2 {
        return None;
    }
    let medians: Vec<f64> = rounds.iter().map(|round| median(&mut round.clone())).collect();
    let most = medians.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
    Some((most - least) / middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Bootstrap = Bootstrap { resamples: 2_000, confidence: 0.95, seed: 1 };

    fn noisy(centre: f64, count: usize, seed: u64) -> Vec<f64> {
        let mut rng = Rng::new(seed);
        (0..count).map(|_| centre * (0.95 + rng.below(1_001) as f64 / 10_000.0)).collect()
    }

    #[test]
    fn medians_of_odd_even_one_and_none() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn quantiles_interpolate() {
        let sorted = [0.0, 10.0, 20.0, 30.0];
        assert_eq!(quantile(&sorted, 0.0), 0.0);
        assert_eq!(quantile(&sorted, 0.5), 15.0);
        assert_eq!(quantile(&sorted, 1.0), 30.0);
    }

    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let held = (0..200)
            .filter(|seed| {
                let interval = USUAL.median(&[noisy(100.0, 100, *seed)]);
                (interval.low..=interval.high).contains(&100.0)
            })
            .count();
        // 95 % of 200 is 190; the block bootstrap of 100 samples is a little off, not much.
        assert!((175..=200).contains(&held), "{held} of 200");
    }

    #[test]
    fn rounds_that_disagree_widen_the_interval() {
        let agree = [noisy(100.0, 50, 1), noisy(100.0, 50, 2), noisy(100.0, 50, 3)];
        let disagree = [noisy(100.0, 50, 1), noisy(130.0, 50, 2), noisy(90.0, 50, 3)];
        let width = |rounds: &[Vec<f64>]| {
            let interval = USUAL.median(rounds);
            interval.high - interval.low
        };
        assert!(width(&disagree) > 5.0 * width(&agree));
        assert_eq!(between_rounds(&agree[..1], 100.0), None);
        assert!(between_rounds(&disagree, 100.0).unwrap() > 0.3);
    }

    #[test]
    fn a_change_is_found_and_equality_is_too() {
        let change = USUAL.change(&[noisy(100.0, 100, 1)], &[noisy(120.0, 100, 2)]);
        assert!(change.low > 0.15 && change.high < 0.25, "{change:?}");
        let none = USUAL.change(&[noisy(100.0, 100, 1)], &[noisy(100.0, 100, 2)]);
        assert!(none.low < 0.01 && none.high > -0.01, "{none:?}");
    }

    #[test]
    fn a_summary_tells_outliers_and_keeps_them() {
        let mut samples = noisy(100.0, 99, 1);
        samples.push(1_000.0);
        let summary = summarise(&[samples], &USUAL).unwrap();
        assert_eq!((summary.outliers_low, summary.outliers_high, summary.max), (0, 1, 1_000.0));
        assert!(summary.mean > 105.0 && summary.median < 103.0);
        assert!(summarise(&[], &USUAL).is_none() && summarise(&[Vec::new()], &USUAL).is_none());
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let rounds = [noisy(100.0, 40, 9)];
        assert_eq!(USUAL.median(&rounds), USUAL.median(&rounds));
    }
}
