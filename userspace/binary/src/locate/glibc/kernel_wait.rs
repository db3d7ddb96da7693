//! Calls that lead into a wait in the kernel.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::locate::{
    code::{Body, branch_target},
    elf::Image,
    extents::Extents,
    flow::{State, Value, is_immediate},
    register::Reg,
    site::Wait,
};

/// The number of the system call `futex`.
const FUTEX: u64 = 202;
const PRIVATE: u64 = 0x80;
const WAIT: u64 = 0;
const WAIT_BITSET: u64 = 9;

/// Reports whether the function at an address waits on a futex: it, or the function in which it ends, makes the system
/// call, and the operation that it composes is a wait and nothing else.
pub fn waits(image: &Image<'_>, extents: &Extents, address: u64) -> bool {
    let Some(body) = body_at(image, extents, address) else { return false };
    if makes_call(&body) {
        return composes_wait(&body);
    }
    let last_jumps =
        body.instructions.iter().filter(|of| of.mnemonic() == Mnemonic::Jmp).filter_map(branch_target);
    let mut elsewhere = last_jumps.filter(|target| !body.holds(*target));
    match (elsewhere.next(), elsewhere.next()) {
        (Some(target), None) => {
            body_at(image, extents, target).is_some_and(|body| makes_call(&body) && composes_wait(&body))
        }
        _ => false,
    }
}

fn body_at<'a>(image: &Image<'a>, extents: &Extents, address: u64) -> Option<Body<'a>> {
    Body::decode(image, extents, address, extents.size_at(address)?).ok()
}

fn makes_call(body: &Body<'_>) -> bool {
    let number = |of: &Instruction| {
        of.mnemonic() == Mnemonic::Mov
            && Reg::whole(of.op0_register()) == Some(Reg::Rax)
            && is_immediate(of, 1)
            && of.immediate(1) == FUTEX
    };
    body.instructions.iter().any(|of| of.mnemonic() == Mnemonic::Syscall)
        && body.instructions.iter().any(number)
}

/// The second argument carries the operation. It is put together from constants; those with the private bit name it.
fn composes_wait(body: &Body<'_>) -> bool {
    let constants = body.instructions.iter().filter(|of| {
        of.op0_kind() == OpKind::Register
            && Reg::whole(of.op0_register()) == Some(Reg::Rsi)
            && is_immediate(of, 1)
    });
    let mut operations =
        constants.map(|of| of.immediate(1) & 0xff).filter(|constant| constant & PRIVATE != 0);
    let Some(first) = operations.next() else { return false };
    matches!(first & !PRIVATE, WAIT | WAIT_BITSET) && operations.all(|other| other == first)
}

/// Kind of mutex for which a call in `pthread_mutex_lock` waits, by what its function does next with the lock: a
/// recursive mutex gets its count set to one, any other its owner.
pub fn kind_after(body: &Body<'_>, states: &[Option<State>], call: usize) -> Option<Wait> {
    const COUNT: i64 = 4;
    const OWNER: i64 = 8;
    const USERS: i64 = 12;
    let mut index = call;
    // The two are a handful of instructions away; the check of the owner that may stand between falls through.
    for _ in 0..16 {
        let instruction = body.instructions.get(index)?;
        let stores = instruction.op0_kind() == OpKind::Memory
            && matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Add | Mnemonic::Inc);
        let to = states.get(index)?.as_ref().map(|state| state.pointee(instruction));
        match to {
            Some(Value::Lock(COUNT)) if stores => {
                return (is_immediate(instruction, 1) && instruction.immediate(1) == 1)
                    .then_some(Wait::Recursive);
            }
            Some(Value::Lock(OWNER | USERS)) if stores => return Some(Wait::Normal),
            _ => {}
        }
        index = match instruction.mnemonic() {
            Mnemonic::Jmp => body.at(branch_target(instruction)?)?,
            Mnemonic::Ret => return None,
            _ => index + 1,
        };
    }
    None
}
