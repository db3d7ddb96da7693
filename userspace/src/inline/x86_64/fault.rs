//! For the proof that the tool may be killed at any moment: kills it before the step that a test names.

/// Notes that the next step follows.
#[cfg(not(feature = "kernel-tests"))]
pub fn step() {}

/// Notes that the next step follows; it may be the last.
#[cfg(feature = "kernel-tests")]
pub fn step() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static STEPS: AtomicU64 = AtomicU64::new(0);
    let last = std::env::var("PULSE_INLINE_DIE_AT").ok().and_then(|number| number.parse::<u64>().ok());
    if last == Some(STEPS.fetch_add(1, Relaxed)) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
