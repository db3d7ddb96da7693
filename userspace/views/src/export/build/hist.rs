//! Export of distributions.

use model::hist;
use pulse_trace_common::hist::{self as geometry, MAX_RELATIVE_ERROR};

use crate::export::json::{Hist, Unit};

/// A distribution of times, or of counts.
pub fn distribution(values: &hist::Hist, unit: Unit) -> Hist {
    let bucket = |(index, count): &(u16, u64)| {
        let index = usize::from(*index);
        let upper = (index < geometry::CLAMPED).then(|| geometry::upper(index));
        (geometry::lower(index), upper, *count)
    };
    Hist {
        unit,
        count: values.count(),
        sum: values.sum,
        min: values.min,
        max: values.max,
        mean: values.mean(),
        p50: values.quantile(0.5),
        p90: values.quantile(0.9),
        p99: values.quantile(0.99),
        p999: values.quantile(0.999),
        max_relative_error: MAX_RELATIVE_ERROR,
        buckets: values.buckets().iter().map(bucket).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_has_no_upper_edge() {
        let mut values = hist::Hist::default();
        [5, geometry::CLAMP, u64::from(u32::MAX) << 20].iter().for_each(|value| values.record(*value));
        let exported = distribution(&values, Unit::Count);
        assert_eq!(exported.buckets, [(5, Some(6), 1), (geometry::CLAMP, None, 2)]);
        assert_eq!(exported.unit, Unit::Count);
    }
}
