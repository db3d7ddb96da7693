//! Whether two variants differ, and by how much.

use super::{CONFIDENCE, Estimate, Interval, estimate, student};

/// More rounds than anybody would run.
const MOST_ROUNDS: usize = 10_000;

/// How many differences one comparison looks at. Each is held to a share of the error that the comparison as a whole
/// may make, so that a long table does not find differences by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family(pub usize);

impl Family {
    /// Probability with which one of them may be claimed though there is none.
    fn error(self) -> f64 {
        (1.0 - CONFIDENCE) / self.0.max(1) as f64
    }
}

/// What may be said about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is one.
    Real,
    /// All rounds of both agree to the last digit.
    Same,
    /// It lies within what chance does.
    Undecided {
        /// Rounds of each variant, on top of those there are, after which it would probably be decided if it stays as it
        /// is; `None` where no number that anybody would run is enough.
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
    /// Where the true difference lies; `None` where one has a single round.
    pub interval: Option<Interval>,
    /// Cliff's delta: how much more often a round of the second is above one of the first than below it, -1 to 1.
    pub delta: f64,
    /// What may be said about it.
    pub verdict: Verdict,
}

/// The difference between rounds of two variants. `resolution` is how far a value of either may be off for other
/// reasons than chance, as a share of it. `None` where either has no value.
#[must_use]
pub fn difference(from: &[f64], to: &[f64], resolution: f64, family: Family) -> Option<Difference> {
    let (first, second) = (estimate(from)?, estimate(to)?);
    let absolute = second.mean - first.mean;
    let slack = resolution * (first.mean.abs() + second.mean.abs());
    let welch = Welch::new(&first, &second);
    let interval = welch.map(|welch| {
        let half = welch.reach(1.0 - CONFIDENCE) + slack;
        Interval { low: absolute - half, high: absolute + half }
    });
    let verdict = match welch {
        None => Verdict::Unknown,
        Some(_) if from.iter().chain(to).all(|value| *value == from[0]) => Verdict::Same,
        Some(welch) if welch.decides(absolute.abs() - slack, family) => Verdict::Real,
        Some(_) => Verdict::Undecided { more_rounds: more_rounds(&first, &second, absolute, slack, family) },
    };
    Some(Difference {
        absolute,
        relative: (first.mean != 0.0).then(|| absolute / first.mean.abs()),
        interval,
        delta: cliffs_delta(from, to),
        verdict,
    })
}

/// How much more often a value of the second is above one of the first than below it.
#[must_use]
pub fn cliffs_delta(from: &[f64], to: &[f64]) -> f64 {
    let pairs = from.iter().flat_map(|first| to.iter().map(move |second| (first, second)));
    let balance: i64 =
        pairs.map(|(first, second)| i64::from(second > first) - i64::from(second < first)).sum();
    let count = from.len() * to.len();
    if count == 0 { 0.0 } else { balance as f64 / count as f64 }
}

/// The test of Welch: it does not take for granted that both vary alike.
#[derive(Clone, Copy)]
struct Welch {
    error: f64,
    degrees: f64,
}

impl Welch {
    fn new(first: &Estimate, second: &Estimate) -> Option<Self> {
        let share = |it: &Estimate| (it.rounds > 1).then(|| it.deviation.powi(2) / it.rounds as f64);
        let (left, right) = (share(first)?, share(second)?);
        let spread = |share: f64, it: &Estimate| share.powi(2) / (it.rounds - 1) as f64;
        let below = spread(left, first) + spread(right, second);
        let whole = (first.rounds + second.rounds - 2) as f64;
        let degrees = if below > 0.0 { (left + right).powi(2) / below } else { whole };
        Some(Self { error: (left + right).sqrt(), degrees })
    }

    /// Whether chance brings so large a difference too rarely for the family.
    fn decides(self, size: f64, family: Family) -> bool {
        if self.error == 0.0 {
            return size > 0.0;
        }
        size > 0.0 && student::two_sided(size / self.error, self.degrees) < family.error()
    }

    /// What chance exceeds with this probability only.
    fn reach(self, probability: f64) -> f64 {
        if self.error == 0.0 { 0.0 } else { student::critical(probability, self.degrees) * self.error }
    }
}

fn more_rounds(
    first: &Estimate,
    second: &Estimate,
    absolute: f64,
    slack: f64,
    family: Family,
) -> Option<usize> {
    let decided = |rounds: usize| {
        let (first, second) = (Estimate { rounds, ..*first }, Estimate { rounds, ..*second });
        Welch::new(&first, &second).is_some_and(|welch| welch.decides(absolute.abs() - slack, family))
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
    Some(high - have)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Family = Family(1);

    #[test]
    fn a_known_difference_has_the_interval_of_the_textbook() {
        let (from, to) = ([10.0, 12.0, 11.0, 13.0, 14.0], [20.0, 22.0, 21.0, 23.0, 24.0]);
        let found = difference(&from, &to, 0.0, ONE).unwrap();
        assert_eq!((found.absolute, found.delta, found.verdict), (10.0, 1.0, Verdict::Real));
        let interval = found.interval.unwrap();
        assert!((interval.low - 7.694).abs() < 1e-3 && (interval.high - 12.306).abs() < 1e-3, "{interval:?}");
        assert_eq!(found.relative, Some(10.0 / 12.0));
    }

    #[test]
    fn what_chance_does_is_undecided_and_says_what_would_decide_it() {
        let (from, to) = ([10.0, 12.0, 11.0, 13.0, 14.0], [11.0, 13.0, 12.0, 14.0, 15.0]);
        let Verdict::Undecided { more_rounds: Some(more) } =
            difference(&from, &to, 0.0, ONE).unwrap().verdict
        else {
            panic!("a difference of one with a deviation of 1.6 is not decided by five rounds");
        };
        assert!((10..25).contains(&more), "{more}");
        let wider = difference(&from, &to, 0.0, Family(100)).unwrap().verdict;
        assert!(matches!(wider, Verdict::Undecided { more_rounds: Some(wide) } if wide > more), "{wider:?}");
        let coarse = difference(&from, &to, 0.2, ONE).unwrap().verdict;
        assert_eq!(coarse, Verdict::Undecided { more_rounds: None });
    }

    #[test]
    fn constants_are_the_same_or_differ_but_are_never_undecided() {
        let verdict = |to: f64| difference(&[7.0; 5], &[to; 5], 0.0, Family(50)).unwrap().verdict;
        assert_eq!((verdict(7.0), verdict(7.1)), (Verdict::Same, Verdict::Real));
        let zero = difference(&[0.0; 3], &[1.0; 3], 0.0, ONE).unwrap();
        assert_eq!((zero.relative, zero.verdict), (None, Verdict::Real));
    }

    #[test]
    fn a_single_round_decides_nothing_and_none_is_nothing() {
        assert_eq!(difference(&[1.0], &[9.0, 9.1], 0.0, ONE).unwrap().verdict, Verdict::Unknown);
        assert_eq!(difference(&[], &[1.0], 0.0, ONE), None);
        assert_eq!(difference(&[f64::NAN, 1.0], &[1.0, 1.0], 0.0, ONE), None);
    }

    #[test]
    fn the_delta_is_the_balance_of_all_pairs() {
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[2.0, 3.0]), 0.75);
        assert_eq!(cliffs_delta(&[2.0, 3.0], &[0.0, 1.0]), -1.0);
        assert_eq!(cliffs_delta(&[1.0], &[1.0]), 0.0);
    }
}
