//! POSIX message queues. On Linux a queue is a descriptor, so it can be polled, closed and duplicated as one.
#![expect(unsafe_code, reason = "the mq_* functions take C strings and raw buffers")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Capacity of a queue to be made.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Messages it holds.
    pub messages: usize,
    /// Largest message, in bytes.
    pub size: usize,
}

/// Opens a queue to read from; with a capacity it is made if missing. The descriptor is not inherited.
///
/// # Errors
///
/// Those of `mq_open`; `NotFound` when it does not exist and no capacity is given.
pub fn open(name: &str, make: Option<Capacity>, nonblocking: bool) -> io::Result<OwnedFd> {
    let name = c_name(name)?;
    let mut flags = libc::O_RDWR | libc::O_CLOEXEC;
    if nonblocking {
        flags |= libc::O_NONBLOCK;
    }
    let number = match make {
        // SAFETY: the name is a terminated string, and without O_CREAT no further argument is read.
        None => unsafe { libc::mq_open(name.as_ptr(), flags) },
        Some(capacity) => {
            // SAFETY: all-zero is a valid `mq_attr`.
            let mut wanted: libc::mq_attr = unsafe { std::mem::zeroed() };
            wanted.mq_maxmsg = capacity.messages as _;
            wanted.mq_msgsize = capacity.size as _;
            let mode: libc::mode_t = 0o600;
            // SAFETY: with O_CREAT a mode and a pointer to an attribute follow; both outlive the call.
            unsafe { libc::mq_open(name.as_ptr(), flags | libc::O_CREAT, mode, &raw const wanted) }
        }
    };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a queue descriptor is a file descriptor on Linux, new and with no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends one message; waits at most `wait` for room (not at all on a non-blocking descriptor).
///
/// # Errors
///
/// `WouldBlock` on a full non-blocking queue, `TimedOut` when the wait is over.
pub fn send(queue: BorrowedFd, message: &[u8], wait: Duration) -> io::Result<()> {
    let until = deadline(wait);
    // SAFETY: the buffer and the time are borrowed for the call only.
    let outcome = unsafe {
        libc::mq_timedsend(queue.as_raw_fd(), message.as_ptr().cast(), message.len(), 0, &raw const until)
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives one message; `buffer` must hold the queue's largest. Waits at most `wait`.
///
/// # Errors
///
/// `WouldBlock` on an empty non-blocking queue, `TimedOut` when the wait is over.
pub fn receive(queue: BorrowedFd, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
    let until = deadline(wait);
    // SAFETY: the kernel writes at most the length given; a null priority is allowed.
    let length = unsafe {
        libc::mq_timedreceive(
            queue.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            std::ptr::null_mut(),
            &raw const until,
        )
    };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// Removes a name; processes that have the queue open keep it.
///
/// # Errors
///
/// Those of `mq_unlink`.
pub fn unlink(name: &str) -> io::Result<()> {
    let name = c_name(name)?;
    // SAFETY: the name is a terminated string.
    if unsafe { libc::mq_unlink(name.as_ptr()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_name(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// The absolute time the mq calls want, on the one clock they know.
fn deadline(wait: Duration) -> libc::timespec {
    let now = clock_gettime(ClockId::Realtime);
    let nanoseconds = now.tv_nsec + i64::from(wait.subsec_nanos());
    libc::timespec {
        tv_sec: now.tv_sec + wait.as_secs() as i64 + nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::unique_name;
    use std::os::fd::AsFd;

    #[test]
    fn a_queue_passes_messages_and_says_full_and_empty() {
        let name = format!("/{}", unique_name("mqtest"));
        let capacity = Capacity { messages: 2, size: 64 };
        let queue = open(&name, Some(capacity), false).unwrap();
        let peer = open(&name, None, true).unwrap();
        unlink(&name).unwrap();
        assert_eq!(open(&name, None, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        let short = Duration::from_millis(5);
        send(peer.as_fd(), b"one", short).unwrap();
        send(peer.as_fd(), b"two", short).unwrap();
        assert_eq!(send(peer.as_fd(), b"three", short).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(send(queue.as_fd(), b"three", short).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut buffer = [0; 64];
        assert_eq!(receive(queue.as_fd(), &mut buffer, short).unwrap(), 3);
        assert_eq!(&buffer[..3], b"one");
        assert_eq!(receive(queue.as_fd(), &mut buffer, short).unwrap(), 3);
        assert_eq!(receive(queue.as_fd(), &mut buffer, short).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(receive(peer.as_fd(), &mut buffer, short).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
