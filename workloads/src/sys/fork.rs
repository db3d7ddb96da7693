//! A child process that goes on with the parent's memory, as the standard library does not offer it.
#![expect(unsafe_code, reason = "fork")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::Pid;

/// Exit status of a child whose body panicked.
pub const PANICKED: u8 = 101;

/// Forks. The child runs `body`, ends with its answer as exit status, and never returns from here.
///
/// # Errors
///
/// There are too many processes, or this one has more than one thread: a lock that another thread holds would stay
/// locked in the child for ever.
pub fn fork(body: impl FnOnce() -> u8) -> io::Result<Pid> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(io::Error::other("more than one thread is running"));
    }
    // SAFETY: there is one thread, so the child finds every lock free and every structure whole.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED);
        // SAFETY: ends the process at once; what the parent would have flushed or dropped stays the parent's.
        unsafe { libc::_exit(i32::from(status)) };
    }
    Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)
}
