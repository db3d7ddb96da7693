//! Schedule of reading counters while a dashboard shows them: as often as was asked for, and in full as often as is
//! affordable.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The largest share of a CPU that the tool takes for itself by reading more often than it must.
const SHARE: f64 = 0.024;
/// Longest time between glances, unless a longer one was asked for.
const ENOUGH: Duration = Duration::from_secs(1);
/// Weight of one reading beside those before it.
const WEIGHT: f64 = 0.25;
/// A plan is kept until it is off by more than this.
const SLACK: f64 = 1.2;

/// Purpose of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Counts, without histograms.
    Glance,
    /// A whole frame.
    Frame,
}

/// Cuts time into ticks, and ticks into frames.
pub struct Rhythm {
    asked: Duration,
    /// Length to which a frame may grow; `None` where no dashboard shows it.
    longest: Option<Duration>,
    /// Length of a tick.
    length: Duration,
    /// Number of ticks of a frame.
    count: u32,
    ticks: Interval,
    /// Ticks since the last frame.
    passed: u32,
    last: Turn,
    cpu_ns: Option<u64>,
    costs: Costs,
}

/// Cost of a reading until the next one is due, painting included: ns of CPU time of the whole tool.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    glance: Option<f64>,
    frame: Option<f64>,
}

impl Rhythm {
    /// As asked for; with a longest frame, only as often as is affordable, and frames at least that often.
    pub fn new(asked: Duration, longest: Option<Duration>) -> Self {
        Self {
            asked,
            longest,
            length: asked,
            count: 1,
            ticks: ticks(asked),
            passed: 0,
            last: Turn::Frame,
            cpu_ns: None,
            costs: Costs::default(),
        }
    }

    /// Waits for the end of a tick.
    pub async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// A frame out of turn; the next one is counted from here.
    pub fn cut(&mut self) -> Turn {
        (self.passed, self.last, self.cpu_ns) = (0, Turn::Frame, None);
        self.ticks.reset();
        self.last
    }

    /// Purpose of the tick that has just ended, at this CPU time of the whole tool.
    pub fn turn(&mut self, cpu_ns: u64) -> Turn {
        if let Some((before, longest)) = self.cpu_ns.replace(cpu_ns).zip(self.longest) {
            self.costs.add(self.last, cpu_ns.saturating_sub(before) as f64);
            self.adapt(longest);
        }
        self.passed += 1;
        self.last = if self.passed >= self.count { Turn::Frame } else { Turn::Glance };
        if self.last == Turn::Frame {
            self.passed = 0;
        }
        self.last
    }

    fn adapt(&mut self, longest: Duration) {
        let (length, count) = self.costs.plan(self.asked, longest);
        let frame = |length: Duration, count: u32| length.as_secs_f64() * f64::from(count);
        let off = |ratio: f64| !(1.0 / SLACK..=SLACK).contains(&ratio);
        let is_off = off(frame(length, count) / frame(self.length, self.count))
            || off(length.as_secs_f64() / self.length.as_secs_f64());
        let as_asked = (length, count) == (self.asked, 1);
        if (length, count) != (self.length, self.count) && (is_off || as_asked) {
            self.count = count;
            if length != self.length {
                (self.length, self.ticks) = (length, ticks(length));
            }
        }
    }
}

impl Costs {
    fn add(&mut self, turn: Turn, cost: f64) {
        let mean = match turn {
            Turn::Glance => &mut self.glance,
            Turn::Frame => &mut self.frame,
        };
        *mean = Some(mean.map_or(cost, |mean| mean + (cost - mean) * WEIGHT));
    }

    /// Length of a tick, and number of ticks of a frame.
    fn plan(&self, asked: Duration, longest: Duration) -> (Duration, u32) {
        let frame = self.frame.unwrap_or(0.0);
        let allowed = asked.as_nanos() as f64 * SHARE;
        if frame <= allowed || asked >= longest.min(ENOUGH) {
            return (asked, 1);
        }
        // Before there was any: less than a frame.
        let glance = self.glance.unwrap_or(frame / 8.0).min(frame);
        let spare = allowed - glance;
        let (least, longest) = (longest.as_secs_f64() / ENOUGH.as_secs_f64(), longest.as_nanos() as f64);
        let most = longest / asked.as_nanos() as f64;
        if spare > 0.0 && (frame - glance) / spare <= most {
            return (asked, ((frame - glance) / spare).ceil().max(1.0) as u32);
        }
        let glances = (longest * SHARE - frame) / glance.max(1.0);
        let ticks = (glances + 1.0).clamp(least.max(1.0), most);
        (Duration::from_nanos((longest / ticks) as u64), ticks as u32)
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

    const US: u64 = 1000;
    const LONGEST: Duration = Duration::from_secs(4);

    /// A rhythm after so many ticks at these costs.
    fn run(rhythm: &mut Rhythm, ticks: u32, glance_us: u64, frame_us: u64) {
        let mut cpu = 0;
        rhythm.cpu_ns = None;
        for _ in 0..ticks {
            cpu += match rhythm.turn(cpu) {
                Turn::Glance => glance_us * US,
                Turn::Frame => frame_us * US,
            };
        }
    }

    fn after(asked_ms: u64, glance_us: u64, frame_us: u64) -> (u64, u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut rhythm = Rhythm::new(Duration::from_millis(asked_ms), Some(LONGEST));
        run(&mut rhythm, 2000, glance_us, frame_us);
        (rhythm.length.as_millis() as u64, rhythm.count)
    }

    #[test]
    fn what_costs_little_comes_as_asked_for_and_dear_frames_less_often() {
        assert_eq!(after(100, 100, 500), (100, 1));
        // 2.4 ms each 100 ms are allowed: 0.4 ms of them for a glance leave 2 ms for a frame of 10 ms.
        assert_eq!(after(100, 400, 10_300), (100, 5));
        // Where glances are too dear, they come less often too: four seconds allow 96 ms.
        assert_eq!(after(100, 4_000, 54_000), (347, 11));
        // Never less often than once a second, and once every four.
        assert_eq!(after(100, 90_000, 90_000), (1000, 4));
        assert_eq!(after(1000, 90_000, 900_000), (1000, 1));
    }

    #[test]
    fn the_share_is_kept_wherever_it_can_be() {
        for (glance, frame) in [(100, 3_000), (500, 9_000), (1_500, 30_000), (2_100, 40_000), (5_000, 60_000)]
        {
            let (length, count) = after(100, glance, frame);
            let cost =
                (frame + u64::from(count - 1) * glance) as f64 / (f64::from(count) * length as f64 * 1e3);
            assert!(cost <= SHARE * SLACK, "{glance} {frame}: {length} ms x {count}, {cost}");
        }
    }

    #[test]
    fn a_load_that_is_over_is_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut rhythm = Rhythm::new(Duration::from_millis(100), Some(LONGEST));
        run(&mut rhythm, 500, 1_000, 20_000);
        assert!(rhythm.count > 10, "{}", rhythm.count);
        run(&mut rhythm, 1500, 20, 200);
        assert_eq!((rhythm.length, rhythm.count), (Duration::from_millis(100), 1));
    }

    #[test]
    fn without_a_dashboard_the_interval_is_as_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut rhythm = Rhythm::new(Duration::from_millis(100), None);
        run(&mut rhythm, 100, 90_000, 90_000);
        assert_eq!((rhythm.length, rhythm.count), (Duration::from_millis(100), 1));
    }
}
