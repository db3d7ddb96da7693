//! The kernel's counters for the calling thread, as `perf stat` reads them.
//!
//! A counter that the machine or the rights of the user do not give is `None`: not supported is no zero.
#![expect(unsafe_code, reason = "perf_event_open has no safe wrapper")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;

use serde::{Deserialize, Serialize};

/// The first published form of `perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    address: u64,
}

const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;
const CACHE: u32 = 3;
const L1D_LOADS: u64 = 0;
const L1D_LOAD_MISSES: u64 = 1 << 16;
const LLC_LOADS: u64 = 2;
const LLC_LOAD_MISSES: u64 = LLC_LOADS + (1 << 16);
const EXCLUDE_KERNEL: u64 = 1 << 5;
const TOTAL_TIMES: u64 = 0b11;
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// Resources that a thread used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Time on a CPU in nanoseconds.
    pub task_clock_ns: Option<u64>,
    /// Times it left the CPU.
    pub context_switches: Option<u64>,
    /// Times it came back on another one.
    pub migrations: Option<u64>,
    /// Page faults of all kinds.
    pub page_faults: Option<u64>,
    /// Processor cycles, in user mode only if the rights allow no more.
    pub cycles: Option<u64>,
    /// Instructions retired.
    pub instructions: Option<u64>,
    /// Branch instructions retired.
    pub branches: Option<u64>,
    /// Mispredicted branches.
    pub branch_misses: Option<u64>,
    /// References to the last cache.
    pub cache_references: Option<u64>,
    /// Those it had not.
    pub cache_misses: Option<u64>,
    /// Cycles without work from the front end.
    pub stalled_frontend: Option<u64>,
    /// Cycles waiting for the back end.
    pub stalled_backend: Option<u64>,
    /// Loads of the first-level data cache.
    pub l1d_loads: Option<u64>,
    /// Those it had not.
    pub l1d_load_misses: Option<u64>,
    /// Loads of the last-level cache.
    pub llc_loads: Option<u64>,
    /// Those it had not.
    pub llc_load_misses: Option<u64>,
}

impl Counts {
    /// The sum; known only where both are.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        for ((_, mine), (_, theirs)) in sum.named_mut().into_iter().zip(other.named()) {
            *mine = mine.zip(theirs).map(|(mine, theirs)| mine + theirs);
        }
        sum
    }

    /// Every counter with the name `perf stat` gives it.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<u64>); 16] {
        let mut copy = *self;
        copy.named_mut().map(|(name, value)| (name, *value))
    }

    fn named_mut(&mut self) -> [(&'static str, &mut Option<u64>); 16] {
        [
            ("task-clock", &mut self.task_clock_ns),
            ("context-switches", &mut self.context_switches),
            ("cpu-migrations", &mut self.migrations),
            ("page-faults", &mut self.page_faults),
            ("cycles", &mut self.cycles),
            ("instructions", &mut self.instructions),
            ("branches", &mut self.branches),
            ("branch-misses", &mut self.branch_misses),
            ("cache-references", &mut self.cache_references),
            ("cache-misses", &mut self.cache_misses),
            ("stalled-cycles-frontend", &mut self.stalled_frontend),
            ("stalled-cycles-backend", &mut self.stalled_backend),
            ("L1-dcache-loads", &mut self.l1d_loads),
            ("L1-dcache-load-misses", &mut self.l1d_load_misses),
            ("LLC-loads", &mut self.llc_loads),
            ("LLC-load-misses", &mut self.llc_load_misses),
        ]
    }
}

/// Kind and number of every counter, in the order of [`Counts::named`].
const EVENTS: [(u32, u64); 16] = [
    (SOFTWARE, 1),
    (SOFTWARE, 3),
    (SOFTWARE, 4),
    (SOFTWARE, 2),
    (HARDWARE, 0),
    (HARDWARE, 1),
    (HARDWARE, 4),
    (HARDWARE, 5),
    (HARDWARE, 2),
    (HARDWARE, 3),
    (HARDWARE, 7),
    (HARDWARE, 8),
    (CACHE, L1D_LOADS),
    (CACHE, L1D_LOAD_MISSES),
    (CACHE, LLC_LOADS),
    (CACHE, LLC_LOAD_MISSES),
];

/// Counters of the calling thread, running.
#[derive(Debug)]
pub struct Counters(Vec<Option<File>>);

impl Counters {
    /// Starts what can be started.
    #[must_use]
    pub fn start() -> Self {
        Self(EVENTS.iter().map(|(kind, config)| open(*kind, *config).ok()).collect())
    }

    /// Counts since the start.
    #[must_use]
    pub fn read(&self) -> Counts {
        let mut counts = Counts::default();
        for ((_, slot), file) in counts.named_mut().into_iter().zip(&self.0) {
            *slot = file.as_ref().and_then(|mut file| value(&mut file).ok());
        }
        counts
    }
}

fn open(kind: u32, config: u64) -> io::Result<File> {
    open_with(kind, config, 0).or_else(|error| match error.raw_os_error() {
        // Hardware counts of user mode alone still tell something; a count of switches in user mode is always zero.
        Some(libc::EACCES | libc::EPERM) if kind != SOFTWARE => open_with(kind, config, EXCLUDE_KERNEL),
        _ => Err(error),
    })
}

fn open_with(kind: u32, config: u64, flags: u64) -> io::Result<File> {
    let size = size_of::<Attributes>() as u32;
    let attributes =
        Attributes { kind, size, config, read_format: TOTAL_TIMES, flags, ..Attributes::default() };
    let (this_thread, any_cpu, no_group) = (0, -1, -1);
    // SAFETY: the attributes outlive the call and carry their size; the result is a new descriptor or -1.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            this_thread,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

/// The count, scaled up when the processor has fewer counters than were asked for.
fn value(file: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 24];
    file.read_exact(&mut bytes)?;
    let (words, _) = bytes.as_chunks::<8>();
    let [count, enabled, running] = [0, 1, 2].map(|nth| u64::from_ne_bytes(words[nth]));
    if running == 0 {
        // Never got a counter: unknown, unless nothing has run at all.
        return if enabled == 0 { Ok(count) } else { Err(io::ErrorKind::WouldBlock.into()) };
    }
    Ok((u128::from(count) * u128::from(enabled) / u128::from(running)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_known_or_absent_and_sums_respect_that() {
        let one = Counts { task_clock_ns: Some(3), cycles: None, ..Counts::default() };
        let two = Counts { task_clock_ns: Some(4), cycles: Some(5), ..Counts::default() };
        let sum = one.plus(&two);
        assert_eq!((sum.task_clock_ns, sum.cycles), (Some(7), None));
    }

    #[test]
    fn a_busy_thread_uses_time_where_the_kernel_counts_it() {
        let counters = Counters::start();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(5);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        // A sandbox may forbid it: then it is absent, never zero.
        assert_ne!(counters.read().task_clock_ns, Some(0));
    }
}
