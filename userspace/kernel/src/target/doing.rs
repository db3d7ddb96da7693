//! Activity of a thread that has not moved since a session began.

use std::{fs, io::Read as _};

use pulse_trace_common::probes::{
    sched::initial,
    syscalls::{X32_BIT, call_index},
};

use super::procfs;

/// Activity of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs, or waits for a CPU.
    Runnable,
    /// It is stopped, traced or frozen.
    Stopped,
    /// It is blocked in no system call.
    Outside,
    /// It is blocked in the call at this index of a row's directory.
    Call(u32),
}

impl Doing {
    /// Encoding of the activity for the kernel side.
    #[must_use]
    pub const fn index(self) -> u32 {
        match self {
            Self::Runnable => initial::RUNNABLE,
            Self::Stopped => initial::STOPPED,
            Self::Outside => initial::OUTSIDE,
            Self::Call(index) => index + 1,
        }
    }
}

/// Activity of a thread; `None` where it cannot be read.
#[must_use]
pub fn doing(tid: u32) -> Option<Doing> {
    match procfs::thread_stat(tid)?.state {
        'R' => return Some(Doing::Runnable),
        'T' | 't' => return Some(Doing::Stopped),
        _ if is_frozen(tid) => return Some(Doing::Stopped),
        _ => {}
    }
    let text = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    parse(&text, || is_32_bit(tid))
}

/// True if a thread sleeps where a frozen cgroup has it sleep, of the first version or of the second.
fn is_frozen(tid: u32) -> bool {
    let place = fs::read_to_string(format!("/proc/{tid}/wchan")).unwrap_or_default();
    // Compilers inline its function into this one; a thread that is stopped there by a signal has a state of its own.
    ["__refrigerator", "do_freezer_trap", "get_signal"].contains(&place.as_str())
}

/// Parses `running`, or `-1 SP PC` outside of calls, or the call's number and arguments.
fn parse(text: &str, compat: impl Fn() -> bool) -> Option<Doing> {
    let first = text.split_ascii_whitespace().next()?;
    if first == "running" {
        return Some(Doing::Runnable);
    }
    let nr: i64 = first.parse().ok()?;
    if nr < 0 {
        return Some(Doing::Outside);
    }
    // An x32 number carries a bit of its own.
    let nr = nr as u64;
    let compat = nr & X32_BIT == 0 && compat();
    Some(Doing::Call(call_index(nr, compat, cfg!(target_arch = "x86_64"))))
}

/// True if the program makes calls of the 32-bit ABI, by the class in its file's header.
fn is_32_bit(tid: u32) -> bool {
    let mut header = [0; 5];
    let file = fs::File::open(format!("/proc/{tid}/exe"));
    file.is_ok_and(|mut file| file.read_exact(&mut header).is_ok()) && header == *b"\x7fELF\x01"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_understood() {
        let native = || false;
        assert_eq!(parse("running\n", native), Some(Doing::Runnable));
        assert_eq!(parse("-1 0x7ffc 0x7f12\n", native), Some(Doing::Outside));
        assert_eq!(
            parse("232 0x4 0x7f 0x1 0xffffffff 0x0 0x0 0x7ffc 0x7f12\n", native),
            Some(Doing::Call(232))
        );
        assert_eq!(parse("3 0x4\n", || true), Some(Doing::Call(512 + 3)));
        assert_eq!(parse("", native), None);
        assert_eq!(Doing::Call(232).index(), 233);
    }

    #[test]
    fn a_sleeper_sleeps() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let asleep =
            || matches!(doing(child.id()), Some(Doing::Call(nr)) if nr == 35 || nr == 230 || nr == 115);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !asleep() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(asleep(), "{:?}", doing(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
