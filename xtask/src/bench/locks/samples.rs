//! Whether two samples may be of one distribution.

/// Chance of a false alarm.
pub const ALPHA: f64 = 0.01;
/// The quantile of the normal distribution that belongs to it.
const Z: f64 = 2.326;
/// Fewer than this many values of either sample are expected in no bucket of the test.
const LEAST: f64 = 5.0;

/// Pearson's test of two histograms with the same buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// Sum of the squared deviations over what was expected.
    pub chi_squared: f64,
    /// Buckets that could be used, less one.
    pub freedom: usize,
    /// What it exceeds by chance only once in `1 / ALPHA` times.
    pub limit: f64,
    /// Largest difference that the samples have in any set of buckets, 0 to 1.
    pub distance: f64,
}

impl Test {
    /// Compares them; `None` where there is too little.
    pub fn of(one: &[u64], other: &[u64]) -> Option<Self> {
        let (ones, others) = (total(one), total(other));
        let buckets = pooled(one, other);
        let freedom = buckets.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let mut chi_squared = 0.0;
        for (a, b) in &buckets {
            for (seen, all) in [(a, ones), (b, others)] {
                let expected = (a + b) * all / (ones + others);
                chi_squared += (seen - expected).powi(2) / expected;
            }
        }
        let apart = |(a, b): (&u64, &u64)| (*a as f64 / ones - *b as f64 / others).abs();
        let distance = one.iter().zip(other).map(apart).sum::<f64>() / 2.0;
        Some(Self { chi_squared, freedom, limit: limit(freedom), distance })
    }

    /// Whether chance may be all that they differ by.
    pub fn is_same(&self) -> bool {
        self.chi_squared <= self.limit
    }
}

fn total(sample: &[u64]) -> f64 {
    sample.iter().sum::<u64>() as f64
}

/// Neighbours together until each has enough; what is left at the end goes to the last.
fn pooled(one: &[u64], other: &[u64]) -> Vec<(f64, f64)> {
    let smaller = total(one).min(total(other)) / (total(one) + total(other));
    let mut buckets = Vec::new();
    let mut open = (0.0, 0.0);
    for (a, b) in one.iter().zip(other) {
        open = (open.0 + *a as f64, open.1 + *b as f64);
        if (open.0 + open.1) * smaller >= LEAST {
            buckets.push(std::mem::take(&mut open));
        }
    }
    if let Some(last) = buckets.last_mut() {
        *last = (last.0 + open.0, last.1 + open.1);
    }
    buckets
}

/// The quantile of the distribution that the sum has by chance, after Wilson and Hilferty.
fn limit(freedom: usize) -> f64 {
    let share = 2.0 / (9.0 * freedom as f64);
    freedom as f64 * (1.0 - share + Z * share.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_tables() {
        for (freedom, table) in [(1, 6.635), (5, 15.086), (10, 23.209), (30, 50.892)] {
            assert!((limit(freedom) / table - 1.0).abs() < 0.01, "{freedom}: {}", limit(freedom));
        }
    }

    #[test]
    fn the_same_is_the_same_and_another_is_another() {
        let sample = [100, 300, 50, 3, 0, 1];
        let double = sample.map(|count| 2 * count);
        let test = Test::of(&sample, &double).unwrap();
        assert!(test.is_same() && test.chi_squared < 1e-9 && test.distance < 1e-9, "{test:?}");
        let test = Test::of(&sample, &[200, 200, 50, 3, 0, 1]).unwrap();
        assert!(!test.is_same() && (test.distance - 100.0 / 454.0).abs() < 1e-9, "{test:?}");
    }

    #[test]
    fn what_is_too_little_is_not_judged() {
        assert_eq!(Test::of(&[3, 1], &[2, 2]), None);
        assert_eq!(Test::of(&[0, 0], &[0, 0]), None);
        assert_eq!(Test::of(&[900, 0], &[800, 0]), None);
    }
}
