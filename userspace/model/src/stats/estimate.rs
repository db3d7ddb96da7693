//! Mean of the rounds of one variant.

use super::{CONFIDENCE, Grain, student};

/// Range in which the true value lies, with the confidence of [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Reports whether a value lies in it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// A mean over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean of the rounds.
    pub mean: f64,
    /// Standard deviation between the rounds.
    pub deviation: f64,
    /// Number of rounds.
    pub rounds: usize,
    /// Range in which the true mean lies; `None` with a single round, which says nothing about others.
    pub interval: Option<Interval>,
}

/// The mean of the rounds; `None` without any, and where one of them is no number. Rounds that agree to the grain
/// have an interval as wide as that hides.
#[must_use]
pub fn estimate(values: &[f64], grain: Grain) -> Option<Estimate> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let rounds = values.len();
    // Shifted first: equal values have exactly that mean, and exactly no deviation.
    let first = values[0];
    let mean = first + values.iter().map(|value| value - first).sum::<f64>() / rounds as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = if rounds > 1 { (squares / (rounds - 1) as f64).sqrt() } else { 0.0 };
    let interval = (rounds > 1).then(|| {
        let error = ((deviation.powi(2) + grain.variance(mean)) / rounds as f64).sqrt();
        let half =
            student::critical(1.0 - CONFIDENCE, (rounds - 1) as f64) * error + grain.share * mean.abs();
        Interval { low: mean - half, high: mean + half }
    });
    Some(Estimate { mean, deviation, rounds, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_that_of_the_textbook() {
        let found = estimate(&[10.0, 12.0, 11.0, 13.0, 14.0], Grain::EXACT).unwrap();
        assert_eq!((found.mean, found.rounds), (12.0, 5));
        let interval = found.interval.unwrap();
        assert!((interval.low - 10.0368).abs() < 1e-3 && (interval.high - 13.9632).abs() < 1e-3);
    }

    #[test]
    fn what_says_nothing_is_not_an_estimate() {
        assert_eq!(estimate(&[], Grain::EXACT), None);
        assert_eq!(estimate(&[1.0, f64::NAN], Grain::EXACT), None);
        assert_eq!(estimate(&[1.0, f64::INFINITY], Grain::EXACT), None);
        assert_eq!(estimate(&[7.0], Grain::EXACT).unwrap().interval, None);
        let same = estimate(&[0.1; 7], Grain::EXACT).unwrap();
        assert_eq!((same.mean, same.deviation), (0.1, 0.0));
    }
}
