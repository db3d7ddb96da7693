//! Distributions.

use serde::{Deserialize, Serialize};

/// A distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hist {
    /// What is distributed.
    pub unit: Unit,
    /// Number of values, exact.
    pub count: u64,
    /// Sum of the values, exact.
    pub sum: u64,
    /// Smallest value that was noted, null without values; see the largest.
    pub min: Option<u64>,
    /// Largest value that was noted: two calls that end at once on CPUs that share a histogram can hide one another.
    pub max: Option<u64>,
    /// Mean, exact but for its rounding.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p999: Option<u64>,
    /// A percentile differs from the true value by at most this share of it.
    pub max_relative_error: f64,
    /// Lower edge, upper edge (exclusive; null for the last bucket, which has none) and count; empty buckets are left
    /// out.
    pub buckets: Vec<(u64, Option<u64>, u64)>,
}

/// A unit of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// A number of things.
    Count,
    /// Units of the program's own clock: of the time-stamp counter on x86, which are not the processor's cycles.
    Cycles,
}
