//! Geometry and weight of distributions in the file.

use model::hist::Hist;
use pulse_trace_common::hist;
use serde::{Deserialize, Serialize};

/// Meaning of the bucket numbers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    pub sub_buckets: u64,
    pub max_bits: u32,
}

impl Geometry {
    /// That of this program.
    pub const OURS: Self = Self { sub_buckets: hist::SUB_BUCKETS, max_bits: hist::MAX_BITS };
}

/// Bytes that a distribution takes in a line, at most.
pub fn weight(values: &Hist) -> usize {
    // The longest names, three numbers of 20 digits; and a bucket of four digits with a count of 16.
    160 + values.buckets().len() * 24
}
