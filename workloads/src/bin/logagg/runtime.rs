//! The tokio runtime of one process.

use std::io;
use std::os::fd::BorrowedFd;

use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::epoll::watch_borrowed;
use pulse_trace_workloads::sys::signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

/// A multi-threaded runtime, one worker per CPU unless told otherwise.
pub fn start(workers: Option<u16>) -> Result<Runtime, Refusal> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(usize::from(workers));
    }
    builder
        .enable_all()
        .build()
        .map_err(|error| cannot("start the tokio runtime", error, "give fewer --workers, or --blocking"))
}

/// The stop signal as something to await without a tick. Call on the runtime.
pub fn bell() -> io::Result<AsyncFd<BorrowedFd<'static>>> {
    let bell = signal::bell().ok_or_else(|| io::Error::other("the stop signals are not installed"))?;
    watch_borrowed(bell, Interest::READABLE)
}
