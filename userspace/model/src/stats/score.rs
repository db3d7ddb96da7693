//! Distance of two groups of rounds, for any division into groups.

use super::Grain;

/// Share of the rounds' variance that rounding of the sums may hide.
const ROUNDING: f64 = 1e-8;

/// Share of a number below which two of them differ by rounding.
const DIGITS: f64 = 1e-9;

/// Share of a score below which two of them are equal: sums are rounded.
const EQUAL: f64 = 1e-6;

/// Compares scores: true for one that is as extreme as the other or more so.
pub fn reaches(score: f64, other: f64) -> bool {
    score >= other - EQUAL * other.abs()
}

/// All rounds of one number, ready to be divided.
pub struct Score {
    centred: Vec<f64>,
    sum: f64,
    squares: f64,
    /// Variance within a group that is there even where its rounds agree.
    floor: f64,
    slack: f64,
}

impl Score {
    /// Of the rounds of the first variant, followed by those of the second.
    pub fn new(from: &[f64], to: &[f64], grain: Grain) -> Self {
        let count = (from.len() + to.len()) as f64;
        let all = || from.iter().chain(to);
        let centre = all().map(|value| value / count).sum::<f64>();
        let centred: Vec<f64> = all().map(|value| value - centre).collect();
        let squares = centred.iter().map(|value| value * value).sum::<f64>();
        Self {
            sum: centred.iter().sum(),
            squares,
            floor: grain.variance(centre) + ROUNDING * squares / count + (DIGITS * centre).powi(2),
            slack: 2.0 * grain.share * centre.abs(),
            centred,
        }
    }

    /// Mean of the rounds that are not chosen less that of those that are, and its standard error.
    fn difference(&self, chosen: &[usize]) -> (f64, f64) {
        let (first, second) = (chosen.len() as f64, (self.centred.len() - chosen.len()) as f64);
        let (mut sum, mut squares) = (0.0, 0.0);
        for round in chosen {
            let value = self.centred[*round];
            sum += value;
            squares += value * value;
        }
        let rest = self.sum - sum;
        let left = (squares - sum * sum / first) / (first - 1.0);
        let right = (self.squares - squares - rest * rest / second) / (second - 1.0);
        let variance = (left.max(0.0) + self.floor) / first + (right.max(0.0) + self.floor) / second;
        (rest / second - sum / first, variance.sqrt())
    }

    /// Size of the difference beyond the grain, in standard errors.
    pub fn two_sided(&self, chosen: &[usize]) -> f64 {
        let (difference, error) = self.difference(chosen);
        let beyond = difference.abs() - self.slack;
        if beyond > 0.0 { beyond / error } else { 0.0 }
    }

    /// Difference in the direction of `sign` beyond the grain, in standard errors; negative where it is not beyond.
    pub fn one_sided(&self, chosen: &[usize], sign: f64) -> f64 {
        let (difference, error) = self.difference(chosen);
        let beyond = sign * difference - self.slack;
        if beyond == 0.0 { 0.0 } else { beyond / error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_t_of_the_textbook() {
        let score =
            Score::new(&[10.0, 12.0, 11.0, 13.0, 14.0], &[20.0, 22.0, 21.0, 23.0, 24.0], Grain::EXACT);
        assert!((score.two_sided(&[0, 1, 2, 3, 4]) - 10.0).abs() < 1e-5);
        assert!((score.one_sided(&[5, 6, 7, 8, 9], 1.0) + 10.0).abs() < 1e-5);
        assert!((score.one_sided(&[5, 6, 7, 8, 9], -1.0) - 10.0).abs() < 1e-5);
    }

    #[test]
    fn what_lies_within_the_grain_has_no_size() {
        let within = Score::new(&[100.0; 4], &[102.0; 4], Grain { share: 0.01, step: 0.0 });
        assert_eq!(within.two_sided(&[0, 1, 2, 3]), 0.0);
        // One call more in every round: 1 / sqrt(1/12 * 2/4).
        let call = Score::new(&[7.0; 4], &[8.0; 4], Grain { share: 0.0, step: 1.0 });
        assert!((call.two_sided(&[0, 1, 2, 3]) - 24f64.sqrt()).abs() < 1e-6);
        assert_eq!(Score::new(&[7.0; 4], &[7.0; 4], Grain::EXACT).two_sided(&[0, 1, 2, 3]), 0.0);
    }
}
