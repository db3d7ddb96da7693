//! System calls that a stopped thread makes on behalf of the tool.
//!
//! The thread's state is put on its own stack as the frame of a signal handler, and the code that it executes ends in
//! the return from that handler. So the thread finds its way back even if the tool is killed in the middle. Only a
//! thread that stands on its own stack is used: below its stack pointer nothing is kept. Below that of a goroutine or a
//! fibre other data may lie.

use binary::maps::{Backing, Maps};

use super::{
    InlineError,
    halt::Halted,
    memory::Memory,
    ptrace::{self, Event, Regs},
    sequence,
};

/// Addresses of C library code that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gadgets {
    /// `syscall; ret`: a system call that returns to its caller.
    pub syscall: u64,
    /// `mov $15,%rax; syscall`: the return from a signal handler.
    pub restore: u64,
}

const SYSCALL_RET: [u8; 3] = [0x0f, 0x05, 0xc3];
const RESTORE: [u8; 9] = [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];

impl Gadgets {
    /// Finds both in executable memory.
    pub fn of(memory: &Memory, text: (u64, u64)) -> Option<Self> {
        let code = memory.bytes(text.0, usize::try_from(text.1 - text.0).ok()?).ok()?;
        Some(Self { syscall: text.0 + find(&code, &SYSCALL_RET)?, restore: text.0 + find(&code, &RESTORE)? })
    }
}

/// Address of the first occurrence of a pattern.
fn find(code: &[u8], pattern: &[u8]) -> Option<u64> {
    let first = *pattern.first()?;
    let mut from = 0;
    loop {
        let at = from + code.get(from..)?.iter().position(|byte| *byte == first)?;
        if code[at..].starts_with(pattern) {
            return Some(at as u64);
        }
        from = at + 1;
    }
}

/// Bytes below the stack pointer that functions may use.
pub const RED_ZONE: u64 = 128;
const UCONTEXT: usize = 304;
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;
/// Value that no mode of an alternate stack has: the present alternate stack is kept.
const NO_ALTSTACK_MODE: u64 = 0x7777;
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
const SOFTWARE_BYTES: usize = 464;
/// Size of what `fxsave` writes: the whole state where the processor has no `xsave`.
const LEGACY_STATE: usize = 512;

/// A thread that makes calls; its state is restored when this is dropped.
pub struct Caller<'a> {
    halted: &'a mut Halted,
    pid: u32,
    tid: u32,
    saved: Regs,
    mask: u64,
    /// Address of the frame: first the return address, then the state that is restored.
    frame: u64,
    /// Bytes that the frame has overwritten.
    covered: Vec<u8>,
    memory: &'a Memory,
    gadgets: Gadgets,
    begun: bool,
    finished: bool,
}

impl<'a> Caller<'a> {
    /// Chooses one of the threads: `None` where no thread can be made to execute calls now.
    pub fn of(
        halted: &'a mut Halted,
        pid: u32,
        memory: &'a Memory,
        maps: &Maps,
        gadgets: Gadgets,
    ) -> Result<Option<Self>, InlineError> {
        let failed = InlineError::step(pid, "looking at a thread");
        for tid in halted.helpers() {
            memory.through(tid);
            let extended = ptrace::extended_state(tid).map_err(&failed)?;
            let room = (extended.len() + 64 + 4 + UCONTEXT + 64) as u64;
            let regs = ptrace::registers(tid).map_err(&failed)?;
            if !stands_on_own_stack(maps, &regs, RED_ZONE + room + 64) {
                continue;
            }
            if let Some(saved) = sequence::left(tid, memory, regs).map_err(&failed)? {
                return Self::with(halted, pid, memory, gadgets, (tid, saved, extended, room)).map(Some);
            }
        }
        Ok(None)
    }

    fn with(
        halted: &'a mut Halted,
        pid: u32,
        memory: &'a Memory,
        gadgets: Gadgets,
        (tid, saved, extended, room): (u32, Regs, Vec<u8>, u64),
    ) -> Result<Self, InlineError> {
        let failed = InlineError::step(pid, "looking at a thread");
        let mask = ptrace::signal_mask(tid).map_err(&failed)?;
        let frame = (saved.rsp.saturating_sub(RED_ZONE + room)) & !63;
        // The kernel expects the vector registers at a multiple of 64.
        let state_at = (frame + 8 + UCONTEXT as u64 + 63) & !63;
        let mut bytes = gadgets.restore.to_le_bytes().to_vec();
        bytes.extend(context(&saved, mask, state_at, extended.len() > LEGACY_STATE));
        bytes.resize((state_at - frame) as usize, 0);
        bytes.extend(with_software_bytes(extended));
        let no_room = InlineError::step(pid, "borrowing room below the stack of a thread");
        let covered = memory.bytes(frame, bytes.len()).map_err(&no_room)?;
        memory.write(frame, &bytes).map_err(&no_room)?;
        Ok(Self {
            halted,
            pid,
            tid,
            saved,
            mask,
            frame,
            covered,
            memory,
            gadgets,
            begun: false,
            finished: false,
        })
    }

    /// Makes one system call and returns its result.
    pub fn call(&mut self, number: libc::c_long, arguments: [u64; 6]) -> Result<i64, InlineError> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let regs = Regs {
            rip: self.gadgets.syscall,
            rsp: self.frame,
            rax: number as u64,
            orig_rax: u64::MAX,
            ..Regs { rdi, rsi, rdx, r10, r8, r9, ..self.saved }
        };
        self.begin_at(&regs)?;
        self.go()?;
        let after = self.go()?;
        if after.rip != self.gadgets.syscall + 2 {
            return Err(InlineError::refused(self.pid, "a system call did not return", "report this"));
        }
        Ok(after.rax as i64)
    }

    /// Executes code that ends in the return from a signal handler, up to an address behind its last system call; `at`
    /// is called at the end of every system call.
    pub fn execute(&mut self, from: u64, to: u64, mut at: impl FnMut(&Regs)) -> Result<(), InlineError> {
        // The return pops from the stack pointer.
        let regs = Regs { rip: from, rsp: self.frame + 8, orig_rax: u64::MAX, ..self.saved };
        self.begin_at(&regs)?;
        loop {
            self.go()?;
            let now = self.go()?;
            at(&now);
            if now.rip == to {
                return Ok(());
            }
        }
    }

    fn begin_at(&mut self, regs: &Regs) -> Result<(), InlineError> {
        self.begun = true;
        let failed = InlineError::step(self.pid, "setting registers");
        ptrace::set_registers(self.tid, regs).map_err(&failed)?;
        // From here on the thread finds its way back; now signals can wait.
        ptrace::set_signal_mask(self.tid, u64::MAX).map_err(&failed)
    }

    /// Resumes the thread until the beginning or the end of its next system call. It is never stopped in another way: a
    /// thread whose tracer is killed while the thread is about to take the signal of a single step takes that
    /// signal, and dies.
    fn go(&mut self) -> Result<Regs, InlineError> {
        loop {
            ptrace::to_syscall(self.tid).map_err(|_| InlineError::Gone(self.pid))?;
            match ptrace::wait(self.tid) {
                Event::Syscall => {
                    return ptrace::registers(self.tid).map_err(|_| InlineError::Gone(self.pid));
                }
                Event::Signal(signal @ (libc::SIGSEGV | libc::SIGSYS | libc::SIGBUS | libc::SIGILL)) => {
                    let reason = format!("a call that it was made to make ended in signal {signal}");
                    return Err(InlineError::refused(self.pid, reason, "it goes on as it was"));
                }
                // The signal is delivered when the thread is resumed.
                Event::Signal(signal) => self.halted.owes(self.tid, signal),
                Event::Gone => return Err(InlineError::Gone(self.pid)),
                Event::Halted | Event::Exec | Event::Nothing => {}
            }
        }
    }

    /// Stops the thread where the kernel looks for signals: only there are registers accepted so that an interrupted
    /// call of the thread's own is made again.
    fn settle(&mut self) -> Result<(), InlineError> {
        ptrace::interrupt(self.tid).map_err(|_| InlineError::Gone(self.pid))?;
        loop {
            ptrace::to_syscall(self.tid).map_err(|_| InlineError::Gone(self.pid))?;
            match ptrace::wait(self.tid) {
                Event::Halted => return Ok(()),
                Event::Signal(signal) => self.halted.owes(self.tid, signal),
                Event::Gone => return Err(InlineError::Gone(self.pid)),
                Event::Syscall | Event::Exec | Event::Nothing => {}
            }
        }
    }

    /// Restores the thread.
    pub fn finish(mut self) -> Result<(), InlineError> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), InlineError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        if self.begun {
            self.settle()?;
        }
        // In this order: until the registers are restored, the thread would restore its mask by itself.
        let failed = InlineError::step(self.pid, "putting registers back");
        ptrace::set_signal_mask(self.tid, self.mask).map_err(&failed)?;
        ptrace::set_registers(self.tid, &self.saved).map_err(&failed)?;
        self.memory.write(self.frame, &self.covered).map_err(&failed)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}

/// True if a thread's stack pointer is in the stack that the thread was born with, with so much room below it. The C
/// library keeps the thread's own data at the upper end of the stack, except for the first thread.
fn stands_on_own_stack(maps: &Maps, regs: &Regs, room: u64) -> bool {
    maps.at(regs.rsp).is_some_and(|here| {
        let first = here.backing == Backing::Named("[stack]".to_owned());
        let born = here.contains(regs.fs_base) && regs.rsp < regs.fs_base;
        here.writable && (first || born) && regs.rsp - here.start > room
    })
}

/// State that the return from a signal handler restores: registers as they were, except after an interrupted system
/// call, which is made again as the kernel would.
fn context(regs: &Regs, mask: u64, state_at: u64, is_extended: bool) -> Vec<u8> {
    let (rip, rax) = restarted(regs);
    let state = if is_extended { UC_FP_XSTATE } else { 0 };
    let flags = state | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    let selectors = (regs.cs & 0xffff) | (regs.ss & 0xffff) << 48;
    let words = [
        [flags, 0, 0, NO_ALTSTACK_MODE, 0].as_slice(),
        &[regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15],
        &[regs.rdi, regs.rsi, regs.rbp, regs.rbx, regs.rdx, rax, regs.rcx, regs.rsp],
        &[rip, regs.eflags, selectors, 0, 0, mask, 0, state_at],
        &[0; 8],
        &[mask],
    ]
    .concat();
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Address and call number with which a thread continues after an interrupted system call.
fn restarted(regs: &Regs) -> (u64, u64) {
    /// Codes that mean "make the call again", and the one that means "go on with it".
    const AGAIN: std::ops::RangeInclusive<i64> = -514..=-512;
    const GO_ON: i64 = -516;
    let in_call = (regs.orig_rax as i64) >= 0;
    match regs.rax as i64 {
        code if in_call && AGAIN.contains(&code) => (regs.rip - 2, regs.orig_rax),
        GO_ON if in_call => (regs.rip - 2, libc::SYS_restart_syscall as u64),
        _ => (regs.rip, regs.rax),
    }
}

/// The vector registers as they lie in a signal frame: the frame gives their size and features, in bytes that the
/// processor leaves alone and in which the kernel reports only the features to a debugger.
fn with_software_bytes(mut state: Vec<u8>) -> Vec<u8> {
    let size = state.len() as u32;
    if state.len() <= LEGACY_STATE {
        return state;
    }
    let Some(bytes) = state.get_mut(SOFTWARE_BYTES..SOFTWARE_BYTES + 24) else { return state };
    let features: [u8; 8] = std::array::from_fn(|at| bytes[at]);
    bytes[..4].copy_from_slice(&MAGIC_1.to_le_bytes());
    bytes[4..8].copy_from_slice(&(size + 4).to_le_bytes());
    bytes[8..16].copy_from_slice(&features);
    bytes[16..20].copy_from_slice(&size.to_le_bytes());
    state.extend(MAGIC_2.to_le_bytes());
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
c000000000-c000400000 rw-p 00000000 00:00 0
7fff00000000-7fff00020000 rw-p 00000000 00:00 0 [stack]
";

    #[test]
    fn only_a_thread_on_the_stack_that_it_was_born_with_can_be_made_use_of() {
        let maps = Maps::parse(MAPS.as_bytes());
        // SAFETY: the structure consists of integers, for which zero is a value.
        let zero: Regs = unsafe { std::mem::zeroed() };
        let can = |rsp, fs_base| stands_on_own_stack(&maps, &Regs { rsp, fs_base, ..zero }, 4096);
        assert!(can(0x7f00_007f_0000, 0x7f00_007f_f700));
        assert!(can(0x7fff_0001_0000, 0x7f12_0000_0000));
        // A goroutine's stack, a fibre's above the thread's data, and one with too little room below.
        assert!(!can(0xc0_0001_0000, 0x7f00_007f_f700));
        assert!(!can(0x7f00_007f_f800, 0x7f00_007f_f700));
        assert!(!can(0x7f00_0000_0800, 0x7f00_007f_f700));
        assert!(!can(0x1000, 0x7f00_007f_f700));
    }
}
