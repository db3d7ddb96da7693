//! Schedule on which processes that have ended are read, and those that are new are met.

use std::{io, os::fd::OwnedFd, time::Duration};

use probes::source::live::Live;
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until},
};

/// Finished processes are read at most this often between frames.
const PAUSE: Duration = Duration::from_millis(10);
/// The same while many processes end.
const SHORT: Duration = Duration::from_millis(1);

/// Goes round after the kernel side has called, with pauses.
#[derive(Default)]
pub struct Harvest {
    pause: Option<Instant>,
    /// True if the kernel side has called in this pause.
    is_owed: bool,
}

impl Harvest {
    /// Waits for a call of the kernel side or the end of a pause; tells whether it was a call. What is new is to get
    /// its probes even in a pause.
    pub async fn next(&self, calls: &AsyncFd<OwnedFd>, is_probing: bool) -> io::Result<bool> {
        tokio::select! {
            ready = calls.readable(), if self.pause.is_none() || is_probing => {
                ready?.clear_ready();
                Ok(true)
            }
            () = self.end() => Ok(false),
        }
    }

    /// Does what is due.
    pub fn turn(&mut self, is_called: bool, live: &mut Live) {
        if is_called {
            return self.called(live);
        }
        self.pause = None;
        if std::mem::take(&mut self.is_owed) {
            self.called(live);
        }
    }

    fn called(&mut self, live: &mut Live) {
        if self.pause.is_some() {
            self.is_owed = true;
            live.meet_new();
        } else {
            // In a storm of short processes rows run out within a pause.
            let begin = Instant::now();
            let pause = if live.harvest() { SHORT } else { PAUSE };
            // Where there are many to look through, that must not take more than its share.
            let now = Instant::now();
            self.pause = Some(now + pause.max(now - begin));
        }
    }

    async fn end(&self) {
        match self.pause {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }
}
