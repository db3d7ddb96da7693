//! Values as they stand in files: what is left out, and limits that no session exceeds. A file may come from any source.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// No interval of a session comes near: what a forged file says above it would only make sums overflow.
pub const LARGEST_COUNT: u64 = 1 << 50;
/// The same for a time.
pub const LARGEST_TIME_NS: u64 = 1 << 60;

/// Cause why a count is refused.
pub(crate) const COUNT_TOO_LARGE: &str = "a count is too large";
/// Cause why a time is refused.
pub(crate) const TIME_TOO_LONG: &str = "a time is too long";

/// True for a value that need not be written.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One number or several, to which one limit applies.
pub trait Numbers {
    /// The largest of them; 0 where there are none.
    fn largest(&self) -> u64;
}

impl Numbers for u64 {
    fn largest(&self) -> u64 {
        *self
    }
}

impl<T: Numbers> Numbers for Option<T> {
    fn largest(&self) -> u64 {
        self.as_ref().map_or(0, T::largest)
    }
}

impl<const N: usize> Numbers for [u64; N] {
    fn largest(&self) -> u64 {
        self.iter().copied().max().unwrap_or(0)
    }
}

impl<T: Numbers> Numbers for BTreeMap<String, T> {
    fn largest(&self) -> u64 {
        self.values().map(T::largest).max().unwrap_or(0)
    }
}

/// Reads numbers up to a limit.
///
/// # Errors
/// This one, when a number is above it.
pub fn up_to<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(
    largest: u64,
    fault: &str,
    input: D,
) -> Result<T, D::Error> {
    let numbers = T::deserialize(input)?;
    let is_too_large = numbers.largest() > largest;
    if is_too_large { Err(Error::custom(fault)) } else { Ok(numbers) }
}

/// Reads counts that can be.
///
/// # Errors
/// When one is too large.
pub fn count<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    up_to(LARGEST_COUNT, COUNT_TOO_LARGE, input)
}

/// Reads times that can be, ns.
///
/// # Errors
/// When one is too long.
pub fn time<'de, T: Numbers + Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    up_to(LARGEST_TIME_NS, TIME_TOO_LONG, input)
}

/// Reads a cost or a share that can be, where there is one.
///
/// # Errors
/// When it is negative or too large.
pub fn cost<'de, T, D>(input: D) -> Result<T, D::Error>
where
    T: Copy + Into<Option<f64>> + Deserialize<'de>,
    D: Deserializer<'de>,
{
    let value = T::deserialize(input)?;
    let possible = |cost: f64| (0.0..=LARGEST_TIME_NS as f64).contains(&cost);
    if value.into().is_none_or(possible) { Ok(value) } else { Err(Error::custom("a cost is out of range")) }
}

/// Refuses counts that are too large, of those that were read together with something else.
///
/// # Errors
/// When one is.
pub fn check_counts<E: Error>(counts: impl IntoIterator<Item = u64>) -> Result<(), E> {
    let too_large = counts.into_iter().any(|count| count > LARGEST_COUNT);
    if too_large { Err(E::custom(COUNT_TOO_LARGE)) } else { Ok(()) }
}

/// Refuses times that are too long, of those that were read together with something else.
///
/// # Errors
/// When one is.
pub fn check_times<E: Error>(times: impl IntoIterator<Item = u64>) -> Result<(), E> {
    let too_long = times.into_iter().any(|time| time > LARGEST_TIME_NS);
    if too_long { Err(E::custom(TIME_TOO_LONG)) } else { Ok(()) }
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
    check_counts(pairs.iter().map(|pair| pair.1))?;
    Ok(pairs.into_iter().collect())
}
