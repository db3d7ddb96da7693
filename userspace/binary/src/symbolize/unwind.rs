//! From the registers and a copied piece of stack to the chain of return addresses.

use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::{
    cfi::Row,
    elf::Machine,
    rows::{Copied, State, Stop},
};

/// Registers of a thread, as the kernel side takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    /// Address of its code.
    pub ip: u64,
    /// Address of its stack.
    pub sp: u64,
    /// Its frame pointer: `rbp`, `x29`.
    pub bp: u64,
    /// Its link register; of no meaning on x86.
    pub lr: u64,
}

/// Ending of a chain of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// At the entry of the thread.
    Complete,
    /// At the end of what was copied: there are more.
    CutByCopy,
    /// In code that nothing is written down about.
    NoUnwindInfo,
    /// At an address that cannot be one of a caller.
    Implausible,
    /// In code whose frame depends on a register that was not taken.
    UnknownRegister,
}

/// Method by which a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reached {
    /// This is where the thread was, or where a signal interrupted it.
    Here,
    /// By unwind information: it called what stands before it.
    Call,
    /// By the frame pointer, as nothing was written down: callers in between may be missing.
    FramePointer,
}

/// Knowledge of the code of a process.
pub trait Code {
    /// True if something executable is mapped there.
    fn is_executable(&self, address: u64) -> bool;

    /// The row for an address; `None` where there is none.
    fn row(&mut self, address: u64) -> Option<Arc<Row>>;

    /// The row for an address, by its code until the return; `None` where that cannot be followed.
    fn row_by_code(&mut self, _address: u64) -> Option<Arc<Row>> {
        None
    }

    /// True if the instruction before is a call; `None` if its bytes cannot be had.
    fn follows_call(&mut self, address: u64) -> Option<bool>;

    /// First address behind the mapping that a stack lies in.
    fn stack_end(&self, sp: u64) -> Option<u64>;
}

/// An address and how it was found.
pub type Found = (u64, Reached);

/// Follows a stack outwards.
pub fn walk(code: &mut impl Code, machine: Machine, taken: &Registers, bytes: &[u8]) -> (Vec<Found>, Ended) {
    let mut frames = Vec::new();
    if !code.is_executable(taken.ip) {
        return (frames, Ended::Implausible);
    }
    let stack = Copied { at: taken.sp, bytes };
    let mut state = State::new(machine, taken);
    let mut reached = Reached::Here;
    loop {
        frames.push((state.ip, reached));
        match step(code, machine, &state, reached, stack) {
            Ok((caller, how)) => (state, reached) = (caller, how),
            Err(ended) => return (frames, ended),
        }
    }
}

/// The address whose row tells the caller: a call may be the last instruction of its function.
fn asked(ip: u64, reached: Reached) -> u64 {
    if reached == Reached::Here { ip } else { ip.wrapping_sub(1) }
}

fn step(
    code: &mut impl Code,
    machine: Machine,
    state: &State,
    reached: Reached,
    stack: Copied<'_>,
) -> Result<(State, Reached), Ended> {
    let Some(row) = code.row(asked(state.ip, reached)) else {
        let by_code = by_code(code, state, stack);
        return by_code.or_else(|| by_frame_pointer(code, state, stack)).ok_or(Ended::NoUnwindInfo);
    };
    let mut caller = state.caller(&row, stack).map_err(|stop| ended(code, stop, stack))?;
    if caller.ip == 0 {
        return Err(Ended::Complete);
    }
    // Only the innermost function of Arm may have used no stack at all.
    let still = machine == Machine::Aarch64 && reached == Reached::Here && caller.sp() == state.sp();
    if caller.sp() <= state.sp() && !still {
        return Err(Ended::Implausible);
    }
    if row.is_signal {
        return if code.is_executable(caller.ip) {
            Ok((caller, Reached::Here))
        } else {
            Err(Ended::Implausible)
        };
    }
    if machine == Machine::Aarch64 && !code.is_executable(caller.ip) {
        caller.ip &= WITHOUT_SIGNATURE;
    }
    let returns = returns_to(code, caller.ip);
    if returns { Ok((caller, Reached::Call)) } else { Err(Ended::Implausible) }
}

/// Arm may sign return addresses in the bits that no address of a process uses.
const WITHOUT_SIGNATURE: u64 = (1 << 48) - 1;

/// True if a function may return to an address.
fn returns_to(code: &mut impl Code, address: u64) -> bool {
    if !code.is_executable(address) {
        return false;
    }
    // No call leads to the code that a signal handler returns to.
    code.follows_call(address).unwrap_or(true)
        || code.row(address.wrapping_sub(1)).is_some_and(|row| row.is_signal)
}

fn by_code(code: &mut impl Code, state: &State, stack: Copied<'_>) -> Option<(State, Reached)> {
    let row = code.row_by_code(state.ip)?;
    let caller = state.caller(&row, stack).ok()?;
    (caller.sp() > state.sp() && returns_to(code, caller.ip)).then_some((caller, Reached::Call))
}

fn by_frame_pointer(code: &mut impl Code, state: &State, stack: Copied<'_>) -> Option<(State, Reached)> {
    let caller = state.by_frame_pointer(stack).ok()?;
    (caller.sp() > state.sp() && returns_to(code, caller.ip)).then_some((caller, Reached::FramePointer))
}

fn ended(code: &impl Code, stop: Stop, stack: Copied<'_>) -> Ended {
    match stop {
        Stop::Outermost => Ended::Complete,
        Stop::Register => Ended::UnknownRegister,
        Stop::Nonsense => Ended::Implausible,
        Stop::Memory(address) => {
            let copied = stack.at.saturating_add(stack.bytes.len() as u64);
            let end = code.stack_end(stack.at).unwrap_or(copied);
            // A word may begin in the copy and reach out of it.
            let beyond = address >= stack.at && address.saturating_add(8) > copied;
            if beyond && address < end { Ended::CutByCopy } else { Ended::Implausible }
        }
    }
}
