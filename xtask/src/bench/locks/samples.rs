//! Test of whether samples may be of one distribution, where neighbours in a sample have to do with each other.

/// Chance of a false alarm.
pub const ALPHA: f64 = 0.01;

/// The largest difference that two histograms with the same buckets have in any set of buckets, 0 to 1.
pub fn distance(one: &[u64], other: &[u64]) -> f64 {
    let total = |sample: &[u64]| sample.iter().sum::<u64>().max(1) as f64;
    let (ones, others) = (total(one), total(other));
    let apart = |(a, b): (&u64, &u64)| (*a as f64 / ones - *b as f64 / others).abs();
    one.iter().zip(other).map(apart).sum::<f64>() / 2.0
}

/// The least number of so many trials in which one of three alike is the odd one out that chance exceeds once in
/// `1 / ALPHA` times: more than this many, and it is not alike.
pub fn limit(trials: u32) -> u32 {
    let mut likely = (2.0_f64 / 3.0).powi(i32::try_from(trials).unwrap_or(i32::MAX));
    let (mut sum, mut odd) = (likely, 0);
    while 1.0 - sum > ALPHA {
        likely *= f64::from(trials - odd) / f64::from(odd + 1) / 2.0;
        odd += 1;
        sum += likely;
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_what_would_have_to_move() {
        let sample = [100, 300, 50, 3, 0, 1];
        assert!(distance(&sample, &sample.map(|count| 2 * count)) < 1e-9);
        assert!((distance(&sample, &[200, 200, 50, 3, 0, 1]) - 100.0 / 454.0).abs() < 1e-9);
        assert_eq!(distance(&[1, 0], &[0, 7]), 1.0);
        assert_eq!(distance(&[0, 0], &[0, 0]), 0.0);
    }

    /// Binomial distributions of one third, as tables have them.
    #[test]
    fn the_limit_is_what_chance_seldom_exceeds() {
        // P(5 of 5) = 0.0041, P(4 or 5 of 5) = 0.045; P(10 or more of 15) = 0.0085, P(9 or more) = 0.0308.
        assert_eq!(limit(5), 4);
        assert_eq!(limit(15), 9);
        // One trial proves nothing: it happens one time in three.
        assert_eq!(limit(1), 1);
    }
}
