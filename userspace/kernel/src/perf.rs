//! Performance counters of a thread: the system calls that open, start and read one.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::event::{Attributes, DISABLED, ENABLE, SOFTWARE};

/// A counter in the numbers of `perf_event.h`: its family, and the number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    kind: u32,
    config: u64,
}

impl Event {
    /// A counter of the kernel, by its number.
    #[must_use]
    pub const fn software(number: u64) -> Self {
        Self { kind: SOFTWARE, config: number }
    }

    /// A counter of the processor, by its generic number.
    #[must_use]
    pub const fn hardware(number: u64) -> Self {
        Self { kind: 0, config: number }
    }

    /// Loads from a cache, or their misses.
    #[must_use]
    pub const fn cache_loads(cache: u64, misses: bool) -> Self {
        Self { kind: 3, config: cache | (misses as u64) << 16 }
    }
}

/// Tasks that are counted with the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heirs {
    /// No other task.
    None,
    /// Threads that it creates, and theirs.
    Threads,
    /// Threads and processes that it creates, and theirs.
    Everybody,
}

/// Start of the counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// On a call of [`PerfCounter::enable`].
    Enabled,
    /// On the thread's next `exec`.
    OnExec,
}

const INHERIT: u64 = 1 << 1;
const ENABLE_ON_EXEC: u64 = 1 << 12;
const INHERIT_THREAD: u64 = 1 << 35;
/// Count, time enabled, time running.
const TOTAL_TIMES: u64 = 0b11;

/// An open counter. It keeps its count when the thread ends.
#[derive(Debug)]
pub struct PerfCounter(OwnedFd);

impl PerfCounter {
    /// Opens a counter of one thread, on whichever CPU it runs.
    ///
    /// # Errors
    /// As `perf_event_open(2)` has them.
    pub fn open(event: Event, tid: u32, heirs: Heirs, begin: Begin) -> io::Result<Self> {
        let heirs = match heirs {
            Heirs::None => 0,
            Heirs::Threads => INHERIT | INHERIT_THREAD,
            Heirs::Everybody => INHERIT,
        };
        let begin = if begin == Begin::OnExec { ENABLE_ON_EXEC } else { 0 };
        Attributes {
            kind: event.kind,
            config: event.config,
            read_format: TOTAL_TIMES,
            flags: DISABLED | heirs | begin,
            ..Attributes::default()
        }
        .open(tid)
        .map(Self)
    }

    /// Begins to count, in the thread and in those that have inherited the counter.
    ///
    /// # Errors
    /// As `ioctl(2)` has them.
    pub fn enable(&self) -> io::Result<()> {
        // SAFETY: this request reads and writes no memory of ours.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), ENABLE, 0) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Value of the counter since it began: count, time enabled and time running, in ns.
    ///
    /// # Errors
    /// As `read(2)` has them; end of file, when the counter has an error state.
    pub fn read(&self) -> io::Result<[u64; 3]> {
        let mut bytes = [0; 3 * size_of::<u64>()];
        if rustix::io::read(&self.0, &mut bytes)? != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (words, _) = bytes.as_chunks::<8>();
        Ok([0, 1, 2].map(|nth: usize| u64::from_ne_bytes(words[nth])))
    }
}

#[cfg(test)]
mod tests {
    use pulse_trace_testing::need;

    use super::*;

    const TASK_CLOCK: Event = Event::software(1);

    #[test]
    fn an_event_that_does_not_exist_is_refused() {
        let error = PerfCounter::open(Event::software(4711), 0, Heirs::None, Begin::Enabled).unwrap_err();
        // A sandbox may forbid counters altogether.
        let known = [libc::ENOENT, libc::EINVAL, libc::EACCES, libc::EPERM, libc::ENOSYS];
        assert!(known.contains(&error.raw_os_error().unwrap()), "{error}");
    }

    #[test]
    fn it_counts_from_when_it_is_enabled() {
        // A sandbox may forbid counters altogether.
        let counter = need!(PerfCounter::open(TASK_CLOCK, 0, Heirs::None, Begin::Enabled));
        assert_eq!(counter.read().unwrap(), [0, 0, 0]);
        counter.enable().unwrap();
        let [count, enabled, running] = counter.read().unwrap();
        assert!(count > 0 && enabled >= running && running > 0);
    }
}
