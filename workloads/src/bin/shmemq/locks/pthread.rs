//! The C library's own mutex, of any kind.

use pulse_trace_workloads::sys::pthread::PthreadMutex;

use super::{Counters, Knows, Lock, Stop};

/// All pthread kinds: they differ in how the mutex is made, not in how it is used.
#[derive(Debug)]
pub struct Pthread;

impl Lock for Pthread {
    type Memory = PthreadMutex;

    const KNOWS: Knows = Knows { contended: false, spins: false, limit: false, futex: false };

    #[inline]
    fn with<R>(
        memory: &PthreadMutex,
        counters: &mut Counters,
        section: impl FnOnce() -> R,
    ) -> Result<R, Stop> {
        let held = memory.with(section).map_err(Stop::Lock)?;
        counters.acquisitions += 1;
        counters.owner_deaths += u64::from(held.owner_died);
        Ok(held.value)
    }

    fn running_mean(memory: &PthreadMutex) -> Option<i16> {
        Some(memory.running_mean())
    }
}
