//! For the proof that the tool and its helper may be killed at any moment: kills one or both before the step that a test
//! names, counted in the process that does the work. Not in a release.

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

    /// Notes that the next step follows; it may be the last. `PULSE_INLINE_DIE_AT` is its number, `PULSE_INLINE_WHO` says
    /// who is killed: `helper`, `tool` or `both`; `PULSE_INLINE_SIGNAL` with another signal than SIGKILL.
    pub fn step() {
        let number = |name: &str| env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
        let Some(last) = number("PULSE_INLINE_DIE_AT").filter(|_| HELPER.load(Relaxed)) else { return };
        if last != STEPS.fetch_add(1, Relaxed) {
            return;
        }
        let signal = number("PULSE_INLINE_SIGNAL").and_then(|number| Signal::from_named_raw(number as i32));
        let signal = signal.unwrap_or(Signal::KILL);
        let who = env::var("PULSE_INLINE_WHO").unwrap_or_default();
        if let Some(tool) = getppid().filter(|_| who != "helper") {
            let _ = kill_process(tool, signal);
        }
        if who != "tool" {
            let _ = kill_process(getpid(), signal);
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
