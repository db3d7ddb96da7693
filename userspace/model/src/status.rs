//! Wait statuses of processes, in words.

/// 1 to 31, the same on x86 and ARM.
const SIGNALS: &str = "\
HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU \
XFSZ VTALRM PROF WINCH IO PWR SYS";

/// The kernel's first real-time signal; C libraries keep the first two or three to themselves.
const FIRST_REAL_TIME: u32 = 32;
const CORE_DUMPED: u32 = 0x80;

/// A wait status in words: `exit 3`, `killed by SIGKILL`; `None` is a status that this kernel does not tell.
#[must_use]
pub fn words(status: Option<u32>) -> String {
    let Some(status) = status else {
        return "ended, status not known on this kernel".to_owned();
    };
    match status & 0x7f {
        0 => format!("exit {}", status >> 8 & 0xff),
        signal => {
            let core = if status & CORE_DUMPED == 0 { "" } else { ", core dumped" };
            format!("killed by {}{core}", signal_name(signal))
        }
    }
}

/// The name of a signal.
#[must_use]
pub fn signal_name(signal: u32) -> String {
    let known = signal.checked_sub(1).and_then(|index| SIGNALS.split(' ').nth(index as usize));
    match known {
        Some(name) => format!("SIG{name}"),
        None if (FIRST_REAL_TIME..=64).contains(&signal) => format!("real-time signal {signal}"),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_shows_its_code() {
        assert_eq!([0, 0x300, 0xff00].map(|status| words(Some(status))), ["exit 0", "exit 3", "exit 255"]);
    }

    #[test]
    fn a_death_by_signal_shows_which() {
        let shown = [9, 15, 11 | CORE_DUMPED, 34].map(|status| words(Some(status)));
        assert_eq!(
            shown,
            [
                "killed by SIGKILL",
                "killed by SIGTERM",
                "killed by SIGSEGV, core dumped",
                "killed by real-time signal 34"
            ]
        );
        assert_eq!(SIGNALS.split(' ').count(), 31);
        assert_eq!(
            [libc::SIGIO, libc::SIGSYS, libc::SIGCHLD].map(|n| signal_name(n.unsigned_abs())),
            ["SIGIO", "SIGSYS", "SIGCHLD"]
        );
    }

    #[test]
    fn an_unknown_status_is_not_invented() {
        assert_eq!(words(None), "ended, status not known on this kernel");
    }
}
