//! Restartable sequences (`rseq(2)`): a thread that is stopped inside of one may not simply continue there later.
//!
//! The kernel restarts the sequence of a thread that was stopped inside of it. If the thread is made to execute other
//! code first, the kernel sees it elsewhere and only forgets the sequence; put back into the middle, the thread would
//! continue as if it had not been interrupted. So the sequence is aborted first, as the kernel does after any stop.

use std::io;

use super::{
    memory::Memory,
    ptrace::{self, Regs, Restartable},
};

/// Offset of the address of the sequence in `struct rseq`.
const CURRENT: u64 = 8;
/// Size of `struct rseq_cs`: version and flags, beginning, length, abort address.
const DESCRIPTOR: usize = 32;

/// Registers with which a stopped thread continues once it has left the sequence that it may be in. `None` where that
/// cannot be determined.
pub fn left(tid: u32, memory: &Memory, regs: Regs) -> io::Result<Option<Regs>> {
    // No sequence makes system calls: the kernel kills a thread that does.
    if (regs.orig_rax as i64) >= 0 {
        return Ok(Some(regs));
    }
    let Ok(told) = ptrace::restartable(tid) else { return Ok(None) };
    if told.address == 0 {
        return Ok(Some(regs));
    }
    let current = word(&memory.bytes(told.address + CURRENT, 8)?, 0);
    if current == 0 {
        return Ok(Some(regs));
    }
    let descriptor = memory.bytes(current, DESCRIPTOR)?;
    match begin_anew(&descriptor, regs.rip) {
        Where::Outside => Ok(Some(regs)),
        Where::Unknown => Ok(None),
        // The kernel forgets the sequence when it sees the thread elsewhere.
        Where::Inside { abort } if is_signed(memory, abort, told)? => Ok(Some(Regs { rip: abort, ..regs })),
        Where::Inside { .. } => Ok(None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Outside,
    Inside { abort: u64 },
    Unknown,
}

fn begin_anew(descriptor: &[u8], rip: u64) -> Where {
    let [head, start, len, abort] = [0, 1, 2, 3].map(|at| word(descriptor, at));
    match rip.wrapping_sub(start) < len {
        false => Where::Outside,
        // A version or flags that are not known.
        true if head != 0 => Where::Unknown,
        true => Where::Inside { abort },
    }
}

/// True if the signature stands in front of the abort address: otherwise the kernel does not go there.
fn is_signed(memory: &Memory, abort: u64, told: Restartable) -> io::Result<bool> {
    Ok(memory.bytes(abort.wrapping_sub(4), 4)? == told.signature.to_le_bytes())
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(8 * at..8 * at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_entered_at_its_first_instruction_and_left_behind_its_last() {
        let of = |head: u64| [head, 0x1000, 0x20, 0x2000].map(u64::to_le_bytes).concat();
        for (rip, expected) in [
            (0xfff, Where::Outside),
            (0x1000, Where::Inside { abort: 0x2000 }),
            (0x101f, Where::Inside { abort: 0x2000 }),
            (0x1020, Where::Outside),
            (0x2000, Where::Outside),
        ] {
            assert_eq!(begin_anew(&of(0), rip), expected, "{rip:#x}");
        }
        assert_eq!(begin_anew(&of(1), 0x1004), Where::Unknown);
    }
}
