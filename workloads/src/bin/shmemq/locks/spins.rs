//! The distribution of spin counts: exact up to the largest count the loops of glibc can reach.

use pulse_trace_workloads::hist::LatencyHist;

/// glibc takes at most 32,767 for the limit, and the last back-off can overshoot it by 31.
const EXACT: usize = 32_768 + 32;

/// Occurrences of each spin count.
#[derive(Clone, Debug)]
pub struct Spins {
    exact: Vec<u64>,
    beyond: LatencyHist,
}

impl Spins {
    /// An empty distribution.
    pub fn new() -> Self {
        Self { exact: vec![0; EXACT], beyond: LatencyHist::new() }
    }

    /// Counts one contended acquisition.
    #[inline]
    pub fn record(&mut self, count: u64) {
        match self.exact.get_mut(count as usize) {
            Some(slot) => *slot += 1,
            None => self.beyond.record(count),
        }
    }

    /// Each count that occurred, and how often; none when a count was too large to be kept exactly.
    pub fn exact(&self) -> Option<Vec<(u64, u64)>> {
        let counts = || (0u64..).zip(self.exact.iter().copied()).filter(|(_, n)| *n > 0);
        (self.beyond.count() == 0).then(|| counts().collect())
    }

    /// All of it in the project's geometry.
    pub fn histogram(&self) -> LatencyHist {
        let mut all = self.beyond.clone();
        for (value, n) in (0u64..).zip(&self.exact) {
            for _ in 0..*n {
                all.record(value);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_until_one_is_too_large() {
        let mut spins = Spins::new();
        for count in [1, 1, 33, 32_798] {
            spins.record(count);
        }
        assert_eq!(spins.exact(), Some(vec![(1, 2), (33, 1), (32_798, 1)]));
        spins.record(1 << 20);
        assert_eq!(spins.exact(), None);
        let all = spins.histogram();
        assert_eq!((all.count(), all.sum(), all.max()), (5, 2 + 33 + 32_798 + (1 << 20), Some(1 << 20)));
    }
}
