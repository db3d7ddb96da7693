//! Ways to deal the rounds of two variants out again: what chance alone can do.

use crate::random::Random;

/// More rounds than any benchmark runs.
pub const MOST_ROUNDS: usize = 10_000;
/// Probabilities that differ by less are equal: products are rounded.
const ROUNDED: f64 = 1.0 + 1e-9;
/// Splits, mirror images left out, up to which all are looked at; beyond, [`DRAWN`] of them.
const ALL: usize = 2_000;
/// Splits that are drawn where there are too many.
const DRAWN: usize = 1_999;

/// Divisions of all rounds of two variants into groups of the variants' sizes. The first is the one that was measured.
#[derive(Debug)]
pub struct Splits {
    /// Rounds of the first group, by their number among all.
    pub chosen: Vec<Vec<usize>>,
    /// The mirror image of each, which differs by the sign only, is left out.
    pub halved: bool,
}

impl Splits {
    /// Splits of so many rounds and so many others. The same numbers give the same splits.
    pub fn new(first: usize, second: usize) -> Self {
        let all = first + second;
        let halved = first == second;
        if count(first, second) > if halved { 2.0 } else { 1.0 } * ALL as f64 {
            let mut random = Random(1);
            let drawn = (0..DRAWN).map(|_| draw(&mut random, first, all));
            let chosen = std::iter::once((0..first).collect()).chain(drawn).collect();
            return Self { chosen, halved: false };
        }
        let mut chosen = Vec::new();
        let mut next: Vec<usize> = (0..first).collect();
        // In order: the measured one is the first, and those without round 0 are the mirror images.
        while next.first().is_some_and(|lowest| !halved || *lowest == 0) {
            chosen.push(next.clone());
            let Some(at) = (0..first).rev().find(|at| next[*at] < all - first + at) else { break };
            next[at] += 1;
            (at + 1..first).for_each(|later| next[later] = next[later - 1] + 1);
        }
        Self { chosen, halved }
    }

    /// Splits that may be as extreme as the measured one, itself included, so that chance brings it with this
    /// probability at most.
    pub fn allowed(&self, probability: f64) -> usize {
        (probability * self.chosen.len() as f64 * ROUNDED) as usize
    }
}

/// Rounds of each of two variants below which even a single split is not as rare as this.
pub fn least_rounds(probability: f64) -> usize {
    let rare = |rounds: &usize| count(*rounds, *rounds) * probability * ROUNDED >= 1.0;
    (2..MOST_ROUNDS).find(rare).unwrap_or(MOST_ROUNDS)
}

/// Number of splits.
fn count(first: usize, second: usize) -> f64 {
    (1..=first).map(|nth| (second + nth) as f64 / nth as f64).product()
}

/// So many of all, each set with the same probability.
fn draw(random: &mut Random, some: usize, all: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all).collect();
    (0..some).for_each(|at| order.swap(at, at + random.below((all - at) as u64) as usize));
    order.truncate(some);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_splits_are_there_once_or_with_their_mirror_images() {
        for (first, second, expected) in [(2, 2, 3), (5, 5, 126), (7, 7, 1716), (4, 5, 126), (1, 3, 4)] {
            let splits = Splits::new(first, second);
            let different: std::collections::BTreeSet<_> = splits.chosen.iter().collect();
            assert_eq!((splits.chosen.len(), different.len()), (expected, expected), "{first} {second}");
            assert_eq!(splits.chosen[0], (0..first).collect::<Vec<_>>());
            assert_eq!(splits.halved, first == second);
        }
    }

    #[test]
    fn of_many_some_are_drawn_evenly_and_the_same_each_time() {
        let (splits, again) = (Splits::new(10, 10), Splits::new(10, 10));
        assert_eq!(splits.chosen, again.chosen);
        assert_eq!(splits.chosen.len(), DRAWN + 1);
        for round in 0..20 {
            let times = splits.chosen.iter().filter(|chosen| chosen.contains(&round)).count();
            // 1,000 expected, with a deviation of 22.
            assert!((890..1_110).contains(&times), "{round}: {times}");
        }
    }

    #[test]
    fn few_splits_allow_none_as_extreme() {
        let allowed = |rounds| Splits::new(rounds, rounds).allowed(0.05);
        assert_eq!([2, 3, 4, 5, 6].map(allowed), [0, 0, 1, 6, 23]);
    }
}
