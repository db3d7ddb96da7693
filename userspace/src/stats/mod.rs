//! What rounds of a measurement allow to be said: intervals, differences, and the warnings that go with them.
//!
//! The round is the unit: the thousands of values within one round share its luck. Why intervals are Student's and not
//! bootstrapped is told in `docs/adr/0007-intervals-of-few-rounds.md`.

mod difference;
mod estimate;
mod rounds;
mod student;
#[cfg(test)]
mod trials;

pub use difference::{Difference, Family, Verdict, cliffs_delta, difference};
pub use estimate::{Estimate, Interval, estimate};
pub use rounds::{drifts, outliers};

/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;
