//! How often counters are read while somebody watches: as often as was asked for, unless that costs too much.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The largest share of a CPU that the tool takes for itself by reading more often than [`ENOUGH`].
const SHARE: f64 = 0.025;
/// Nobody is made to wait longer than this for a frame, unless that was asked for.
const ENOUGH: Duration = Duration::from_secs(1);
/// How much one frame counts beside those before it.
const WEIGHT: f64 = 0.25;
/// A length is kept until it is off by more than this.
const SLACK: f64 = 1.2;

/// Cuts time into frames.
pub struct Rhythm {
    asked: Duration,
    watched: bool,
    length: Duration,
    ticks: Interval,
    /// What a frame costs, ns of CPU time of the whole tool.
    cost_ns: Option<f64>,
}

impl Rhythm {
    /// As asked for; where somebody watches, only as long as it is affordable.
    pub fn new(asked: Duration, watched: bool) -> Self {
        Self { asked, watched, length: asked, ticks: ticks(asked), cost_ns: None }
    }

    /// Waits for the end of a frame.
    pub async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// Heeds what a frame has cost.
    pub fn heed(&mut self, cost_ns: u64) {
        let length = self.length_after(cost_ns);
        if self.watched && length != self.length {
            self.length = length;
            self.ticks = ticks(length);
        }
    }

    fn length_after(&mut self, cost_ns: u64) -> Duration {
        let cost = cost_ns as f64;
        let mean = self.cost_ns.map_or(cost, |mean| mean + (cost - mean) * WEIGHT);
        self.cost_ns = Some(mean);
        let affordable = Duration::from_nanos((mean / SHARE) as u64);
        let length = affordable.clamp(self.asked, self.asked.max(ENOUGH));
        let ratio = length.as_secs_f64() / self.length.as_secs_f64();
        if (1.0 / SLACK..=SLACK).contains(&ratio) && length != self.asked { self.length } else { length }
    }
}

/// Ticks that come late rather than in a heap.
pub fn ticks(length: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + length, length);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(asked_ms: u64, cost_us: u64) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut rhythm = Rhythm::new(Duration::from_millis(asked_ms), true);
        (0..40).for_each(|_| rhythm.heed(cost_us * 1000));
        rhythm.length.as_millis() as u64
    }

    #[test]
    fn frames_that_cost_little_come_as_asked_for_and_dear_ones_less_often() {
        assert_eq!(after(100, 500), 100);
        assert_eq!(after(100, 10_000), 400);
        // Not longer than a second, and never shorter than asked for.
        assert_eq!(after(100, 900_000), 1000);
        assert_eq!(after(5000, 900_000), 5000);
    }

    #[test]
    fn a_load_that_is_over_is_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut rhythm = Rhythm::new(Duration::from_millis(100), true);
        (0..40).for_each(|_| rhythm.heed(20_000_000));
        assert_eq!(rhythm.length, Duration::from_millis(800));
        (0..40).for_each(|_| rhythm.heed(200_000));
        assert_eq!(rhythm.length, Duration::from_millis(100));
    }
}
