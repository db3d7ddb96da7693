//! Real differences, tried on rounds whose truth is known: that they are found in a table, and lie in their intervals.

use super::{Difference, Grain, Pair, Verdict, differences, estimate, luck::Luck};

/// Rounds of a comparison, unless said otherwise.
const ROUNDS: usize = 5;
/// Rows of a table beside the one that differs.
const OTHERS: usize = 11;
/// Grain of numbers that count calls: one call.
const CALL: Grain = Grain { share: 0.0, step: 1.0 };

fn rounds(count: usize, mut round: impl FnMut() -> f64) -> Vec<f64> {
    (0..count).map(|_| round()).collect()
}

/// A row of a table whose other rows are noise: counts, times, and quantiles that fall into one of two buckets.
fn in_table(luck: &mut Luck, from: &[f64], to: &[f64], grain: Grain) -> Difference {
    let bucket = Grain { share: 1.0 / 64.0, step: 0.0 };
    let mut noise = |kind: usize, count: usize| {
        rounds(count, || match kind {
            0 => luck.poisson(12.0),
            1 => luck.round(0.03),
            _ => [1000.0, 1031.25][usize::from(luck.share() < 0.5)],
        })
    };
    let others: Vec<_> = (0..OTHERS)
        .map(|row| {
            let kind = row % 3;
            ([CALL, Grain::EXACT, bucket][kind], noise(kind, from.len()), noise(kind, to.len()))
        })
        .collect();
    let others = others.iter().map(|(grain, from, to)| Pair { from, to, grain: *grain, primary: false });
    let pairs: Vec<Pair<'_>> =
        std::iter::once(Pair { from, to, grain, primary: false }).chain(others).collect();
    differences(&pairs, 1)[0].unwrap()
}

/// Shares of trials in which the truth was within the interval, and in which the difference was claimed.
fn shares(trials: &[(Difference, f64)]) -> (f64, f64) {
    let share = |of: &dyn Fn(&(Difference, f64)) -> bool| {
        trials.iter().filter(|trial| of(trial)).count() as f64 / trials.len() as f64
    };
    let covered = share(&|(found, truth)| found.interval.is_some_and(|interval| interval.contains(*truth)));
    (covered, share(&|(found, _)| found.verdict == Verdict::Real))
}

#[test]
fn a_sleep_that_is_two_percent_longer_is_found_and_lies_in_its_interval() {
    let mut luck = Luck(2);
    let mut trial = || {
        let sleep = |luck: &mut Luck, ns: f64| rounds(ROUNDS, || ns * luck.round(0.002));
        let (from, to) = (sleep(&mut luck, 1e6), sleep(&mut luck, 1.02e6));
        // What a round adds to itself on average is added to both.
        let mean = 1.0 + 0.05 * 0.01;
        (in_table(&mut luck, &from, &to, Grain::EXACT), 0.02e6 * mean)
    };
    let trials: Vec<_> = (0..100).map(|_| trial()).collect();
    let (covered, found) = shares(&trials);
    assert!(covered >= 0.95, "{covered}");
    assert!(found >= 0.95, "{found}");
}

#[test]
fn a_tenth_more_calls_is_found_whether_their_number_varies_or_not() {
    for (spread, count, least) in [(0.0, ROUNDS, 1.0), (0.0, 4, 0.95), (0.01, ROUNDS, 0.95)] {
        let mut luck = Luck(3);
        let mut trial = || {
            let calls = |luck: &mut Luck, calls: f64| rounds(count, || (calls * luck.round(spread)).round());
            let (from, to) = (calls(&mut luck, 1000.0), calls(&mut luck, 1100.0));
            let mean = (spread * spread / 2.0).exp() * (1.0 + 0.05 * 5.0 * spread);
            (in_table(&mut luck, &from, &to, CALL), 100.0 * mean)
        };
        let trials: Vec<_> = (0..100).map(|_| trial()).collect();
        let (covered, found) = shares(&trials);
        assert!(covered >= 0.95 && found >= least, "{spread}, {count} rounds: {covered} {found}");
    }
}

/// Counts of a dozen that never vary much have intervals that hold what is true, in two rounds as in ten.
#[test]
fn the_interval_of_small_counts_holds_the_truth() {
    for count in [2, 3, 5, 10] {
        let mut luck = Luck(count as u64);
        let mut trial = || {
            let (from, to) = (rounds(count, || luck.poisson(12.0)), rounds(count, || luck.poisson(15.0)));
            let pair = Pair { from: &from, to: &to, grain: CALL, primary: true };
            (differences(&[pair], 1)[0].unwrap(), 3.0)
        };
        let trials: Vec<_> = (0..1000).map(|_| trial()).collect();
        // 950 expected, fewer than 922 by chance once in 10,000 times.
        assert!(shares(&trials).0 >= 0.922, "{count} rounds: {}", shares(&trials).0);
    }
}

/// Each round has 2,000 values of its own, of which only the slowest hundredth and a half are later by 50 us.
#[test]
fn fifty_microseconds_in_the_last_percent_only_are_found_in_its_quantile_and_nowhere_else() {
    let mut luck = Luck(4);
    let quantile = |luck: &mut Luck, share: f64, later: f64| {
        let mut values: Vec<f64> = (0..2000)
            .map(|_| {
                let at = luck.share();
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
        (in_table(&mut luck, &from, &to, Grain { share: 1.0 / 64.0, step: 0.0 }), truth)
    };
    let (tail, middle): (Vec<_>, Vec<_>) = (0..50).map(|_| (trial(0.995), trial(0.5))).unzip();
    let ((covered, found), (still, wrongly)) = (shares(&tail), shares(&middle));
    assert!(covered >= 0.95 && found >= 0.95, "{covered} {found}");
    assert!(still >= 0.95 && wrongly <= 0.05, "{still} {wrongly}");
}

/// Resampling the rounds, the usual way: what it promises and what it keeps.
fn bootstrapped(luck: &mut Luck, values: &[f64]) -> (f64, f64) {
    let draw = |luck: &mut Luck| values[(luck.share() * values.len() as f64) as usize];
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
        ours += u32::from(estimate(&values, Grain::EXACT).unwrap().interval.unwrap().contains(100.0));
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
        let verdict = |count: usize| {
            let pair = Pair { from: &from[..count], to: &to[..count], grain: Grain::EXACT, primary: true };
            differences(&[pair], 1)[0].unwrap().verdict
        };
        let Verdict::Undecided { more_rounds: Some(more) } = verdict(8) else { continue };
        if more > 22 {
            continue;
        }
        asked += 1;
        kept += u32::from(verdict(8 + more) == Verdict::Real);
    }
    // It is a forecast from few rounds: better than a coin, and not a promise.
    assert!(kept > 30, "{kept} of {asked}");
}
