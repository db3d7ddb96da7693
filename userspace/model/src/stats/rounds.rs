//! Rounds that are not like the others.

/// Rounds from which on a pattern among them means anything.
const FEWEST: usize = 5;
/// The normal distribution leaves 5 % outside of this.
const NORMAL: f64 = 1.96;
/// Tukey's fences stand so many times the middle half's width away from it.
const FENCE: f64 = 1.5;

/// Direction of a trend from round to round (Mann and Kendall): 1 if values rise, -1 if they fall, 0 where
/// they do neither.
#[must_use]
pub fn drifts(values: &[f64]) -> i8 {
    let rounds = values.len();
    if rounds < FEWEST {
        return 0;
    }
    let later = |nth: usize| values[nth + 1..].iter().map(move |later| (values[nth], *later));
    let pairs = (0..rounds).flat_map(later);
    let balance: i64 = pairs.map(|(first, later)| i64::from(later > first) - i64::from(later < first)).sum();
    let count = rounds as f64;
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    let beyond = (balance.abs() - 1) as f64 / deviation > NORMAL;
    if beyond { balance.signum() as i8 } else { 0 }
}

/// Numbers of the rounds that lie outside of Tukey's fences.
#[must_use]
pub fn outliers(values: &[f64]) -> Vec<usize> {
    if values.len() < FEWEST {
        return Vec::new();
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (quartile(&sorted, 0.25), quartile(&sorted, 0.75));
    let reach = FENCE * (high - low);
    let outside = |value: f64| value < low - reach || value > high + reach;
    (0..values.len()).filter(|nth| outside(values[*nth])).collect()
}

fn quartile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_goes_one_way() {
        assert_eq!(drifts(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1);
        assert_eq!(drifts(&[5.0, 4.0, 3.0, 2.0, 1.0]), -1);
        assert_eq!(drifts(&[1.0, 3.0, 2.0, 5.0, 4.0]), 0);
        assert_eq!(drifts(&[1.0; 9]), 0);
        assert_eq!(drifts(&[1.0, 2.0, 3.0]), 0);
    }

    #[test]
    fn an_outlier_is_named_by_its_round() {
        assert_eq!(outliers(&[10.0, 11.0, 10.5, 30.0, 10.2]), [3]);
        assert!(outliers(&[10.0, 11.0, 12.0, 13.0, 14.0]).is_empty());
        assert!(outliers(&[1.0, 100.0]).is_empty());
        assert!(outliers(&[3.0; 8]).is_empty());
    }
}
