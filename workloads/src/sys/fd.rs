//! Descriptors that arrive by number from the command line.
#![expect(unsafe_code, reason = "a number becomes an owned descriptor")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Takes over a descriptor inherited from the parent. Standard streams and closed numbers are refused.
///
/// # Errors
///
/// The number is not an open descriptor above 2.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the standard streams cannot be used"));
    }
    // SAFETY: the borrow is used for one query only, which answers EBADF for a closed number.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: the query above proved it open; the caller got the number from its parent to own it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
