//! Random numbers of synthetic sessions.

use crate::hist::Hist;
pub use crate::random::Random;

impl Random {
    /// Below a power of two that is itself random: small values are the frequent ones.
    pub fn skewed(&mut self, octaves: u64) -> u64 {
        let bound = 1 << self.below(octaves);
        self.below(bound)
    }

    /// Draws an event that happens once in so many times; true if it happens now.
    pub fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    /// Around a value: from its half to one and a half.
    pub fn around(&mut self, value: u64) -> u64 {
        value / 2 + self.below(value + 1)
    }

    /// As many values as wanted, of very different sizes, that add up to the total.
    pub fn split(&mut self, total: u64, parts: u64) -> Vec<u64> {
        let weights: Vec<u64> = (0..parts).map(|_| 1 + self.skewed(9)).collect();
        let whole: u64 = weights.iter().sum();
        let mut values: Vec<u64> =
            weights.iter().map(|weight| total / whole * weight + total % whole * weight / whole).collect();
        let missing = total - values.iter().sum::<u64>();
        if let Some(last) = values.last_mut() {
            *last += missing;
        }
        values
    }
}

/// Values as a distribution.
pub fn recorded(values: &[u64]) -> Hist {
    let mut hist = Hist::default();
    values.iter().for_each(|value| hist.record(*value));
    hist
}
