//! Lockdown level of the kernel, read also where securityfs is not mounted.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::event::owned;

const FILE: &str = "lockdown";
/// Usual mount point.
const MOUNTED: &str = "/sys/kernel/security/lockdown";
/// `FSOPEN_CLOEXEC`, and `FSMOUNT_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_int = 1;
/// `FSCONFIG_CMD_CREATE`: the command of `fsconfig(2)` that makes the file system.
const CREATE: libc::c_int = 6;

/// Text of the kernel: all levels, the present one in brackets; `None` where this kernel cannot be locked down.
///
/// # Errors
/// When the level cannot be read, or not by this user.
pub fn lockdown() -> io::Result<Option<String>> {
    if let Ok(text) = std::fs::read_to_string(MOUNTED) {
        return Ok(Some(text));
    }
    match open_below(&security_files()?) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An instance of securityfs that is mounted nowhere and gone when it is closed.
fn security_files() -> io::Result<OwnedFd> {
    // SAFETY: the name outlives the call; the result is a new descriptor or -1.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"securityfs".as_ptr(), CLOSE_ON_EXEC) })?;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes neither name nor value.
    let made = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, nothing, nothing, 0) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has no memory to read or write; the result is a new descriptor or -1.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOSE_ON_EXEC, 0) })
}

fn open_below(directory: &OwnedFd) -> io::Result<File> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, FILE, flags, rustix::fs::Mode::empty())?;
    Ok(File::from(opened))
}
