//! Fault injection for tests in which the tool and its helper are killed at any moment: kills one or both before the
//! step that a test names, counted in the process that does the work. Not compiled into a release.

#[cfg(not(debug_assertions))]
mod off {
    /// Notes that the next step follows.
    pub fn step() {}

    /// Notes that this process is the helper.
    pub fn in_helper() {}
}

#[cfg(debug_assertions)]
mod on {
    use std::{
        env,
        sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    };

    use rustix::process::{Signal, getpid, getppid, kill_process};

    static STEPS: AtomicU64 = AtomicU64::new(0);
    static HELPER: AtomicBool = AtomicBool::new(false);

    /// Notes that the next step follows; it may be the last. `PULSE_INLINE_DIE_AT` is its number, `PULSE_INLINE_WHO`
    /// names the process that is killed: `helper`, `tool` or `both`.
    pub fn step() {
        let last = env::var("PULSE_INLINE_DIE_AT").ok().and_then(|number| number.parse::<u64>().ok());
        let Some(last) = last.filter(|_| HELPER.load(Relaxed)) else { return };
        if last != STEPS.fetch_add(1, Relaxed) {
            return;
        }
        let who = env::var("PULSE_INLINE_WHO").unwrap_or_default();
        if let Some(tool) = getppid().filter(|_| who != "helper") {
            let _ = kill_process(tool, Signal::KILL);
        }
        if who != "tool" {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    /// Notes that this process is the helper.
    pub fn in_helper() {
        HELPER.store(true, Relaxed);
    }
}

#[cfg(not(debug_assertions))]
pub use off::{in_helper, step};
#[cfg(debug_assertions)]
pub use on::{in_helper, step};
