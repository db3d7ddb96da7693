//! Distributions out of exports: what `export::distribution` writes, read back.

use model::hist;
use pulse_trace_common::hist as geometry;
use thiserror::Error;

use crate::export::json::Hist;

/// Counts and sums beyond this are no measurement.
const LARGEST: u64 = 1 << 60;

/// Reason why a distribution of a file cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HistError {
    /// Buckets that mean something else.
    #[error("its histograms have another geometry")]
    Geometry,
    /// More values than buckets hold, or fewer.
    #[error("a histogram does not add up")]
    Sum,
    /// Extremes that no values have.
    #[error("a histogram has a minimum or a maximum that its buckets cannot hold")]
    Extremes,
}

/// The values of an exported distribution.
///
/// # Errors
/// If its buckets are not ours, or do not hold what it says.
pub fn values(exported: &Hist) -> Result<hist::Hist, HistError> {
    let mut values = hist::Hist::default();
    (values.sum, values.min, values.max) = (exported.sum, exported.min, exported.max);
    let mut count: u64 = 0;
    for (lower, upper, held) in &exported.buckets {
        let index = geometry::index(*lower);
        // The bundled programs write out the edge that an export leaves open.
        let edge = |it: u64| it == geometry::upper(index) || index == geometry::CLAMPED;
        if geometry::lower(index) != *lower || !upper.is_none_or(edge) {
            return Err(HistError::Geometry);
        }
        values.add(index as u16, *held);
        count = count.checked_add(*held).ok_or(HistError::Sum)?;
    }
    // Far above what any session holds; sums of several files must not overflow.
    let sane = count <= LARGEST && exported.sum <= LARGEST;
    if !sane || count != exported.count {
        return Err(HistError::Sum);
    }
    if values.has_possible_extremes() { Ok(values) } else { Err(HistError::Extremes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{distribution, json::Unit};

    fn some() -> hist::Hist {
        let mut values = hist::Hist::default();
        [0, 31, 32, 1000, 123_456_789, geometry::CLAMP + 5].iter().for_each(|value| values.record(*value));
        values
    }

    #[test]
    fn what_is_exported_reads_back() {
        assert_eq!(values(&distribution(&some(), Unit::Ns)), Ok(some()));
    }

    #[test]
    fn other_buckets_are_refused() {
        let mut other = distribution(&some(), Unit::Ns);
        other.buckets[3].1 = Some(5000);
        assert_eq!(values(&other), Err(HistError::Geometry));
        let mut short = distribution(&some(), Unit::Ns);
        short.count += 1;
        assert_eq!(values(&short), Err(HistError::Sum));
    }

    #[test]
    fn extremes_that_no_values_have_are_refused() {
        for (min, max) in
            [(Some(2000), Some(1000)), (Some(0), None), (None, Some(5)), (Some(1), Some(u64::MAX))]
        {
            let mut damaged = distribution(&some(), Unit::Ns);
            (damaged.min, damaged.max) = (min, max);
            assert_eq!(values(&damaged), Err(HistError::Extremes), "{min:?} {max:?}");
        }
    }
}
