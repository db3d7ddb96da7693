//! Test of a difference against a limit.

use super::{
    Grain, error_of_each,
    score::{self, Score},
    splits::{self, Splits},
};

/// A limit for a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// So much of the first variant.
    Share(f64),
    /// A difference of this size, in the unit of the values.
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

/// Tests whether the second variant lies beyond the first by more than a limit: one-sided, against a difference that is
/// exactly the limit. `tests` is the number of tests that share one error. `None` without values.
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
    let sign = if above { 1.0 } else { -1.0 };
    // Mirror images count, too: to them the difference has the other sign.
    let signs: &[f64] = if splits.halved { &[sign, -sign] } else { &[sign] };
    let allowed = splits.allowed(error_of_each(tests) * signs.len() as f64);
    if allowed == 0 || from.len() < 2 || to.len() < 2 {
        return Some(Gate::Undecidable);
    }
    let moved: Vec<f64> = from.iter().map(|value| bound.moved(*value)).collect();
    let score = Score::new(&moved, to, grain);
    let own = score.one_sided(&splits.chosen[0], sign);
    let all = splits.chosen.iter().flat_map(|chosen| signs.iter().map(move |sign| (chosen, *sign)));
    let beyond = all.filter(|(chosen, sign)| score::reaches(score.one_sided(chosen, *sign), own)).count();
    Some(if own > 0.0 && beyond <= allowed { Gate::Beyond } else { Gate::Within })
}

/// Rounds of each variant below which no gate can close.
#[must_use]
pub fn least_rounds_of_gates(tests: usize) -> usize {
    splits::least_rounds(error_of_each(tests))
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

    /// Of equal variants, all ways to deal the same rounds out: one in twenty crosses a limit of zero,
    /// upwards as downwards.
    #[test]
    fn of_all_ways_to_deal_the_same_rounds_out_one_in_twenty_crosses() {
        let mut luck = Luck(23);
        for (first, second, allowed) in [(3, 3, 1), (4, 4, 3), (4, 5, 6), (5, 5, 12)] {
            let all: Vec<f64> = (0..first + second).map(|_| luck.normal()).collect();
            let crossing = |above: bool| {
                let ways = (0..1u32 << all.len()).filter(|way| way.count_ones() == first);
                let crosses = |way: &u32| {
                    let group = |side: u32| {
                        let of = (0..all.len()).filter(move |round| way >> round & 1 == side);
                        of.map(|round| all[round]).collect::<Vec<f64>>()
                    };
                    let test = (Grain::EXACT, 1);
                    gate(&group(1), &group(0), Bound::Absolute(0.0), above, test) == Some(Gate::Beyond)
                };
                ways.filter(crosses).count()
            };
            assert_eq!([true, false].map(crossing), [allowed; 2], "{first} and {second} rounds");
        }
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
