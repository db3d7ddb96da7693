//! Runs a held command to the first instruction of its program: there its C library is mapped, no other thread runs,
//! and counters can be put in.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    InlineError,
    halt::{apart, state},
    memory::Memory,
    ptrace::{self, Event},
};

const BREAKPOINT: u8 = 0xcc;
/// Longest wait for the stop at the entry.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_micros(100);

/// Resumes a stopped process until it has become its command, and stops it again at the command's first instruction.
/// Constructors of its libraries have run then. `false` when there was no such command: the holding process
/// has reported that.
///
/// # Errors
/// The reason for a failure; the process is in an unknown state then, and should be ended.
pub fn bring_to_entry(pid: u32) -> Result<bool, InlineError> {
    apart(pid, || {
        let failed = |cause| InlineError::Permission { pid, cause };
        ptrace::seize_until_exec(pid).map_err(failed)?;
        if !until(pid, Event::Halted) {
            return Ok(false);
        }
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(InlineError::Gone(pid))?;
        let _ = kill_process(id, Signal::CONT);
        go_on(pid, 0)?;
        if !until(pid, Event::Exec) {
            return Ok(false);
        }
        is_plain(pid)?;
        let Some(entry) = entry(pid) else {
            return Err(InlineError::refused(pid, "it does not say where it begins", "leave --inline away"));
        };
        let memory = Memory::open(pid).map_err(InlineError::step(pid, "opening its memory"))?;
        to_entry(pid, &memory, entry)?;
        let since = Instant::now();
        while state(pid) != Some('T') && since.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
        }
        Ok(true)
    })
}

/// Runs the loader up to the entry.
fn to_entry(pid: u32, memory: &Memory, entry: u64) -> Result<(), InlineError> {
    let failed = InlineError::step(pid, "stopping at its first instruction");
    let original = memory.bytes(entry, 1).map_err(&failed)?;
    memory.write(entry, &[BREAKPOINT]).map_err(&failed)?;
    go_on(pid, 0)?;
    if !until(pid, Event::Signal(libc::SIGTRAP)) {
        return Err(InlineError::Gone(pid));
    }
    let mut regs = ptrace::registers(pid).map_err(&failed)?;
    if regs.rip != entry + 1 {
        return Err(InlineError::refused(
            pid,
            "it stopped before its first instruction",
            "leave --inline away",
        ));
    }
    memory.write(entry, &original).map_err(&failed)?;
    regs.rip = entry;
    ptrace::set_registers(pid, &regs).map_err(&failed)?;
    ptrace::detach(pid, libc::SIGSTOP).map_err(&failed)
}

/// Waits for an event, passing on every signal; `false` when the process ends before.
fn until(pid: u32, wanted: Event) -> bool {
    loop {
        let event = ptrace::wait(pid);
        let signal = match event {
            _ if event == wanted => return true,
            Event::Gone => return false,
            Event::Signal(signal) => signal,
            _ => 0,
        };
        if go_on(pid, signal).is_err() {
            return false;
        }
    }
}

fn go_on(pid: u32, signal: i32) -> Result<(), InlineError> {
    ptrace::go_on(pid, signal).map_err(|_| InlineError::Gone(pid))
}

/// Refuses a program that gains privileges: under a tracer it may not get them.
fn is_plain(pid: u32) -> Result<(), InlineError> {
    use std::os::unix::fs::MetadataExt as _;
    let program = fs::metadata(format!("/proc/{pid}/exe")).map_err(|_| InlineError::Gone(pid))?;
    match program.mode() & 0o6000 {
        0 => Ok(()),
        _ => Err(InlineError::refused(
            pid,
            "its program is set-user-ID or set-group-ID",
            "leave --inline away",
        )),
    }
}

/// Address of the program's first instruction, from the auxiliary vector.
fn entry(pid: u32) -> Option<u64> {
    const AT_ENTRY: u64 = 9;
    let words = fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let pairs = words.chunks_exact(16).filter_map(|pair| {
        let word = |at: usize| pair[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        Some((word(0)?, word(8)?))
    });
    pairs.into_iter().find(|(key, _)| *key == AT_ENTRY).map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_begins_where_its_own_code_is() {
        let address = entry(std::process::id()).unwrap();
        let maps = super::super::library::maps(std::process::id()).unwrap();
        let mapping = maps.at(address).unwrap();
        assert!(mapping.executable && mapping.path().is_some());
    }
}
