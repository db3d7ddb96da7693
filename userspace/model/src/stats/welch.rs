//! The test of Welch, which does not take for granted that both variants vary alike.

use super::{Estimate, Grain, student};

/// Difference of two means: its standard error, and the degrees of freedom that this is known with.
#[derive(Clone, Copy, Debug)]
pub struct Welch {
    /// Standard error of the difference.
    pub error: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// Reach of what the rounds cannot show: half of a bucket of either.
    pub slack: f64,
}

impl Welch {
    /// `None` where one of the two has a single round.
    pub fn new(first: &Estimate, second: &Estimate, grain: Grain) -> Option<Self> {
        if first.rounds < 2 || second.rounds < 2 {
            return None;
        }
        let share = |it: &Estimate| (it.deviation.powi(2) + grain.variance(it.mean)) / it.rounds as f64;
        let (left, right) = (share(first), share(second));
        let spread = |share: f64, it: &Estimate| share.powi(2) / (it.rounds - 1) as f64;
        let below = spread(left, first) + spread(right, second);
        let whole = (first.rounds + second.rounds - 2) as f64;
        let degrees = if below > 0.0 { (left + right).powi(2) / below } else { whole };
        let slack = grain.share * (first.mean.abs() + second.mean.abs());
        Some(Self { error: (left + right).sqrt(), degrees, slack })
    }

    /// Probability with which chance brings a difference of this size or more, either way.
    pub fn two_sided(self, size: f64) -> f64 {
        let size = size.abs() - self.slack;
        if size <= 0.0 {
            return 1.0;
        }
        student::two_sided(size / self.error, self.degrees)
    }

    /// Size that chance exceeds with this probability only.
    pub fn reach(self, probability: f64) -> f64 {
        if self.error == 0.0 {
            return self.slack;
        }
        student::critical(probability, self.degrees) * self.error + self.slack
    }
}

#[cfg(test)]
mod tests {
    use statrs::{
        distribution::{ContinuousCDF as _, StudentsT},
        statistics::Statistics as _,
    };

    use super::{
        super::{estimate, luck::Luck},
        *,
    };

    /// Means, variances and the distribution from another implementation; the rest of the formula written out again.
    #[test]
    fn the_test_is_that_of_statrs_for_unequal_rounds_and_spreads() {
        let mut luck = Luck(11);
        for (first, second, spread) in [(2, 2, 1.0), (3, 5, 0.1), (5, 5, 30.0), (12, 4, 3.0), (40, 25, 1.0)] {
            let from: Vec<f64> = (0..first).map(|_| 100.0 + luck.normal()).collect();
            let to: Vec<f64> = (0..second).map(|_| 101.0 + spread * luck.normal()).collect();
            let of = |values: &[f64]| estimate(values, Grain::EXACT).unwrap();
            let ours = Welch::new(&of(&from), &of(&to), Grain::EXACT).unwrap();
            let share = |values: &[f64]| values.variance() / values.len() as f64;
            let (left, right) = (share(&from), share(&to));
            let part = |share: f64, count: usize| share * share / (count as f64 - 1.0);
            let degrees = (left + right).powi(2) / (part(left, first) + part(right, second));
            let size = (&to).mean() - (&from).mean();
            let theirs = StudentsT::new(0.0, 1.0, degrees).unwrap();
            let expected = 2.0 * theirs.sf(size.abs() / (left + right).sqrt());
            assert!((ours.degrees - degrees).abs() < 1e-6 * degrees, "{ours:?} {degrees}");
            assert!((ours.two_sided(size) - expected).abs() < 1e-6, "{ours:?} {size} {expected}");
            let reach = theirs.inverse_cdf(0.975) * (left + right).sqrt();
            assert!((ours.reach(0.05) - reach).abs() < 1e-5 * reach, "{ours:?} {reach}");
        }
    }
}
