//! Differences between the rounds of two variants, over all rows of a table.

use super::{
    CONFIDENCE, Estimate, Grain, Interval, error_of_each, estimate,
    score::{self, Score},
    splits::{self, MOST_ROUNDS, Splits},
    student,
    welch::Welch,
};

/// Share of the table's error that the primary numbers have among themselves.
const PRIMARY: f64 = 0.8;

/// Verdict on a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is one.
    Real,
    /// All rounds of both agree to the last digit.
    Same,
    /// It lies within what chance does.
    Undecided {
        /// Rounds of each variant, on top of those there are, after which it would probably be decided if it stays as
        /// it is; `None` where no reasonable number is enough.
        more_rounds: Option<usize>,
    },
    /// One of the two has a single round.
    Unknown,
}

/// A difference between two variants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The second less the first.
    pub absolute: f64,
    /// That, as a share of the first; `None` where the first is zero.
    pub relative: Option<f64>,
    /// Interval of the true difference; `None` where one has a single round.
    pub interval: Option<Interval>,
    /// Cliff's delta: how much more often a round of the second is above one of the first than below it, -1 to 1.
    pub delta: f64,
    /// Verdict of the table.
    pub verdict: Verdict,
}

/// The rounds of two variants for one row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Rounds of the first.
    pub from: &'a [f64],
    /// Rounds of the second.
    pub to: &'a [f64],
    /// Resolution of the number.
    pub grain: Grain,
    /// One of the few numbers that the comparison is about.
    pub primary: bool,
}

/// Differences of a table's rows, all of the same rounds; `None` where a variant has no value. `comparisons` is the
/// number of pairs of variants that share one error with this one.
#[must_use]
pub fn differences(pairs: &[Pair<'_>], comparisons: usize) -> Vec<Option<Difference>> {
    let estimates: Vec<Option<(Estimate, Estimate)>> = pairs
        .iter()
        .map(|pair| Some((estimate(pair.from, pair.grain)?, estimate(pair.to, pair.grain)?)))
        .collect();
    let level = Level::new(pairs, comparisons);
    let claimed = claimed(pairs, &estimates, level);
    let rows = pairs.iter().zip(&estimates).zip(claimed);
    rows.map(|((pair, estimates), claimed)| Some(judged(pair, (*estimates)?, claimed, level))).collect()
}

fn judged(pair: &Pair<'_>, (first, second): (Estimate, Estimate), claimed: bool, level: Level) -> Difference {
    let absolute = second.mean - first.mean;
    let welch = Welch::new(&first, &second, pair.grain);
    let interval = welch.map(|welch| {
        let half = welch.reach(1.0 - CONFIDENCE);
        Interval { low: absolute - half, high: absolute + half }
    });
    let verdict = match welch {
        None => Verdict::Unknown,
        Some(_) if agree(pair) => Verdict::Same,
        Some(_) if claimed => Verdict::Real,
        Some(_) => Verdict::Undecided { more_rounds: level.more_rounds(pair, &first, &second) },
    };
    Difference {
        absolute,
        relative: (first.mean != 0.0).then(|| absolute / first.mean.abs()),
        interval,
        delta: cliffs_delta(pair.from, pair.to),
        verdict,
    }
}

fn agree(pair: &Pair<'_>) -> bool {
    pair.from.iter().chain(pair.to).all(|value| *value == pair.from[0])
}

/// The error that a table may make, and what is left of it for a row.
#[derive(Clone, Copy)]
struct Level {
    error: f64,
    primary: f64,
    rest: f64,
}

impl Level {
    fn new(pairs: &[Pair<'_>], comparisons: usize) -> Self {
        let error = error_of_each(comparisons);
        let vary = |primary: bool| {
            let rows = pairs.iter().filter(|pair| pair.primary == primary && !pair.from.is_empty());
            rows.filter(|pair| !pair.to.is_empty() && !agree(pair)).count()
        };
        let (primary, rest) = (vary(true), vary(false));
        let shared = primary > 0 && rest > 0;
        let of = |share: f64, rows: usize| error * if shared { share } else { 1.0 } / rows.max(1) as f64;
        Self { error, primary: of(PRIMARY, primary), rest: of(1.0 - PRIMARY, rest) }
    }

    fn of(self, pair: &Pair<'_>) -> f64 {
        if pair.primary { self.primary } else { self.rest }
    }

    fn more_rounds(self, pair: &Pair<'_>, first: &Estimate, second: &Estimate) -> Option<usize> {
        let size = second.mean - first.mean;
        let decided = |rounds: usize| {
            let (first, second) = (Estimate { rounds, ..*first }, Estimate { rounds, ..*second });
            let welch = Welch::new(&first, &second, pair.grain);
            welch.is_some_and(|welch| welch.two_sided(size) < self.of(pair))
        };
        let have = first.rounds.min(second.rounds);
        let (mut low, mut high) = (have, MOST_ROUNDS);
        if !decided(high) {
            return None;
        }
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            if decided(middle) { high = middle } else { low = middle }
        }
        Some(high.max(splits::least_rounds(self.error / 2.0)) - have)
    }
}

/// Rounds of each variant below which no verdict is possible: equal variants would be dealt out like this too often.
/// `comparisons` is the number of pairs of variants that share one error.
#[must_use]
pub fn least_rounds(comparisons: usize) -> usize {
    splits::least_rounds(error_of_each(comparisons) / 2.0)
}

/// Rows whose difference chance brings to a table too rarely. The rounds are dealt out anew in all possible ways, every
/// row alike, and each time the row that stands out most is what chance could have claimed. A row stands out by its t,
/// measured by what its own family would need by itself, so that the few primary rows do not pay for the many others.
fn claimed(pairs: &[Pair<'_>], estimates: &[Option<(Estimate, Estimate)>], level: Level) -> Vec<bool> {
    let mut claimed = vec![false; pairs.len()];
    let rounds = estimates.iter().flatten().map(|(first, second)| (first.rounds, second.rounds)).next();
    let Some((first, second)) = rounds.filter(|(first, second)| *first > 1 && *second > 1) else {
        return claimed;
    };
    let splits = Splits::new(first, second);
    let allowed = splits.allowed(level.error);
    if allowed == 0 {
        return claimed;
    }
    let degrees = (first + second - 2) as f64;
    let [primary, rest] = [level.primary, level.rest].map(|error| student::critical(error, degrees));
    let rows: Vec<(usize, Score, f64)> = (0..pairs.len())
        .filter(|nth| {
            estimates[*nth].is_some_and(|(one, other)| (one.rounds, other.rounds) == (first, second))
        })
        .filter(|nth| !agree(&pairs[*nth]))
        .map(|nth| {
            let pair = &pairs[nth];
            let needed = if pair.primary { primary } else { rest };
            (nth, Score::new(pair.from, pair.to, pair.grain), needed)
        })
        .collect();
    let most = |chosen: &Vec<usize>| {
        rows.iter().map(|(_, score, needed)| score.two_sided(chosen) / needed).fold(0.0, f64::max)
    };
    let mut extremes: Vec<f64> = splits.chosen.iter().map(most).collect();
    extremes.sort_by(|one, other| other.total_cmp(one));
    for (nth, score, needed) in &rows {
        let own = score.two_sided(&splits.chosen[0]) / needed;
        let beyond = extremes.partition_point(|extreme| score::reaches(*extreme, own));
        claimed[*nth] = own > 0.0 && beyond <= allowed;
    }
    claimed
}

/// Cliff's delta: how much more often a value of the second is above one of the first than below it.
#[must_use]
pub fn cliffs_delta(from: &[f64], to: &[f64]) -> f64 {
    let pairs = from.iter().flat_map(|first| to.iter().map(move |second| (first, second)));
    let balance: i64 =
        pairs.map(|(first, second)| i64::from(second > first) - i64::from(second < first)).sum();
    let count = from.len() * to.len();
    if count == 0 { 0.0 } else { balance as f64 / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(from: &[f64], to: &[f64], grain: Grain) -> Option<Difference> {
        differences(&[Pair { from, to, grain, primary: false }], 1)[0]
    }

    #[test]
    fn a_known_difference_has_the_interval_of_the_textbook() {
        let (from, to) = ([10.0, 12.0, 11.0, 13.0, 14.0], [20.0, 22.0, 21.0, 23.0, 24.0]);
        let found = alone(&from, &to, Grain::EXACT).unwrap();
        assert_eq!((found.absolute, found.delta, found.verdict), (10.0, 1.0, Verdict::Real));
        let interval = found.interval.unwrap();
        assert!((interval.low - 7.694).abs() < 1e-3 && (interval.high - 12.306).abs() < 1e-3, "{interval:?}");
        assert_eq!(found.relative, Some(10.0 / 12.0));
    }

    #[test]
    fn what_chance_does_is_undecided_and_says_what_would_decide_it() {
        let (from, to) = ([10.0, 12.0, 11.0, 13.0, 14.0], [11.0, 13.0, 12.0, 14.0, 15.0]);
        let more = |grain| match alone(&from, &to, grain).unwrap().verdict {
            Verdict::Undecided { more_rounds } => more_rounds,
            other => {
                panic!("a difference of one with a deviation of 1.6 is not decided by five rounds: {other:?}")
            }
        };
        assert!(more(Grain::EXACT).is_some_and(|more| (10..25).contains(&more)), "{:?}", more(Grain::EXACT));
        assert_eq!(more(Grain { share: 0.2, step: 0.0 }), None);
    }

    /// 2 of 20 divisions of three and three are as extreme as this one, and 2 of 70 of four and four.
    #[test]
    fn rounds_too_few_for_a_verdict_get_none_however_far_apart_they_are() {
        assert_eq!([1, 2, 6, 7, 23, 24].map(least_rounds), [4, 5, 5, 6, 6, 7]);
        for rounds in 2..6 {
            let found = alone(&vec![7.0; rounds], &vec![900.0; rounds], Grain::EXACT).unwrap();
            let expected = match rounds {
                2 | 3 => Verdict::Undecided { more_rounds: Some(4 - rounds) },
                _ => Verdict::Real,
            };
            assert_eq!(found.verdict, expected, "{rounds}");
        }
        let shared =
            differences(&[Pair { from: &[7.0; 5], to: &[9.0; 5], grain: Grain::EXACT, primary: true }], 7);
        assert_eq!(shared[0].unwrap().verdict, Verdict::Undecided { more_rounds: Some(1) });
    }

    #[test]
    fn constants_that_differ_by_one_call_have_an_interval_of_their_grain() {
        let grain = Grain { share: 0.0, step: 1.0 };
        let same = alone(&[7.0; 5], &[7.0; 5], grain).unwrap();
        assert_eq!(same.verdict, Verdict::Same);
        let found = alone(&[7.0; 5], &[8.0; 5], grain).unwrap();
        let interval = found.interval.unwrap();
        // 2.306 * sqrt(1/12 * 2/5)
        assert!((interval.low - 0.579).abs() < 1e-3 && (interval.high - 1.421).abs() < 1e-3, "{interval:?}");
        assert_eq!(
            (found.verdict, alone(&[0.0; 5], &[1.0; 5], grain).unwrap().relative),
            (Verdict::Real, None)
        );
    }

    /// The interval of the complaint: -147 to -5 ms of a mean that halves, in a table of 124 rows.
    #[test]
    fn a_primary_number_does_not_pay_for_the_rows_beside_it() {
        let mut luck = super::super::luck::Luck(7);
        let rest: Vec<[Vec<f64>; 2]> =
            (0..124).map(|_| [0, 1].map(|_| (0..5).map(|_| luck.normal()).collect())).collect();
        let (from, to) = ([100.0, 160.0, 140.0, 215.0, 130.0], [60.0, 85.0, 30.0, 120.0, 70.0]);
        let verdict = |primary: bool| {
            let pair = Pair { from: &from, to: &to, grain: Grain::EXACT, primary };
            let rest = rest.iter().map(|[from, to]| Pair { from, to, grain: Grain::EXACT, primary: false });
            let pairs: Vec<Pair<'_>> = std::iter::once(pair).chain(rest).collect();
            differences(&pairs, 1)[0].unwrap().verdict
        };
        assert_eq!(verdict(true), Verdict::Real);
        assert!(matches!(verdict(false), Verdict::Undecided { .. }));
    }

    #[test]
    fn a_single_round_decides_nothing_and_none_is_nothing() {
        assert_eq!(alone(&[1.0], &[9.0, 9.1], Grain::EXACT).unwrap().verdict, Verdict::Unknown);
        assert_eq!(alone(&[], &[1.0], Grain::EXACT), None);
        assert_eq!(alone(&[f64::NAN, 1.0], &[1.0, 1.0], Grain::EXACT), None);
    }

    #[test]
    fn the_delta_is_the_balance_of_all_pairs() {
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[2.0, 3.0]), 0.75);
        assert_eq!(cliffs_delta(&[2.0, 3.0], &[0.0, 1.0]), -1.0);
        assert_eq!(cliffs_delta(&[1.0], &[1.0]), 0.0);
    }
}
