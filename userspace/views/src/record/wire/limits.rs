//! Limits that no session exceeds: a file may come from any source.

/// A value in the file that no session can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Impossible(pub &'static str);

/// No interval of a session comes near: what a forged file says above it would only make sums overflow.
pub const LARGEST_COUNT: u64 = 1 << 50;
/// The same for a time.
pub const LARGEST_TIME_NS: u64 = 1 << 60;

/// Refuses counts that cannot be.
pub fn counts(counts: impl IntoIterator<Item = u64>) -> Result<(), Impossible> {
    let too_large = counts.into_iter().any(|count| count > LARGEST_COUNT);
    if too_large { Err(Impossible("a count is too large")) } else { Ok(()) }
}

/// Refuses times that cannot be.
pub fn times(times: impl IntoIterator<Item = u64>) -> Result<(), Impossible> {
    let too_long = times.into_iter().any(|time| time > LARGEST_TIME_NS);
    if too_long { Err(Impossible("a time is too long")) } else { Ok(()) }
}

/// Refuses costs and shares that cannot be.
pub fn positive(values: impl IntoIterator<Item = f64>) -> Result<(), Impossible> {
    let possible = |value: f64| (0.0..=LARGEST_TIME_NS as f64).contains(&value);
    if values.into_iter().all(possible) { Ok(()) } else { Err(Impossible("a cost is out of range")) }
}
