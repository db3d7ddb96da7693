//! A thread as `/proc` shows it at one moment.

use std::{fs::File, os::unix::fs::FileExt as _};

use kernel::target;
use model::text;

/// A system call that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InCall {
    /// Its number.
    pub nr: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its process.
    pub pid: u32,
    /// Its id.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Letter of its state.
    pub state: char,
    /// The call that it is in; `None` outside of calls, and where that cannot be read.
    pub call: Option<InCall>,
    /// Stack and instruction pointers in user space, where they can be read.
    pub at: Option<(u64, u64)>,
    /// Times that it left a CPU so far: what has the same number twice did not run in between.
    pub switches: u64,
    /// Thread that traces it; 0 for none.
    pub tracer: u32,
    /// Its id in its own PID namespace.
    pub inner: u32,
}

impl Thread {
    /// Reads one; `None` once it has ended.
    pub fn read(pid: u32, tid: u32) -> Option<Self> {
        let base = format!("/proc/{pid}/task/{tid}");
        let status = target::text(&format!("{base}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
        let state = field("State:")?.chars().next()?;
        if matches!(state, 'X' | 'Z') {
            return None;
        }
        let running = target::text(&format!("{base}/syscall")).unwrap_or_default();
        let (call, at) = in_call(&running);
        Some(Self {
            pid,
            tid,
            comm: text::printable(field("Name:").unwrap_or_default()),
            state,
            call,
            at,
            switches: number("voluntary_ctxt_switches:").unwrap_or(0)
                + number("nonvoluntary_ctxt_switches:").unwrap_or(0),
            tracer: number("TracerPid:").unwrap_or(0) as u32,
            inner: field("NSpid:")
                .and_then(|ids| ids.split_ascii_whitespace().last()?.parse().ok())
                .unwrap_or(tid),
        })
    }

    /// True if it sleeps until something happens.
    pub fn sleeps(&self) -> bool {
        matches!(self.state, 'S' | 'D')
    }
}

/// The call of a line of `/proc/PID/syscall`, and stack and instruction pointer.
fn in_call(line: &str) -> (Option<InCall>, Option<(u64, u64)>) {
    let mut words = line.split_ascii_whitespace();
    let nr: Option<i64> = words.next().and_then(|word| word.parse().ok());
    let values: Vec<u64> =
        words.map_while(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect();
    let at = values.len().checked_sub(2).map(|from| (values[from], values[from + 1]));
    let call = nr.filter(|nr| *nr >= 0).and_then(|nr| {
        let arguments = values.get(..6)?.try_into().ok()?;
        Some(InCall { nr, arguments })
    });
    (call, at)
}

/// The memory of a process, to be read.
pub struct Memory(File);

impl Memory {
    /// Opens it by one of the process's threads: a first thread that has ended has none. `None` where it may not be read.
    pub fn of(pid: u32, tid: u32) -> Option<Self> {
        File::open(format!("/proc/{pid}/task/{tid}/mem")).ok().map(Self)
    }

    /// Bytes at an address; all of them or none.
    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    /// A word of 32 bits.
    pub fn word(&self, address: u64) -> Option<u32> {
        self.bytes(address).map(u32::from_ne_bytes)
    }

    /// As many bytes as can be read, at most so many.
    pub fn upto(&self, address: u64, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let read = self.0.read_at(&mut bytes, address).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_call_with_arguments_or_none() {
        let (call, at) = in_call("202 0x7f01 0x80 0x2 0x0 0x0 0x0 0x7ffe 0x7f99\n");
        let call = call.unwrap();
        assert_eq!((call.nr, call.arguments[0], call.arguments[2]), (202, 0x7f01, 2));
        assert_eq!(at, Some((0x7ffe, 0x7f99)));
        assert_eq!(in_call("running\n"), (None, None));
        assert_eq!(in_call("-1 0x7ffe 0x7f99\n"), (None, Some((0x7ffe, 0x7f99))));
        assert_eq!(in_call("").0, None);
    }

    #[test]
    fn the_running_thread_reads_itself() {
        let (pid, tid) = (std::process::id(), std::process::id());
        assert_eq!(Thread::read(pid, tid).unwrap().pid, pid);
        let value = 0x1234_5678_u32;
        let memory = Memory::of(pid, tid).unwrap();
        assert_eq!(memory.word(&raw const value as u64), Some(value));
        assert_eq!(memory.word(8), None);
    }
}
