//! What the intervals and verdicts promise, tried on rounds whose truth is known.

use super::{Difference, Family, Verdict, difference, estimate};

/// Rounds of a comparison, unless said otherwise.
const ROUNDS: usize = 5;
/// Rows of a table.
const ROWS: usize = 30;

/// Random numbers that a seed brings back.
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }

    /// As rounds on a shared machine are: skewed, and one in twenty is disturbed.
    fn round(&mut self, spread: f64) -> f64 {
        let disturbed = if self.next() < 0.05 { 1.0 + 5.0 * spread } else { 1.0 };
        (spread * self.normal()).exp() * disturbed
    }
}

fn rounds(count: usize, mut round: impl FnMut() -> f64) -> Vec<f64> {
    (0..count).map(|_| round()).collect()
}

/// Shares of trials in which the truth was within the interval, and in which the difference was claimed.
fn shares(trials: &[(Difference, f64)]) -> (f64, f64) {
    let share = |of: &dyn Fn(&(Difference, f64)) -> bool| {
        trials.iter().filter(|trial| of(trial)).count() as f64 / trials.len() as f64
    };
    let covered = share(&|(found, truth)| found.interval.is_some_and(|interval| interval.contains(*truth)));
    (covered, share(&|(found, _)| found.verdict == Verdict::Real))
}

/// Twenty repetitions would show anything from none to three; 200 show what is so.
#[test]
fn the_same_variant_under_two_names_is_told_apart_in_at_most_one_comparison_of_twenty() {
    let mut luck = Luck(1);
    let claimed = (0..200).filter(|_| claims_a_difference(&mut luck)).count();
    assert!(claimed <= 10, "{claimed} of 200 comparisons claimed a difference that is none");
}

/// One comparison: its rows share the luck of their rounds, and the machine drifts.
fn claims_a_difference(luck: &mut Luck) -> bool {
    let variant = |luck: &mut Luck| -> Vec<Vec<f64>> {
        let common: Vec<f64> = (0..ROUNDS).map(|nth| luck.round(0.05) * (1.0 + 0.02 * nth as f64)).collect();
        (0..ROWS).map(|_| common.iter().map(|common| common * luck.round(0.03)).collect()).collect()
    };
    let (first, second) = (variant(luck), variant(luck));
    let mut rows = first.iter().zip(&second);
    rows.any(|(from, to)| {
        difference(from, to, 0.0, Family(ROWS)).is_some_and(|found| found.verdict == Verdict::Real)
    })
}

#[test]
fn a_sleep_that_is_two_percent_longer_is_found_and_lies_in_its_interval() {
    let mut luck = Luck(2);
    let mut trial = || {
        let sleep = |luck: &mut Luck, ns: f64| rounds(ROUNDS, || ns * luck.round(0.002));
        let (from, to) = (sleep(&mut luck, 1e6), sleep(&mut luck, 1.02e6));
        // What a round adds to itself on average is added to both.
        let mean = 1.0 + 0.05 * 0.01;
        (difference(&from, &to, 0.0, Family(ROWS)).unwrap(), 0.02e6 * mean)
    };
    let trials: Vec<_> = (0..400).map(|_| trial()).collect();
    let (covered, found) = shares(&trials);
    assert!(covered >= 0.95, "{covered}");
    assert!(found >= 0.95, "{found}");
}

#[test]
fn a_tenth_more_calls_is_found_whether_their_number_varies_or_not() {
    for (spread, least) in [(0.0, 1.0), (0.01, 0.95)] {
        let mut luck = Luck(3);
        let mut trial = || {
            let calls = |luck: &mut Luck, count: f64| rounds(ROUNDS, || count * luck.round(spread));
            let (from, to) = (calls(&mut luck, 1000.0), calls(&mut luck, 1100.0));
            let mean = (spread * spread / 2.0).exp() * (1.0 + 0.05 * 5.0 * spread);
            (difference(&from, &to, 0.0, Family(ROWS)).unwrap(), 100.0 * mean)
        };
        let trials: Vec<_> = (0..400).map(|_| trial()).collect();
        let (covered, found) = shares(&trials);
        assert!(covered >= 0.95 && found >= least, "{spread}: {covered} {found}");
    }
}

/// Each round has 2,000 values of its own, of which only the slowest hundredth and a half are later by 50 us.
#[test]
fn fifty_microseconds_in_the_last_percent_only_are_found_in_its_quantile_and_nowhere_else() {
    let mut luck = Luck(4);
    let quantile = |luck: &mut Luck, share: f64, later: f64| {
        let mut values: Vec<f64> = (0..2000)
            .map(|_| {
                let at = luck.next();
                100_000.0 + 20_000.0 * at + if at > 0.985 { later } else { 0.0 }
            })
            .collect();
        values.sort_by(f64::total_cmp);
        values[(share * 2000.0).ceil() as usize - 1]
    };
    let mut trial = |share: f64| {
        let mut variant = |later| rounds(ROUNDS, || quantile(&mut luck, share, later));
        let (from, to) = (variant(0.0), variant(50_000.0));
        let truth = if share > 0.985 { 50_000.0 } else { 0.0 };
        (difference(&from, &to, 1.0 / 64.0, Family(ROWS)).unwrap(), truth)
    };
    let (tail, middle): (Vec<_>, Vec<_>) = (0..100).map(|_| (trial(0.995), trial(0.5))).unzip();
    let ((covered, found), (still, wrongly)) = (shares(&tail), shares(&middle));
    assert!(covered >= 0.95 && found >= 0.95, "{covered} {found}");
    assert!(still >= 0.95 && wrongly <= 0.05, "{still} {wrongly}");
}

/// Resampling the rounds, the usual way: what it promises and what it keeps.
fn bootstrapped(luck: &mut Luck, values: &[f64]) -> (f64, f64) {
    let draw = |luck: &mut Luck| values[(luck.next() * values.len() as f64) as usize];
    let mut means: Vec<f64> =
        (0..500).map(|_| (0..values.len()).map(|_| draw(luck)).sum::<f64>() / values.len() as f64).collect();
    means.sort_by(f64::total_cmp);
    (means[12], means[487])
}

#[test]
fn an_interval_of_five_rounds_holds_what_a_bootstrap_of_them_does_not() {
    let mut luck = Luck(5);
    let (mut ours, mut theirs) = (0, 0);
    for _ in 0..1000 {
        let values = rounds(ROUNDS, || 100.0 + luck.normal());
        ours += u32::from(estimate(&values).unwrap().interval.unwrap().contains(100.0));
        let (low, high) = bootstrapped(&mut luck, &values);
        theirs += u32::from((low..=high).contains(&100.0));
    }
    assert!((935..=970).contains(&ours), "{ours} of 1000");
    assert!(theirs < 880, "{theirs} of 1000");
}

#[test]
fn more_rounds_bring_what_was_promised() {
    let mut luck = Luck(6);
    let spread = 0.05;
    let mut kept = 0;
    let mut asked = 0;
    while asked < 60 {
        let variant = |luck: &mut Luck, count: usize, mean: f64| {
            rounds(count, || mean * (1.0 + spread * luck.normal()))
        };
        let (from, to) = (variant(&mut luck, 30, 1.0), variant(&mut luck, 30, 1.05));
        let found = difference(&from[..8], &to[..8], 0.0, Family(1)).unwrap();
        let Verdict::Undecided { more_rounds: Some(more) } = found.verdict else { continue };
        if more > 22 {
            continue;
        }
        asked += 1;
        let count = 8 + more;
        kept += u32::from(
            difference(&from[..count], &to[..count], 0.0, Family(1)).unwrap().verdict == Verdict::Real,
        );
    }
    // It is a forecast from few rounds: better than a coin, and not a promise.
    assert!(kept > 30, "{kept} of {asked}");
}
