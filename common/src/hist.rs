//! Geometry of every histogram: log-linear, [`SUB_BUCKETS`] sub-buckets per octave.
//!
//! One function computes the index on both sides of the kernel boundary, so a bucket can never mean two things.
//! Values below [`SUB_BUCKETS`] have a bucket of their own; above, a bucket is at most 1/32 as wide as its lower
//! edge. Values of 2^40 and more land in one last bucket: clamped, and counted as such.

#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Sub-buckets per power of two.
pub const SUB_BUCKETS: u64 = 32;
const SUB_BITS: u32 = SUB_BUCKETS.trailing_zeros();
/// Values of `1 << MAX_BITS` and above are clamped into the last bucket.
pub const MAX_BITS: u32 = 40;
/// The first value that is clamped.
pub const CLAMP: u64 = 1 << MAX_BITS;
/// Index of the bucket that holds the clamped values.
pub const CLAMPED: usize = ((MAX_BITS - SUB_BITS + 1) as u64 * SUB_BUCKETS) as usize;
/// Number of buckets, the clamped one included.
pub const BUCKETS: usize = CLAMPED + 1;
/// A bucket is at most this share of its lower edge wide.
pub const MAX_RELATIVE_ERROR: f64 = 1.0 / SUB_BUCKETS as f64;

/// The values that were recorded on the CPUs of one lane.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Histogram {
    /// Sum, exact; wraps.
    pub sum: u64,
    /// Largest; two CPUs that share the lane may lose it to each other where the kernel has no compare and swap.
    pub max: u64,
    /// Smallest plus one, so that 0 means none.
    pub min_plus_1: u64,
    /// Counts by [`index`]; they wrap.
    pub buckets: [u32; BUCKETS],
    /// Keeps the size a multiple of eight.
    pub padding: u32,
}

const _: () = assert!(size_of::<Histogram>() == 24 + 4 * (BUCKETS + 1));

/// Floor of the binary logarithm; 0 for 0. BPF has no count-leading-zeros instruction: six steps do it.
#[inline(always)]
#[must_use]
pub const fn log2(value: u64) -> u32 {
    #[cfg(not(target_arch = "bpf"))]
    {
        if value == 0 { 0 } else { value.ilog2() }
    }
    #[cfg(target_arch = "bpf")]
    {
        log2_by_halving(value)
    }
}

/// The form that [`log2`] has on BPF; compiled everywhere so that the host can test it.
#[inline(always)]
#[must_use]
pub const fn log2_by_halving(value: u64) -> u32 {
    let mut rest = value;
    let mut bits = 0;
    if rest >= 1 << 32 {
        rest >>= 32;
        bits += 32;
    }
    if rest >= 1 << 16 {
        rest >>= 16;
        bits += 16;
    }
    if rest >= 1 << 8 {
        rest >>= 8;
        bits += 8;
    }
    if rest >= 1 << 4 {
        rest >>= 4;
        bits += 4;
    }
    if rest >= 1 << 2 {
        rest >>= 2;
        bits += 2;
    }
    if rest >= 1 << 1 {
        bits += 1;
    }
    bits
}

/// The bucket of a value.
#[inline(always)]
#[must_use]
pub const fn index(value: u64) -> usize {
    if value < SUB_BUCKETS {
        return value as usize;
    }
    if value >= CLAMP {
        return CLAMPED;
    }
    let shift = log2(value) - SUB_BITS;
    // The leading bit of `value >> shift` is always set: its 32 counts the octave below in.
    (shift as u64 * SUB_BUCKETS + (value >> shift)) as usize
}

/// Smallest value of a bucket.
#[must_use]
pub const fn lower(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    (bucket % SUB_BUCKETS + SUB_BUCKETS) << shift
}

/// First value above a bucket; the clamped bucket has no upper edge and answers `u64::MAX`.
#[must_use]
pub const fn upper(bucket: usize) -> u64 {
    if bucket >= CLAMPED { u64::MAX } else { lower(bucket + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_meet_without_gap_or_overlap() {
        for bucket in 0..CLAMPED {
            assert_eq!(index(lower(bucket)), bucket);
            assert_eq!(index(upper(bucket) - 1), bucket);
            assert!(upper(bucket) > lower(bucket));
        }
        assert_eq!(lower(CLAMPED), CLAMP);
        assert_eq!(index(CLAMP - 1), CLAMPED - 1);
        assert_eq!(index(u64::MAX), CLAMPED);
    }

    #[test]
    fn a_bucket_is_at_most_a_thirty_second_wide() {
        for bucket in SUB_BUCKETS as usize..CLAMPED {
            let width = upper(bucket) - lower(bucket);
            assert!(width * SUB_BUCKETS <= lower(bucket), "bucket {bucket}");
        }
    }

    #[test]
    fn both_logarithms_agree() {
        for bit in 0..64 {
            for value in [1u64 << bit, (1 << bit) | 1, (1u64 << bit).wrapping_mul(2).wrapping_sub(1)] {
                assert_eq!(log2_by_halving(value), log2(value), "{value}");
            }
        }
        assert_eq!(log2_by_halving(0), 0);
    }
}
