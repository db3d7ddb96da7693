//! Numbers by which something is done now and then, lest a program that does things at intervals is always met at the
//! same one.

/// A number that looks nothing like the one before.
#[must_use]
pub const fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::scattered;

    #[test]
    fn they_fall_anywhere() {
        let sum: u64 = (0..10_000).map(|number| scattered(number) % 100).sum();
        assert!((480_000..510_000).contains(&sum), "{sum}");
        assert_ne!(scattered(0) % 100, scattered(1) % 100);
    }
}
