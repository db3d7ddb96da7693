//! Schedule on which targets' memory is looked at: often, and never at equal intervals.

use std::time::Duration;

use model::scatter::scattered;
use probes::source::live::Live;
use tokio::time::{Instant, sleep_until};

/// The shortest pause, and what is added to it at most.
const PAUSE: Duration = Duration::from_millis(10);
const SPREAD_US: u64 = 20_000;

/// The next look.
pub struct Looks {
    at: Instant,
    number: u64,
}

impl Looks {
    /// The first one is due.
    pub fn begin() -> Self {
        Self { at: Instant::now(), number: 0 }
    }

    /// Waits for the next one; that may be called off and waited for again.
    pub async fn due(&self) {
        sleep_until(self.at).await;
    }

    /// Looks at the memory of all mutexes, and sets the time of the next look.
    pub fn look(&mut self, live: &mut Live) {
        live.look_at_mutexes();
        self.number += 1;
        self.at = Instant::now() + PAUSE + Duration::from_micros(scattered(self.number) % SPREAD_US);
    }
}
