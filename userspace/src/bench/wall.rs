//! Wall time of a program of a round: from its release to its end, traced or not.

use std::{
    io,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use kernel::target::Pinned;
use rustix::event::{PollFd, PollFlags, poll};

/// Waits for the end of a program beside everything else: letting go of what traced it takes a while, and is none
/// of its time.
pub struct Wall {
    ended: JoinHandle<io::Result<Instant>>,
}

impl Wall {
    /// Begins to wait for the end of a process.
    ///
    /// # Errors
    /// When the machine is out of descriptors or threads.
    pub fn of(process: &Pinned) -> io::Result<Self> {
        let process = process.descriptor().try_clone_to_owned()?;
        let wait = move || {
            while let Err(error) = poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {
                if error != rustix::io::Errno::INTR {
                    return Err(error.into());
                }
            }
            Ok(Instant::now())
        };
        Ok(Self { ended: thread::Builder::new().name("round".to_owned()).spawn(wait)? })
    }

    /// The time since it was let go; waits until it has ended.
    ///
    /// # Errors
    /// When its end could not be waited for.
    pub fn since(self, released: Instant) -> io::Result<Duration> {
        let ended =
            self.ended.join().map_err(|_| io::Error::other("the thread that waited for it failed"))??;
        Ok(ended.saturating_duration_since(released))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_done_before_the_release_and_after_the_end_is_none_of_its_time() {
        let before = Instant::now();
        let mut child = Command::new("sleep").arg("0.02").spawn().unwrap();
        let wall = Wall::of(&Pinned::process(child.id()).unwrap()).unwrap();
        let released = Instant::now();
        child.wait().unwrap();
        while !wall.ended.is_finished() {
            thread::yield_now();
        }
        let seen = released.elapsed();
        thread::sleep(Duration::from_millis(30));
        let ran = wall.since(released).unwrap();
        assert!(ran <= seen, "{ran:?} of {seen:?}");
        assert!(released.duration_since(before) + ran >= Duration::from_millis(20), "{ran:?}");
    }
}
