//! Statistics of few rounds: intervals, differences, and the warnings that go with them.
//!
//! The round is the unit: the thousands of values within one round share its luck. Intervals are Student's; verdicts
//! are those of a permutation test over the rounds of a whole table: `docs/adr/0011-verdicts-by-permutation.md`.

mod difference;
mod estimate;
mod gate;
mod grain;
#[cfg(test)]
mod luck;
#[cfg(test)]
mod null;
mod rounds;
mod score;
mod splits;
mod student;
#[cfg(test)]
mod trials;
mod welch;

pub use difference::{Difference, Pair, Verdict, cliffs_delta, differences, least_rounds};
pub use estimate::{Estimate, Interval, estimate};
pub use gate::{Bound, Gate, gate, least_rounds_of_gates};
pub use grain::Grain;
pub use rounds::{drifts, outliers};

/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// Error of each of several tests that share that of a whole comparison.
fn error_of_each(tests: usize) -> f64 {
    (1.0 - CONFIDENCE) / tests.max(1) as f64
}
