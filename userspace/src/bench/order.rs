//! The order of rounds: all variants once, in a random order, then all again in another, so that a machine that drifts
//! hits all alike and no variant always follows the same one.

use model::random::Random;

/// The variant of every round.
#[must_use]
pub fn order(variants: usize, rounds: usize, seed: u64) -> Vec<usize> {
    let mut random = Random(seed);
    let mut order = Vec::with_capacity(variants * rounds);
    for _ in 0..rounds {
        let mut turn: Vec<usize> = (0..variants).collect();
        for from in (1..variants).rev() {
            turn.swap(from, random.below(from as u64 + 1) as usize);
        }
        order.append(&mut turn);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_has_every_variant_once_and_a_seed_brings_it_back() {
        let order_of = order(5, 40, 7);
        for turn in order_of.chunks(5) {
            let mut sorted = turn.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_eq!(order_of, order(5, 40, 7));
        assert_ne!(order_of, order(5, 40, 8));
        // No variant is always first.
        assert!((0..5).all(|variant| order_of.chunks(5).any(|turn| turn[0] == variant)));
    }
}
