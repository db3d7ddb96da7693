//! Whether a difference lies beyond a limit.

use super::{
    CONFIDENCE, Grain,
    score::Score,
    splits::{self, Splits},
};

/// Scores that differ by less are equal: sums are rounded.
const EQUAL: f64 = 1e-6;

/// A limit for a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// So much of the first variant.
    Share(f64),
    /// So much.
    Absolute(f64),
}

impl Bound {
    /// The first variant as it would be if the difference were exactly this.
    fn moved(self, value: f64) -> f64 {
        match self {
            Self::Share(share) => value + share * value.abs(),
            Self::Absolute(size) => value + size,
        }
    }
}

/// Answer of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The difference lies beyond the limit.
    Beyond,
    /// A difference at the limit is not excluded.
    Within,
    /// Too few rounds: no difference could be shown to lie beyond.
    Undecidable,
}

/// Whether the second variant lies beyond the first by more than a limit, with a one-sided test against a difference
/// that is exactly the limit. `tests` is the number of tests that share one error. `None` without values.
#[must_use]
pub fn gate(
    from: &[f64],
    to: &[f64],
    bound: Bound,
    above: bool,
    (grain, tests): (Grain, usize),
) -> Option<Gate> {
    if from.is_empty() || to.is_empty() || from.iter().chain(to).any(|value| !value.is_finite()) {
        return None;
    }
    let splits = Splits::new(from.len(), to.len());
    let allowed = allowed(&splits, tests);
    if allowed == 0 || from.len() < 2 || to.len() < 2 {
        return Some(Gate::Undecidable);
    }
    let sign = if above { 1.0 } else { -1.0 };
    let moved: Vec<f64> = from.iter().map(|value| sign * bound.moved(*value)).collect();
    let to: Vec<f64> = to.iter().map(|value| sign * value).collect();
    let score = Score::new(&moved, &to, grain);
    let own = score.one_sided(&splits.chosen[0]);
    let rest: Vec<usize> = (0..from.len() + to.len()).collect();
    let mirrored = |chosen: &[usize]| -> Vec<usize> {
        rest.iter().copied().filter(|round| !chosen.contains(round)).collect()
    };
    let reaches = |chosen: &[usize]| usize::from(score.one_sided(chosen) >= own - EQUAL * own.abs());
    let beyond: usize = splits
        .chosen
        .iter()
        .map(|chosen| reaches(chosen) + if splits.halved { reaches(&mirrored(chosen)) } else { 0 })
        .sum();
    Some(if own > 0.0 && beyond <= allowed { Gate::Beyond } else { Gate::Within })
}

/// Divisions that may be as extreme as the measured one, mirror images counted.
fn allowed(splits: &Splits, tests: usize) -> usize {
    let error = (1.0 - CONFIDENCE) / tests.max(1) as f64;
    splits.allowed(if splits.halved { 2.0 * error } else { error })
}

/// Rounds of each variant below which no gate can close.
#[must_use]
pub fn least_rounds_of_gates(tests: usize) -> usize {
    let error = (1.0 - CONFIDENCE) / tests.max(1) as f64;
    (2..).find(|rounds| 1.0 / splits::count(*rounds, *rounds) <= error * (1.0 + 1e-9)).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::{super::luck::Luck, *};

    fn above(from: &[f64], to: &[f64], bound: Bound) -> Option<Gate> {
        gate(from, to, bound, true, (Grain::EXACT, 1))
    }

    /// 3 rounds of each fall like this by chance in one of 20 cases, 2 in one of 6.
    #[test]
    fn a_limit_is_crossed_when_a_difference_of_its_size_is_excluded() {
        let (from, to) = ([100.0, 101.0, 99.0], [112.0, 125.0, 109.0]);
        assert_eq!(above(&from, &to, Bound::Share(0.05)), Some(Gate::Beyond));
        // 15 % more on average, and one of three below 10 %.
        assert_eq!(above(&from, &to, Bound::Share(0.1)), Some(Gate::Within));
        assert_eq!(above(&from, &to, Bound::Absolute(-5.0)), Some(Gate::Beyond));
        assert_eq!(gate(&to, &from, Bound::Absolute(-5.0), false, (Grain::EXACT, 1)), Some(Gate::Beyond));
        assert_eq!(gate(&to, &from, Bound::Absolute(-12.0), false, (Grain::EXACT, 1)), Some(Gate::Within));
    }

    #[test]
    fn a_limit_that_is_met_exactly_is_not_crossed() {
        for share in [0.07, 0.1, 0.3] {
            let (from, to) = ([0.1; 5], [0.1 + share * 0.1; 5]);
            assert_eq!(above(&from, &to, Bound::Share(share - 1e-6)), Some(Gate::Beyond), "{share}");
            assert_eq!(above(&from, &to, Bound::Share(share)), Some(Gate::Within), "{share}");
        }
    }

    #[test]
    fn too_few_rounds_close_no_gate() {
        assert_eq!(above(&[1.0, 1.0], &[9.0, 9.0], Bound::Share(0.1)), Some(Gate::Undecidable));
        assert_eq!(above(&[1.0], &[9.0; 30], Bound::Share(0.1)), Some(Gate::Undecidable));
        assert_eq!(above(&[], &[9.0], Bound::Share(0.1)), None);
        assert_eq!([1, 2, 12, 13].map(least_rounds_of_gates), [3, 4, 5, 6]);
        assert_eq!(
            gate(&[1.0; 3], &[9.0; 3], Bound::Share(0.1), true, (Grain::EXACT, 2)),
            Some(Gate::Undecidable)
        );
    }

    #[test]
    fn the_grain_of_a_quantile_closes_no_gate() {
        let grain = Grain { share: 1.0 / 64.0, step: 0.0 };
        let one = |to: f64| gate(&[100.0; 5], &[to; 5], Bound::Share(0.1), true, (grain, 1));
        assert_eq!((one(112.0), one(116.0)), (Some(Gate::Within), Some(Gate::Beyond)));
    }

    /// A program that is slower by exactly what is allowed.
    #[test]
    fn a_difference_that_is_the_limit_itself_crosses_it_in_at_most_one_case_of_twenty() {
        for rounds in [3, 5, 6] {
            let mut luck = Luck(rounds as u64);
            let mut crossed = 0;
            for _ in 0..400 {
                let mut variant =
                    |mean: f64| (0..rounds).map(|_| mean * luck.round(0.05)).collect::<Vec<f64>>();
                let (from, to) = (variant(1.0), variant(1.1));
                crossed += u32::from(above(&from, &to, Bound::Share(0.1)) == Some(Gate::Beyond));
            }
            // 20 expected; more than 40 or fewer than 4 by chance once in 20,000 times.
            assert!((4..=40).contains(&crossed), "{rounds} rounds: {crossed} of 400");
        }
    }

    #[test]
    fn a_difference_beyond_the_limit_is_found() {
        let mut luck = Luck(9);
        let mut variant = |mean: f64| (0..5).map(|_| mean * luck.round(0.01)).collect::<Vec<f64>>();
        let crossed = (0..100)
            .filter(|_| above(&variant(1.0), &variant(1.2), Bound::Share(0.1)) == Some(Gate::Beyond))
            .count();
        assert!(crossed >= 95, "{crossed}");
    }
}
