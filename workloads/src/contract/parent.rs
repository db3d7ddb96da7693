//! A worker process must not outlive the program that started it.

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::stop;

/// Asks the kernel for SIGTERM when the parent dies; call first thing in a worker process.
///
/// `parent` is the pid the parent passed on: when it is already gone the stop is asked for at once, so the race between
/// the start and this call is closed. Dies with the parent's *thread* that started it: start workers from a thread that
/// lives as long as they do.
pub fn tie_to_parent(parent: u32) {
    // Refused only for a bad signal number, which SIGTERM is not.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    let alive = getppid().is_some_and(|pid| pid.as_raw_nonzero().get().unsigned_abs() == parent);
    if !alive {
        stop();
    }
}
