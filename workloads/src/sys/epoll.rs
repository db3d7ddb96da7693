//! Descriptors under the watch of tokio's epoll.
#![expect(unsafe_code, reason = "tokio wants a promise that the descriptor outlives its registration")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor of our own. Call on a runtime.
///
/// # Errors
///
/// The descriptor cannot be polled (a regular file), or there are too many.
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` answers the same open number until it is dropped, together with its registration.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Watches a descriptor that the caller keeps open. Call on a runtime.
///
/// # Errors
///
/// As [`watch`].
pub fn watch_borrowed(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: the lifetime keeps the descriptor open for as long as the registration that carries it lives.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
