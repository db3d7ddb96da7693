//! SIGINT and SIGTERM become a flag, so that a stopped run still reports and cleans up.
#![expect(unsafe_code, reason = "installing a signal handler")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::event::{EventfdFlags, eventfd};

static STOP: AtomicBool = AtomicBool::new(false);
/// Becomes readable, and stays so, with the first stop; what the handler writes to is its bare number.
static BELL: OnceLock<OwnedFd> = OnceLock::new();
static BELL_NUMBER: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(_: libc::c_int) {
    stop();
}

/// Installs the handlers. A second signal of the same kind kills: the user is never locked in.
///
/// # Errors
///
/// The kernel refuses the handler or a descriptor (never seen in practice).
pub fn install() -> io::Result<()> {
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let number = BELL.get_or_init(|| bell).as_raw_fd();
    BELL_NUMBER.store(number, Ordering::Relaxed);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as *const () as usize;
        // Without SA_RESTART a blocking call returns EINTR, and its caller looks at the flag.
        action.sa_flags = libc::SA_RESETHAND;
        // SAFETY: the handler stores to an atomic and writes to a descriptor that is never closed, both
        // async-signal-safe; `action` outlives the call.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Reports whether a stop was asked for.
#[must_use]
pub fn stopping() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Asks for a stop, from a handler or from within.
pub fn stop() {
    STOP.store(true, Ordering::Relaxed);
    let number = BELL_NUMBER.load(Ordering::Relaxed);
    if number >= 0 {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the descriptor lives in a static that is never dropped; eight bytes are read from a local.
        unsafe { libc::write(number, one.as_ptr().cast(), one.len()) };
    }
}

/// A descriptor that is readable from the first stop on, to sleep on without a tick; none before [`install`].
#[must_use]
pub fn bell() -> Option<BorrowedFd<'static>> {
    BELL.get().map(AsFd::as_fd)
}
