//! Thin wrappers of the few `ptrace(2)` requests that are needed.

use std::{ffi::c_void, io, mem, ptr};

use super::fault;
use crate::target;

/// General registers of a stopped thread.
pub type Regs = libc::user_regs_struct;

const NT_X86_XSTATE: usize = 0x202;
const NT_PRFPREG: usize = 2;
/// More than the extended state of any processor takes.
const XSTATE_MAX: usize = 16 << 10;

/// C libraries do not agree on the type of a request.
fn request(what: impl Into<i64>, tid: u32, address: usize, data: usize) -> io::Result<()> {
    fault::step();
    let what = what.into();
    // SAFETY: the callers pass, for each request, addresses of values of the type that it reads or writes, which
    // outlive the call; everything else happens in another process.
    let answer =
        unsafe { libc::ptrace(what as _, tid as libc::pid_t, address as *mut c_void, data as *mut c_void) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Begins to trace a thread, which keeps running.
pub fn seize(tid: u32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, libc::PTRACE_O_TRACESYSGOOD as usize)
}

/// Begins to trace a thread, with a report of its `exec`. The thread is killed with its tracer: a process with a
/// breakpoint in it must not run on its own.
pub fn seize_until_exec(tid: u32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// Asks a thread to stop.
pub fn interrupt(tid: u32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Stops tracing a stopped thread, which continues, with a signal if there is one to deliver.
pub fn detach(tid: u32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, signal as usize)
}

/// Resumes a thread, with a signal if there is one to deliver.
pub fn go_on(tid: u32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize)
}

/// Resumes a thread until the beginning or the end of its next system call.
pub fn to_syscall(tid: u32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, 0)
}

/// Reads the general registers of a thread.
pub fn registers(tid: u32) -> io::Result<Regs> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut regs: Regs = unsafe { mem::zeroed() };
    request(libc::PTRACE_GETREGS, tid, 0, ptr::from_mut(&mut regs) as usize)?;
    Ok(regs)
}

/// Sets the general registers of a thread.
pub fn set_registers(tid: u32, regs: &Regs) -> io::Result<()> {
    request(libc::PTRACE_SETREGS, tid, 0, ptr::from_ref(regs) as usize)
}

/// Floating-point and vector registers, as `xsave` lays them out, or `fxsave` where the processor has no more.
pub fn extended_state(tid: u32) -> io::Result<Vec<u8>> {
    let lacks = |error: &io::Error| error.raw_os_error() == Some(libc::ENODEV);
    match register_set(tid, NT_X86_XSTATE) {
        Err(error) if lacks(&error) => register_set(tid, NT_PRFPREG),
        found => found,
    }
}

fn register_set(tid: u32, set: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; XSTATE_MAX];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_GETREGSET, tid, set, ptr::from_mut(&mut part) as usize)?;
    bytes.truncate(part.iov_len);
    Ok(bytes)
}

/// Restartable sequences (`rseq(2)`) of a thread, as registered with the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restartable {
    /// Address of its `struct rseq`; 0 where it has none.
    pub address: u64,
    /// Signature in front of the abort handler.
    pub signature: u32,
}

/// Reads the registration of a thread's restartable sequences. Kernels before 5.13 do not report it.
pub fn restartable(tid: u32) -> io::Result<Restartable> {
    const GET_RSEQ_CONFIGURATION: i64 = 0x420f;
    /// `struct ptrace_rseq_configuration`: address, size, signature, flags, padding.
    const LEN: usize = 24;
    let mut bytes = [0; LEN];
    request(GET_RSEQ_CONFIGURATION, tid, LEN, ptr::from_mut(&mut bytes) as usize)?;
    let word = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    let address = u64::from(word(0)) | u64::from(word(4)) << 32;
    Ok(Restartable { address, signature: word(12) })
}

/// Writes eight bytes, at any address.
pub fn write_word(tid: u32, address: u64, word: u64) -> io::Result<()> {
    request(libc::PTRACE_POKEDATA, tid, address as usize, word as usize)
}

/// Fills a buffer from the memory of a process.
pub fn read_memory(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<()> {
    let here = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let there = libc::iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: writes into the buffer only, which outlives the call; the other address is one of another process.
    let read =
        unsafe { libc::process_vm_readv(pid as libc::pid_t, &raw const here, 1, &raw const there, 1, 0) };
    match usize::try_from(read) {
        Ok(read) if read == buffer.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// True if two processes share one memory, as after `vfork`. A kernel without `kcmp(2)` cannot tell: false then.
pub fn shares_memory(one: u32, other: u32) -> bool {
    const KCMP_VM: libc::c_int = 1;
    let (one, other) = (one as libc::pid_t, other as libc::pid_t);
    // SAFETY: compares two processes by their ids; no memory is read or written.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0_u64, 0_u64) == 0 }
}

/// Sends a signal to a thread.
pub fn send(pid: u32, tid: u32, signal: i32) -> io::Result<()> {
    let (pid, tid) = (pid as libc::pid_t, tid as libc::pid_t);
    // SAFETY: takes three numbers; no memory is read or written.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads the mask of blocked signals.
pub fn signal_mask(tid: u32) -> io::Result<u64> {
    let mut mask = 0_u64;
    request(libc::PTRACE_GETSIGMASK, tid, mem::size_of::<u64>(), ptr::from_mut(&mut mask) as usize)?;
    Ok(mask)
}

/// Sets the mask of blocked signals.
pub fn set_signal_mask(tid: u32, mask: u64) -> io::Result<()> {
    request(libc::PTRACE_SETSIGMASK, tid, mem::size_of::<u64>(), ptr::from_ref(&mask) as usize)
}

/// Report of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// No report yet.
    Nothing,
    /// The thread stopped because it was asked to, or with its whole process.
    Halted,
    /// The thread is at the beginning or the end of a system call.
    Syscall,
    /// The thread is about to take this signal.
    Signal(i32),
    /// The thread has just executed another program.
    Exec,
    /// The thread is gone.
    Gone,
}

/// Checks for a stop of a traced thread, without waiting.
pub fn poll(tid: u32) -> Event {
    look(tid, libc::WNOHANG)
}

/// Waits for a stop of a traced thread.
pub fn wait(tid: u32) -> Event {
    look(tid, 0)
}

/// Waits with flags. The end of a process remains to be collected by its parent.
fn look(tid: u32, how: i32) -> Event {
    let (flags, id) = (libc::__WALL | how, tid as libc::pid_t);
    // SAFETY: as above; the structure consists of integers.
    let mut seen: libc::siginfo_t = unsafe { mem::zeroed() };
    let peek = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | flags;
    // SAFETY: writes into the structure that outlives the call.
    if unsafe { libc::waitid(libc::P_PID, tid, ptr::from_mut(&mut seen), peek) } != 0 {
        return Event::Gone;
    }
    // SAFETY: waitid has filled the fields of a child's report, or left zeros.
    if unsafe { seen.si_pid() } == 0 {
        return Event::Nothing;
    }
    let over = matches!(seen.si_code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED);
    if over && is_own_child(tid) {
        return Event::Gone;
    }
    let mut status = 0;
    // SAFETY: writes into the integer that outlives the call.
    if unsafe { libc::waitpid(id, &raw mut status, flags) } != id || !libc::WIFSTOPPED(status) {
        return Event::Gone;
    }
    match status >> 16 {
        0 if libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80 => Event::Syscall,
        0 => Event::Signal(libc::WSTOPSIG(status)),
        libc::PTRACE_EVENT_EXEC => Event::Exec,
        _ => Event::Halted,
    }
}

/// True if a process was started by this one, which will collect its exit status.
fn is_own_child(pid: u32) -> bool {
    target::stat(pid).is_some_and(|stat| stat.parent == std::process::id())
}
