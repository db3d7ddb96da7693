//! When processes that have ended are read, and those that are new are met.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::source::live::Live;

/// Finished processes are read at most this often between frames.
const PAUSE: Duration = Duration::from_millis(10);

/// Goes round after the kernel side has called, with pauses.
#[derive(Default)]
pub struct Harvest {
    pause: Option<Instant>,
    /// Whether somebody has called in this pause.
    is_owed: bool,
}

impl Harvest {
    /// Whether a call is heard now: what is new is to get its probes even in a pause.
    pub fn listens(&self, live: &Live) -> bool {
        self.pause.is_none() || live.is_probing()
    }

    /// The kernel side has called.
    pub fn called(&mut self, live: &mut Live) {
        if self.pause.is_some() {
            self.is_owed = true;
            live.meet_new();
        } else {
            live.harvest();
            self.pause = Some(Instant::now() + PAUSE);
        }
    }

    /// Waits for the end of a pause.
    pub async fn pause(&self) {
        match self.pause {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    /// It has come.
    pub fn go_on(&mut self, live: &mut Live) {
        self.pause = None;
        if std::mem::take(&mut self.is_owed) {
            self.called(live);
        }
    }
}
