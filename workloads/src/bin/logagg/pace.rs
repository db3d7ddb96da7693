//! When the next message is due: on a fixed schedule, so that a late message does not put off the ones after it.

use std::time::Duration;

/// The schedule of one producer.
#[derive(Debug)]
pub struct Pace {
    start_ns: u64,
    interval_ns: Option<f64>,
    jitter: f64,
    random: Random,
}

impl Pace {
    /// Begins at `start_ns`; without an interval every message is due at once.
    pub fn new(start_ns: u64, interval: Option<Duration>, jitter_percent: u8, seed: u64) -> Self {
        let interval_ns = interval.map(|interval| interval.as_secs_f64() * 1e9);
        Self { start_ns, interval_ns, jitter: f64::from(jitter_percent) / 100.0, random: Random::new(seed) }
    }

    /// When message `seq` is due, CLOCK_MONOTONIC; none when at once.
    pub fn due_ns(&mut self, seq: u64) -> Option<u64> {
        let interval = self.interval_ns?;
        let shift = self.jitter * self.random.unit();
        Some(self.start_ns + ((seq as f64 + 1.0 + shift) * interval) as u64)
    }
}

/// Xorshift: enough for a jitter, the same everywhere for the same seed.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Option<Duration> = Some(Duration::from_millis(100));

    #[test]
    fn the_schedule_does_not_drift() {
        let mut pace = Pace::new(1000, TENTH, 0, 1);
        assert_eq!(pace.due_ns(0), Some(100_001_000));
        assert_eq!(pace.due_ns(49), Some(5_000_001_000));
        assert_eq!(Pace::new(0, None, 0, 1).due_ns(7), None);
    }

    #[test]
    fn jitter_stays_inside_its_share_and_repeats_with_its_seed() {
        let times = |seed| {
            let mut pace = Pace::new(0, TENTH, 50, seed);
            (0..100).map(|seq| pace.due_ns(seq).unwrap()).collect::<Vec<_>>()
        };
        for (seq, due) in times(3).into_iter().enumerate() {
            let base = (seq as u64 + 1) * 100_000_000;
            assert!((base..base + 50_000_000).contains(&due));
        }
        assert_eq!(times(3), times(3));
        assert_ne!(times(3), times(4));
    }
}
