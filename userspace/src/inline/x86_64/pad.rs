//! The code that counts.

use super::{
    code::Code,
    layout::{Layout, SPINS, SPREAD, STRIPE, TOTALS, word},
};
use crate::locate::{
    register::Reg,
    replaceable::{Moved, Passing, Replaceable},
};

/// Where the thread's own address lies, relative to `fs`: the ABI has it there.
const THREAD: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0];
/// Spreads addresses of threads evenly: two to the 32nd divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b1;
const LOCK: u8 = 0xf0;

/// The pad of one place: counts, does what was replaced, goes on behind it. `bias` is address in memory minus address in
/// the file.
pub fn pad(code: &mut Code, place: &Replaceable, layout: Layout, bias: u64) {
    let (counted, shared, claim, ours) = (code.label(), code.label(), code.label(), code.label());
    // lea -0x80(%rsp),%rsp: not into the red zone. Then the registers that are made use of.
    code.raw(&[0x48, 0x8d, 0x64, 0x24, 0x80]).raw(&[0x50, 0x51, 0x52, 0x56]);
    if let Passing::SpinEnd(count) = place.passing {
        code.copy32(Reg::Rdx, count);
    }
    // The thread's stripe, from its address: mov; shr $12; imul; shr $24; imul.
    code.raw(&THREAD).raw(&[0x48, 0x89, 0xc1]).raw(&[0x48, 0xc1, 0xe9, 12]);
    code.with(&[0x69, 0xc9], GOLDEN).raw(&[0xc1, 0xe9, (32 - SPREAD.ilog2()) as u8]);
    code.with(&[0x48, 0x69, 0xc9], STRIPE as u32);
    // lea area(%rip),%rsi; add distance(%rip),%rsi; add %rsi,%rcx
    code.to(&[0x48, 0x8d, 0x35], layout.own_area()).to(&[0x48, 0x03, 0x35], layout.distance());
    code.raw(&[0x48, 0x01, 0xf1]);
    // cmp %rax,(%rcx); je ours; cmpq $0,(%rcx); je claim; then the neighbour's.
    code.raw(&[0x48, 0x39, 0x01]).branch(&[0x0f, 0x84], ours);
    code.raw(&[0x48, 0x83, 0x39, 0]).branch(&[0x0f, 0x84], claim);
    code.with(&[0x48, 0x81, 0xc1], STRIPE as u32);
    code.raw(&[0x48, 0x39, 0x01]).branch(&[0x0f, 0x84], ours);
    code.raw(&[0x48, 0x83, 0x39, 0]).branch(&[0x0f, 0x84], claim);
    code.set(shared).with(&[0x48, 0x8d, 0x8e], ((SPREAD + 1) * STRIPE) as u32);
    count(code, place.passing, true);
    code.branch(&[0xe9], counted);
    // push %rdx; mov %rax,%rdx; xor %eax,%eax; lock cmpxchg %rdx,(%rcx); mov %rdx,%rax; pop %rdx
    code.set(claim).raw(&[0x52, 0x48, 0x89, 0xc2, 0x31, 0xc0]);
    code.raw(&[LOCK, 0x48, 0x0f, 0xb1, 0x11, 0x48, 0x89, 0xd0, 0x5a]);
    code.branch(&[0x0f, 0x85], shared);
    // Nobody else writes here, and a signal comes before or after an instruction: it need not be locked.
    code.set(ours);
    count(code, place.passing, false);
    code.set(counted).raw(&[0x5e, 0x5a, 0x59, 0x58]);
    // lea 0x80(%rsp),%rsp
    code.with(&[0x48, 0x8d, 0xa4, 0x24], 0x80);
    go_on(code, place, bias);
}

/// Adds one, in the stripe at `rcx`.
fn count(code: &mut Code, passing: Passing, locked: bool) {
    if word(passing).is_none() {
        // cmp $last,%edx; jb +5; mov $last,%edx
        let last = (SPINS - 1) as u32;
        code.with(&[0x81, 0xfa], last).raw(&[0x72, 5]).with(&[0xba], last);
    }
    if locked {
        code.raw(&[LOCK]);
    }
    match word(passing) {
        // incq 8 * word(%rcx)
        Some(word) => code.raw(&[0x48, 0xff, 0x41, (word * 8) as u8]),
        // incq 8 * TOTALS(%rcx,%rdx,8)
        None => code.raw(&[0x48, 0xff, 0x44, 0xd1, (TOTALS * 8) as u8]),
    };
}

/// What was replaced, and the way back.
fn go_on(code: &mut Code, place: &Replaceable, bias: u64) {
    let next = place.address.wrapping_add(bias) + place.bytes.len() as u64;
    match place.moved {
        Moved::Copied => {
            code.raw(&place.bytes).to(&[0xe9], next);
        }
        Moved::Jump(target) => {
            code.to(&[0xe9], target.wrapping_add(bias));
        }
        Moved::Call(target) => {
            // The callee returns to where it always did: push $low; movl $high,4(%rsp); jmp
            code.with(&[0x68], next as u32).with(&[0xc7, 0x44, 0x24, 4], (next >> 32) as u32);
            code.to(&[0xe9], target.wrapping_add(bias));
        }
    }
}
