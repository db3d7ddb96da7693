//! Lengths of the spins on an adaptive mutex, as far as the library's own running mean tells.
//!
//! The library moves `__spins` by an eighth of its distance to each spin count, cut towards zero. So the mean of the
//! values there is the mean spin count, to within the seven that do not move it, if it is read once after each spin.
//! That cannot be done without slowing the spinning thread. Read by the clock, the value that a pause left is found too
//! often; read at the beginning of waits, spins that were in vain are found too often. Where both say the same, it is
//! believed; what that is worth was measured: `docs/locks/spins.md`.

use serde::{Deserialize, Serialize};

use super::MutexSeen;
use crate::{hist::Hist, valid::is_default};

/// A distance between `__spins` and a count that is too short to move it.
const UNMOVED: f64 = 7.0;
/// Below this, what does not move it is too large a part.
const LEAST: f64 = 24.0;
/// Means that differ by more than this share are two.
const APART: f64 = 0.05;
/// Fewer samples than this, or fewer that differ from the one before, are no mean.
const ENOUGH: u64 = 100;
/// Fewer waits than this are no second opinion.
const WAITS: u64 = 20;

/// Values of `__spins` at random times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpinSamples {
    /// All of it.
    #[serde(rename = "sampled", skip_serializing_if = "is_default")]
    pub all: Hist,
    /// Those that were another number than the one before.
    #[serde(skip_serializing_if = "is_default")]
    pub moved: Hist,
}

impl SpinSamples {
    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        self.moved.merge(&other.moved);
    }

    /// Reports whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.count() == 0
    }
}

/// Mean of `__spins` over time, and what it says of the mean spin count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpinMean {
    /// The mean of `__spins`.
    pub mean: f64,
    /// Number of samples behind the mean.
    pub samples: u64,
    /// Reason why it is not the mean spin count to ten percent.
    pub doubt: Option<Doubt>,
}

/// Reason not to trust a mean of `__spins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// There are too few samples, or too few of them differ.
    Few,
    /// Too few waits to compare it with.
    Unchecked,
    /// As waits began, or where it moved, the mean was another one.
    Uneven,
    /// The distance that does not move it is large in comparison to its value.
    Small,
}

impl Doubt {
    /// The reason in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Few => "too few samples",
            Self::Unchecked => "too few waits to check it by",
            Self::Uneven => "as waits began or where it moved it was another: contention comes and goes",
            Self::Small => "counts less than 8 away from it do not move it",
        }
    }
}

impl SpinMean {
    /// Upper bound of the mean spin count, where it is only known to be small.
    #[must_use]
    pub fn below(&self) -> Option<f64> {
        (self.doubt == Some(Doubt::Small)).then_some(self.mean + UNMOVED)
    }
}

impl MutexSeen {
    /// The mean of `__spins` over time; `None` where it was not sampled.
    #[must_use]
    pub fn spin_mean(&self) -> Option<SpinMean> {
        let mean = self.sampled.all.mean()?;
        let samples = self.sampled.all.count();
        Some(SpinMean { mean, samples, doubt: self.doubt(mean) })
    }

    fn doubt(&self, mean: f64) -> Option<Doubt> {
        let SpinSamples { all, moved } = &self.sampled;
        if all.count() < ENOUGH || moved.count() < ENOUGH {
            return Some(Doubt::Few);
        }
        if self.spins.count() < WAITS {
            return Some(Doubt::Unchecked);
        }
        // Of what is small, a difference that moves nothing may be a large share.
        let is_small = mean < LEAST;
        let slack = if is_small { UNMOVED } else { APART * mean };
        let differs = |other: &Hist| other.mean().is_none_or(|other| (other - mean).abs() > slack);
        if differs(moved) || differs(&self.spins) {
            return Some(Doubt::Uneven);
        }
        is_small.then_some(Doubt::Small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hist(value: u64, times: u64) -> Hist {
        let mut hist = Hist::default();
        (0..times).for_each(|_| hist.record(value));
        hist
    }

    fn seen(all: (u64, u64), moved: (u64, u64), waits: (u64, u64)) -> SpinMean {
        let sampled = SpinSamples { all: hist(all.0, all.1), moved: hist(moved.0, moved.1) };
        let seen = MutexSeen { spins: hist(waits.0, waits.1), sampled, ..MutexSeen::default() };
        seen.spin_mean().unwrap()
    }

    #[test]
    fn a_mean_is_trusted_where_all_ways_to_look_at_it_agree() {
        let mean = seen((40, 300), (41, 200), (39, 50));
        assert_eq!((mean.mean, mean.samples, mean.doubt, mean.below()), (40.0, 300, None, None));
        assert_eq!(MutexSeen::default().spin_mean(), None);
    }

    #[test]
    fn each_doubt_has_its_reason() {
        assert_eq!(seen((40, 99), (40, 99), (40, 50)).doubt, Some(Doubt::Few));
        assert_eq!(seen((40, 300), (40, 99), (40, 50)).doubt, Some(Doubt::Few));
        assert_eq!(seen((40, 300), (40, 200), (40, 19)).doubt, Some(Doubt::Unchecked));
        assert_eq!(seen((40, 300), (43, 200), (40, 50)).doubt, Some(Doubt::Uneven));
        assert_eq!(seen((40, 300), (40, 200), (64, 50)).doubt, Some(Doubt::Uneven));
        assert_eq!(seen((9, 300), (25, 200), (9, 50)).doubt, Some(Doubt::Uneven));
        let small = seen((9, 300), (10, 200), (11, 50));
        assert_eq!((small.doubt, small.below()), (Some(Doubt::Small), Some(16.0)));
        assert_eq!(seen((9, 99), (9, 99), (9, 50)).below(), None);
    }
}
