//! A filter that refuses one system call, as containers have them.
#![expect(unsafe_code, reason = "two raw calls that take a filter program")]

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

static REFUSES: AtomicBool = AtomicBool::new(false);

/// Reports whether the filter is in place.
#[must_use]
pub fn refuses_getppid() -> bool {
    REFUSES.load(Relaxed)
}

/// From now on `getppid` fails with `EPERM` in this thread and those that it starts.
///
/// # Errors
/// When the kernel takes no filter.
pub fn refuse_getppid() -> io::Result<()> {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = [
        step(LOAD_NUMBER, 0, 0),
        libc::sock_filter { jf: 1, ..step(IF_EQUAL, 0, libc::SYS_getppid as u32) },
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the first call takes numbers only; the second reads the filter, which lives until it returns.
    let taken = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    if !taken {
        return Err(io::Error::last_os_error());
    }
    REFUSES.store(true, Relaxed);
    Ok(())
}
