//! Continues system calls that the kernel ends with `EINTR` when their thread is stopped, as if they had not been.
//!
//! After a stop the kernel itself restarts most waits. The few that it does not restart are made to restart likewise,
//! where they have no time limit: the program cannot see a difference, and a signal with a handler that comes meanwhile
//! ends them as before. With a limit, a restart would prolong the wait by an unknown time, so the program gets the
//! `EINTR`, as it does after SIGSTOP and SIGCONT.

use super::ptrace::{self, Regs};

/// Result that the kernel takes for "restart the call, unless a handler runs first".
const ERESTARTNOHAND: i64 = -514;

/// Outcome of the call that a thread was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The thread was in no call that a stop ends, or the call restarts.
    Unnoticed,
    /// The call returns `EINTR`.
    CutShort,
}

/// Makes a stopped thread with no pending signal restart its call, if the stop has ended the call and a
/// restart is possible.
pub fn resume(tid: u32) -> Resumed {
    let Ok(regs) = ptrace::registers(tid) else { return Resumed::Unnoticed };
    match limit(&regs) {
        None => Resumed::Unnoticed,
        Some(Limit::Some) => Resumed::CutShort,
        Some(Limit::None) => match ptrace::set_registers(tid, &Regs { rax: ERESTARTNOHAND as u64, ..regs }) {
            Ok(()) => Resumed::Unnoticed,
            Err(_) => Resumed::CutShort,
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    Some,
}

/// Time limit of a call that has just ended with `EINTR`; `None` if there was no such call.
fn limit(regs: &Regs) -> Option<Limit> {
    const EXT_ARG: u64 = 1 << 3;
    let ended = (regs.orig_rax as i64) >= 0 && regs.rax as i64 == -i64::from(libc::EINTR);
    let limit = |has: bool| if has { Limit::Some } else { Limit::None };
    ended.then(|| match regs.orig_rax as libc::c_long {
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => limit((regs.r10 as i32) >= 0),
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => limit(regs.r10 != 0),
        libc::SYS_semop => Limit::None,
        libc::SYS_rt_sigtimedwait => limit(regs.rdx != 0),
        libc::SYS_io_getevents => limit(regs.r8 != 0),
        libc::SYS_io_uring_enter => limit(regs.rsi != 0 || regs.r10 & EXT_ARG != 0),
        // Of sockets only a receive with the socket's own time limit ends; other calls restart by themselves.
        _ => Limit::Some,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regs(number: libc::c_long, rdx: u64, r10: u64) -> Regs {
        // SAFETY: the structure consists of integers, for which zero is a value.
        let zero: Regs = unsafe { std::mem::zeroed() };
        let rax = -i64::from(libc::EINTR) as u64;
        Regs { orig_rax: number as u64, rax, rdx, r10, ..zero }
    }

    #[test]
    fn only_waits_without_a_limit_begin_anew() {
        let minus_one = u64::from(u32::MAX);
        assert_eq!(limit(&regs(libc::SYS_epoll_wait, 0, minus_one)), Some(Limit::None));
        assert_eq!(limit(&regs(libc::SYS_epoll_wait, 0, 5)), Some(Limit::Some));
        assert_eq!(limit(&regs(libc::SYS_semop, 0, 0)), Some(Limit::None));
        assert_eq!(limit(&regs(libc::SYS_semtimedop, 0, 0x7fff)), Some(Limit::Some));
        assert_eq!(limit(&regs(libc::SYS_rt_sigtimedwait, 0, 8)), Some(Limit::None));
        assert_eq!(limit(&regs(libc::SYS_recvfrom, 0, 0)), Some(Limit::Some));
    }

    #[test]
    fn a_thread_that_runs_or_whose_call_returned_otherwise_is_left_as_it_is() {
        let in_user_code = Regs { orig_rax: u64::MAX, ..regs(libc::SYS_semop, 0, 0) };
        let returned = Regs { rax: 3, ..regs(libc::SYS_semop, 0, 0) };
        assert_eq!((limit(&in_user_code), limit(&returned)), (None, None));
    }
}
