//! Values as they stand in files: what is left out, and limits that no session exceeds. A file may come from any source.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// No interval of a session comes near: what a forged file says above it would only make sums overflow.
pub const LARGEST_COUNT: u64 = 1 << 50;
/// The same for a time.
pub const LARGEST_TIME_NS: u64 = 1 << 60;

/// True for a value that need not be written.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads a count that can be.
///
/// # Errors
/// When it is too large.
pub fn count<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    up_to(LARGEST_COUNT, "a count is too large", u64::deserialize(input)?)
}

/// Reads a time that can be, ns.
///
/// # Errors
/// When it is too long.
pub fn time<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    up_to(LARGEST_TIME_NS, "a time is too long", u64::deserialize(input)?)
}

fn up_to<E: Error>(largest: u64, fault: &str, value: u64) -> Result<u64, E> {
    if value > largest { Err(E::custom(fault)) } else { Ok(value) }
}

/// Writes counts by number as pairs; for [`serde`].
///
/// # Errors
/// Those of the output.
pub fn write_pairs<S: Serializer>(counts: &BTreeMap<u32, u64>, output: S) -> Result<S::Ok, S::Error> {
    output.collect_seq(counts)
}

/// Reads pairs of number and count.
///
/// # Errors
/// When a count is too large.
pub fn read_pairs<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<u32, u64>, D::Error> {
    let pairs = Vec::<(u32, u64)>::deserialize(input)?;
    pairs.iter().try_for_each(|pair| up_to(LARGEST_COUNT, "a count is too large", pair.1).map(drop))?;
    Ok(pairs.into_iter().collect())
}
