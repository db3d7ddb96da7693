//! Descriptors for the event loop.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Copy of a descriptor that can be awaited until it is readable.
///
/// # Errors
/// When the limit of open files is reached.
pub fn watch(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let copy = descriptor.try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by the value that is registered, and closed only with it.
    unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) }.map_err(|error| error.into_parts().1)
}
