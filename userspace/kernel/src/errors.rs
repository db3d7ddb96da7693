//! Errors that the kernel side counts in a table, with an index for each errno: differences between two readings.

use std::collections::BTreeMap;

use model::errno;

/// Counters as they were seen last, by rising index.
#[derive(Default)]
pub struct Errors(Vec<(u32, u32)>);

impl Errors {
    /// New errors, by errno, from counters that are not zero.
    pub fn take(
        &mut self,
        now: impl Iterator<Item = (u32, u32)>,
        errno_at: impl Fn(u32) -> Option<u32>,
    ) -> BTreeMap<u32, u64> {
        let mut new = BTreeMap::new();
        for (index, counter) in now {
            let place = self.0.partition_point(|error| error.0 < index);
            if self.0.get(place).is_none_or(|error| error.0 != index) {
                self.0.reserve_exact(1);
                self.0.insert(place, (index, 0));
            }
            // Counters wrap at 32 bits, and are looked at far more often than that.
            let count = counter.wrapping_sub(std::mem::replace(&mut self.0[place].1, counter));
            if count != 0 {
                *new.entry(errno_at(index).unwrap_or(errno::OTHER)).or_default() += u64::from(count);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_wrap_lose_nothing() {
        let mut seen = Errors::default();
        let mut take =
            |errors: &[(u32, u32)]| seen.take(errors.iter().copied(), Some).into_iter().collect::<Vec<_>>();
        assert_eq!(take(&[(11, u32::MAX)]), [(11, u64::from(u32::MAX))]);
        assert_eq!(take(&[(9, 3), (11, 1)]), [(9, 3), (11, 2)]);
        assert_eq!(take(&[(9, 3), (11, 1)]), []);
        // A counter that has wrapped to zero is not reported until it rises again.
        assert_eq!(take(&[(9, 3)]), []);
    }
}
