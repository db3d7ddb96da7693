//! Counts how often this process passes a kernel tracepoint: an independent check of what a program says of itself.
#![expect(unsafe_code, reason = "perf_event_open has no safe wrapper")]

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};

/// Places tracefs is mounted at.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const TRACEPOINT: u32 = 2;
const DISABLED: u64 = 1;
const IOCTL_ENABLE: libc::c_ulong = 0x2400;
const IOCTL_DISABLE: libc::c_ulong = 0x2401;
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// The first published form of `struct perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    address: u64,
}

/// A counter, stopped until [`Self::start`].
#[derive(Debug)]
pub struct Tracepoint(File);

impl Tracepoint {
    /// A counter for the calling thread.
    ///
    /// # Errors
    ///
    /// Tracefs is not mounted or not readable, there is no such tracepoint, or CAP_PERFMON is missing.
    pub fn open(category: &str, name: &str) -> io::Result<Self> {
        let id = TRACEFS
            .iter()
            .find_map(|root| fs::read_to_string(format!("{root}/events/{category}/{name}/id")).ok())
            .and_then(|id| id.trim().parse().ok())
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "tracefs is not mounted or not readable")
            })?;
        let size = size_of::<Attr>() as u32;
        let attr = Attr { kind: TRACEPOINT, size, config: id, flags: DISABLED, ..Attr::default() };
        let (this_thread, any_cpu, no_group) = (0, -1, -1);
        // SAFETY: `attr` is of the size it states and outlives the call.
        let fd = unsafe {
            let attr = &raw const attr;
            libc::syscall(libc::SYS_perf_event_open, attr, this_thread, any_cpu, no_group, CLOSE_ON_EXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor without another owner.
        Ok(Self(unsafe { File::from_raw_fd(fd as i32) }))
    }

    /// Starts counting.
    ///
    /// # Errors
    ///
    /// The kernel refuses (it has no reason to).
    pub fn start(&self) -> io::Result<()> {
        self.control(IOCTL_ENABLE)
    }

    /// Stops counting and answers the count.
    ///
    /// # Errors
    ///
    /// The kernel refuses (it has no reason to).
    pub fn stop(&mut self) -> io::Result<u64> {
        self.control(IOCTL_DISABLE)?;
        let mut count = [0; 8];
        self.0.read_exact(&mut count)?;
        Ok(u64::from_ne_bytes(count))
    }

    fn control(&self, request: libc::c_ulong) -> io::Result<()> {
        // SAFETY: both requests take no pointer.
        let outcome = unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, 0) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
