//! Tables of a variant against itself: at most one of twenty claims a difference, for all kinds of numbers.

use super::{Grain, Pair, Verdict, differences, luck::Luck, splits::Splits};

/// Rounds of each variant, and how many tables of each kind: all divisions of many rounds take their time.
const SIZES: [(usize, usize); 7] = [(2, 40), (3, 40), (4, 150), (5, 150), (6, 100), (8, 20), (10, 20)];
/// Rows of a table.
const ROWS: usize = 12;
/// Grain of numbers that count calls: one call.
const CALL: Grain = Grain { share: 0.0, step: 1.0 };

/// A kind of number: its grain, and a round of a row. Both variants have the same chance of the row (0 to 1).
struct Kind {
    name: &'static str,
    grain: Grain,
    round: fn(&mut Luck, f64, usize) -> f64,
}

const KINDS: [Kind; 6] = [
    Kind { name: "counts of a dozen", grain: CALL, round: |luck, _, _| luck.poisson(12.0) },
    Kind { name: "large counts", grain: CALL, round: |luck, _, _| (1e6 * luck.round(0.02)).round() },
    Kind { name: "quantiles in buckets", grain: Grain { share: 1.0 / 64.0, step: 0.0 }, round: bucket },
    Kind {
        name: "ties",
        grain: CALL,
        round: |luck, chance, _| 7.0 + f64::from(u8::from(luck.share() < chance)),
    },
    Kind { name: "skewed", grain: Grain::EXACT, round: |luck, _, _| luck.round(0.5) },
    Kind {
        name: "drifting",
        grain: Grain::EXACT,
        round: |luck, _, round| luck.round(0.03) * (1.0 + 0.02 * round as f64),
    },
];

/// Middle of the bucket that a time of about a per cent of variation falls into.
fn bucket(luck: &mut Luck, chance: f64, _: usize) -> f64 {
    let value = 1e5 * (1.0 + chance) * luck.round(0.01);
    let width = 2f64.powi(value.log2() as i32 - 5);
    ((value / width).floor() + 0.5) * width
}

/// Rows of two equal variants.
type Rows = Vec<(Grain, Vec<f64>, Vec<f64>)>;

/// A table of one kind, or of all, with so many rounds of either variant.
fn table(luck: &mut Luck, kind: Option<usize>, (first, second): (usize, usize)) -> Rows {
    let row = |row: usize| {
        let Kind { grain, round: of, .. } = &KINDS[kind.unwrap_or(row % KINDS.len())];
        let chance = luck.share();
        let mut variant = |rounds| (0..rounds).map(|round| of(luck, chance, round)).collect::<Vec<f64>>();
        (*grain, variant(first), variant(second))
    };
    (0..ROWS).map(row).collect()
}

/// Reports whether a table claims any difference.
fn claims(rows: &Rows) -> bool {
    let numbered = rows.iter().enumerate();
    let pairs: Vec<Pair<'_>> =
        numbered.map(|(nth, (grain, from, to))| Pair { from, to, grain: *grain, primary: nth < 3 }).collect();
    differences(&pairs, 1).iter().flatten().any(|found| found.verdict == Verdict::Real)
}

/// The same rounds in other groups.
fn dealt(rows: &Rows, chosen: &[usize]) -> Rows {
    let row = |(grain, from, to): &(Grain, Vec<f64>, Vec<f64>)| {
        let all: Vec<f64> = [from.as_slice(), to].concat();
        let rest = (0..all.len()).filter(|round| !chosen.contains(round));
        (*grain, chosen.iter().map(|round| all[*round]).collect(), rest.map(|round| all[round]).collect())
    };
    rows.iter().map(row).collect()
}

/// A permutation test claims something in as many ways to deal the same rounds out as it allows, for any rounds,
/// and in fewer only where ways are equal.
#[test]
fn of_all_ways_to_deal_the_same_rounds_out_one_in_twenty_claims() {
    for size in [(3, 3), (4, 4), (4, 5), (5, 5)] {
        let splits = Splits::new(size.0, size.1);
        let allowed = splits.allowed(0.05);
        for kind in (0..KINDS.len()).map(Some).chain([None]) {
            let rows = table(&mut Luck(17), kind, size);
            let claiming = splits.chosen.iter().filter(|chosen| claims(&dealt(&rows, chosen))).count();
            let exact = kind.is_some_and(|kind| KINDS[kind].grain == Grain::EXACT);
            let name = kind.map_or("all kinds", |kind| KINDS[kind].name);
            assert!(claiming <= allowed, "{name}, {size:?}: {claiming}, not {allowed}");
            assert!(!exact || claiming == allowed, "{name}, {size:?}: {claiming}, not {allowed}");
        }
    }
}

/// Claims among so many tables that a share of one in twenty exceeds with a probability below one in 50,000.
fn most(tables: usize) -> usize {
    let (mut exactly, mut above, mut claims) = (0.95f64.powi(tables as i32), 1.0, 0);
    loop {
        above -= exactly;
        if above < 2e-5 {
            return claims;
        }
        exactly *= (tables - claims) as f64 / (claims + 1) as f64 * (0.05 / 0.95);
        claims += 1;
    }
}

#[test]
fn tables_of_nothing_claim_something_in_at_most_one_case_of_twenty() {
    assert_eq!([40, 100, 300].map(most), [10, 16, 33], "quantiles of the binomial");
    let mut faults = Vec::new();
    for (rounds, tables) in SIZES {
        // Beyond five rounds the kinds together are enough.
        let alone = if rounds > 5 { 0 } else { KINDS.len() };
        for kind in (0..alone).map(Some).chain([None]) {
            let mut luck = Luck(rounds as u64 * 100 + kind.map_or(99, |kind| kind as u64));
            let claimed = (0..tables).filter(|_| claims(&table(&mut luck, kind, (rounds, rounds)))).count();
            if claimed > most(tables) {
                let name = kind.map_or("all kinds", |kind| KINDS[kind].name);
                faults.push(format!("{name}, {rounds} rounds: {claimed} of {tables}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
