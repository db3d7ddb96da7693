//! System calls by number, straight to the kernel: made exactly as often as they are asked for.
//!
//! Neither the C library nor the standard library makes any of them on its own once a program runs, so a tracer that
//! counts them from outside must find the very same numbers. Half of them fail, each in its own known way.
#![expect(unsafe_code, reason = "raw system calls")]

use clap::ValueEnum;

use super::seccomp;

/// A harmless system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Succeeds.
    Getppid,
    /// Succeeds.
    Getsid,
    /// Succeeds.
    Getpgid,
    /// Succeeds.
    SchedGetscheduler,
    /// Succeeds.
    SchedGetPriorityMax,
    /// Succeeds.
    Times,
    /// Fails: there is no such selector.
    Getpriority,
    /// Fails: there is nowhere to write to.
    Getitimer,
    /// Fails: there is nowhere to write to.
    Sysinfo,
    /// Fails: there is no header to read.
    Capget,
    /// Fails: there is no such descriptor.
    Dup,
    /// Fails: there is no such file.
    Faccessat,
    /// `getppid` by the 32-bit entry, which has another table of numbers.
    #[cfg(target_arch = "x86_64")]
    #[value(name = "i386:getppid")]
    I386Getppid,
    /// `getppid` of the x32 ABI, which few kernels have.
    #[cfg(target_arch = "x86_64")]
    #[value(name = "x32_call")]
    X32Getppid,
}

impl Kind {
    /// The twelve that every machine has.
    pub const COMMON: [Self; 12] = [
        Self::Getppid,
        Self::Getsid,
        Self::Getpgid,
        Self::SchedGetscheduler,
        Self::SchedGetPriorityMax,
        Self::Times,
        Self::Getpriority,
        Self::Getitimer,
        Self::Sysinfo,
        Self::Capget,
        Self::Dup,
        Self::Faccessat,
    ];

    /// Its name, as tracers have it.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The name of the error that it fails with; `None` if it succeeds.
    #[must_use]
    pub fn errno(self) -> Option<&'static str> {
        match self {
            Self::Getppid if seccomp::refuses_getppid() => Some("EPERM"),
            Self::Getpriority => Some("EINVAL"),
            Self::Getitimer | Self::Sysinfo | Self::Capget => Some("EFAULT"),
            Self::Dup => Some("EBADF"),
            Self::Faccessat => Some("ENOENT"),
            #[cfg(target_arch = "x86_64")]
            Self::X32Getppid => Some("ENOSYS"),
            _ => None,
        }
    }

    /// Makes the call once; whether it succeeded.
    #[inline]
    #[must_use]
    pub fn make(self) -> bool {
        const NULL: usize = 0;
        // SAFETY: none of them writes anywhere: every pointer is null, but for a path that lives in the program.
        let answer = unsafe {
            match self {
                Self::Getppid => libc::syscall(libc::SYS_getppid),
                Self::Getsid => libc::syscall(libc::SYS_getsid, 0),
                Self::Getpgid => libc::syscall(libc::SYS_getpgid, 0),
                Self::SchedGetscheduler => libc::syscall(libc::SYS_sched_getscheduler, 0),
                Self::SchedGetPriorityMax => libc::syscall(libc::SYS_sched_get_priority_max, 0),
                Self::Times => libc::syscall(libc::SYS_times, NULL),
                Self::Getpriority => libc::syscall(libc::SYS_getpriority, -1, 0),
                Self::Getitimer => libc::syscall(libc::SYS_getitimer, 0, NULL),
                Self::Sysinfo => libc::syscall(libc::SYS_sysinfo, NULL),
                Self::Capget => libc::syscall(libc::SYS_capget, NULL, NULL),
                Self::Dup => libc::syscall(libc::SYS_dup, -1),
                Self::Faccessat => {
                    libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, c"/nonexistent/file".as_ptr(), 0)
                }
                #[cfg(target_arch = "x86_64")]
                Self::I386Getppid => getppid_by_interrupt(),
                #[cfg(target_arch = "x86_64")]
                Self::X32Getppid => libc::syscall(libc::SYS_getppid | 1 << 30),
            }
        };
        answer >= 0
    }

    /// Makes the call once; whether it ended as it must.
    #[inline]
    #[must_use]
    pub fn make_as_expected(self) -> bool {
        self.make() == self.errno().is_none()
    }
}

/// `int $0x80`: the 32-bit entry is open to 64-bit programs too.
#[cfg(target_arch = "x86_64")]
fn getppid_by_interrupt() -> libc::c_long {
    const GETPPID: i32 = 64;
    let answer: i32;
    // SAFETY: the call takes no arguments; of the registers, kernels of old clear r8 to r11.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") GETPPID => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(nostack)
        );
    }
    libc::c_long::from(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_ends_as_it_is_said_to() {
        for kind in Kind::COMMON {
            assert!(kind.make_as_expected(), "{}", kind.name());
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_interrupt_reaches_the_same_kernel() {
        // SAFETY: takes no arguments.
        let parent = unsafe { libc::syscall(libc::SYS_getppid) };
        assert_eq!(getppid_by_interrupt(), parent);
        assert_eq!(Kind::I386Getppid.name(), "i386:getppid");
    }
}
