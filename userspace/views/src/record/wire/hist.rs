//! Wire format of a distribution.

use model::hist::Hist as Values;
use pulse_trace_common::hist;
use serde::{Deserialize, Serialize};

use super::{
    is_default,
    limits::{Impossible, counts, times},
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hist {
    pub sum: u64,
    pub min: Option<u64>,
    pub max: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_is_bound: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_is_bound: bool,
    /// Pairs of bucket number and count.
    pub buckets: Vec<(u16, u64)>,
}

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

impl Hist {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        // The longest names, three numbers of 20 digits; and a bucket of four digits with a count of 16.
        160 + self.buckets.len() * 24
    }
}

impl From<&Values> for Hist {
    fn from(values: &Values) -> Self {
        Self {
            sum: values.sum,
            min: values.min,
            max: values.max,
            min_is_bound: values.min_is_bound,
            max_is_bound: values.max_is_bound,
            buckets: values.buckets().to_vec(),
        }
    }
}

impl TryFrom<Hist> for Values {
    type Error = Impossible;

    fn try_from(read: Hist) -> Result<Self, Impossible> {
        times([read.sum])?;
        counts(read.buckets.iter().map(|(_, count)| *count))?;
        let mut values = Self::default();
        for (bucket, count) in read.buckets {
            if usize::from(bucket) > hist::CLAMPED {
                return Err(Impossible("a bucket lies outside of the histogram"));
            }
            values.add(bucket, count);
        }
        (values.sum, values.min, values.max) = (read.sum, read.min, read.max);
        (values.min_is_bound, values.max_is_bound) = (read.min_is_bound, read.max_is_bound);
        values.bound_by_buckets();
        match values.min > values.max {
            true => Err(Impossible("a minimum is above its maximum")),
            false => Ok(values),
        }
    }
}
