//! Generates the pads, the code that counts.

use binary::locate::{
    register::Reg,
    replaceable::{Moved, Passing, Replaceable},
};

use super::{
    code::{Code, Label},
    layout::{
        COMMON, FIRST, Layout, NOWHERE, SPINS, SPREAD, STRIPE, STRIPE_SPINS, THREAD_BITS, TOTALS, word,
    },
    row,
};

/// Loads the thread's own address, which the ABI keeps relative to `fs`.
const THREAD: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0];
/// Spreads addresses of threads evenly: two to the 32nd divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b1;
pub const LOCK: u8 = 0xf0;

/// Parameters of all pads of a target.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Addresses of all parts.
    pub layout: Layout,
    /// Address in memory minus address in the file.
    pub bias: u64,
    /// Offset of a thread's id, relative to `fs`.
    pub thread_id: Option<u32>,
    /// Address of the first thread: after a fork by it, the child finds its own id there.
    pub leader: u64,
    /// True if every lock has rows of its own.
    pub by_lock: bool,
}

/// Generates the pad of one site: it counts, executes the replaced instruction, and continues behind it.
pub fn pad(code: &mut Code, place: &Replaceable, setting: Setting) {
    let done = code.label();
    // lea -0x80(%rsp),%rsp: not into the red zone. Then the registers that are made use of.
    code.raw(&[0x48, 0x8d, 0x64, 0x24, 0x80]).raw(&[0x50, 0x51, 0x52, 0x56]);
    match place.lock.filter(|_| setting.by_lock) {
        Some(lock) => by_lock(code, place.passing, lock, setting),
        None => by_thread(code, place.passing, setting, done),
    }
    code.set(done).raw(&[0x5e, 0x5a, 0x59, 0x58]);
    // lea 0x80(%rsp),%rsp
    code.with(&[0x48, 0x8d, 0xa4, 0x24], 0x80);
    go_on(code, place, setting.bias);
}

/// Counts in the thread's stripe. A forked child has no stripes.
fn by_thread(code: &mut Code, passing: Passing, setting: Setting, done: Label) {
    let (born_since, full, end) = (code.label(), code.label(), code.label());
    take_count(code, passing);
    unless_first(code, setting.layout, born_since);
    stripe(code, passing, setting.layout, done);
    code.branch(&[0xe9], done);
    code.set(born_since);
    row::save(code);
    code.raw(&THREAD).with(&[0xbf], super::layout::ALL_LOCKS as u32);
    row::count(code, passing, setting, full, end);
    code.set(full);
    nowhere_else(code, passing, setting.layout);
    code.set(end);
    row::restore(code);
}

/// Counts in the row of the lock and the thread; where no row is free, as if locks were not told apart.
fn by_lock(code: &mut Code, passing: Passing, lock: Reg, setting: Setting) {
    let (full, born_since, end) = (code.label(), code.label(), code.label());
    row::save(code);
    // The register of one operand may be the destination of the other.
    code.push(lock);
    take_count(code, passing);
    code.pop(Reg::Rdi);
    code.raw(&THREAD);
    row::count(code, passing, setting, full, end);
    code.set(full);
    unless_first(code, setting.layout, born_since);
    stripe(code, passing, setting.layout, end);
    code.branch(&[0xe9], end);
    code.set(born_since);
    nowhere_else(code, passing, setting.layout);
    code.set(end);
    row::restore(code);
}

/// Moves the spin count to `edx`, where there is one.
fn take_count(code: &mut Code, passing: Passing) {
    if let Passing::SpinEnd(count) = passing {
        code.copy32(Reg::Rdx, count);
    }
}

/// Branches to `other` in a process that the counters were not put into.
fn unless_first(code: &mut Code, layout: Layout, other: Label) {
    // lea number(%rip),%rsi; cmpl $first,4(%rsi): the lower half is always zero.
    code.to(&[0x48, 0x8d, 0x35], layout.number());
    code.with(&[0x81, 0x7e, 4], (FIRST << (THREAD_BITS - 32)) as u32).branch(&[0x0f, 0x85], other);
}

/// Counts in the stripe of this thread, or in the one that is shared.
fn stripe(code: &mut Code, passing: Passing, layout: Layout, done: Label) {
    let (shared, claim, ours) = (code.label(), code.label(), code.label());
    // The thread's stripe, from its address: mov; shr $12; imul; shr $24; imul.
    code.raw(&THREAD).raw(&[0x48, 0x89, 0xc1]).raw(&[0x48, 0xc1, 0xe9, 12]);
    code.with(&[0x69, 0xc9], GOLDEN).raw(&[0xc1, 0xe9, (32 - SPREAD.ilog2()) as u8]);
    code.with(&[0x48, 0x69, 0xc9], STRIPE as u32);
    // lea area(%rip),%rsi; add %rsi,%rcx
    code.to(&[0x48, 0x8d, 0x35], layout.area()).raw(&[0x48, 0x01, 0xf1]);
    if word(passing).is_none() {
        // cmp $STRIPE_SPINS,%edx; jae shared
        code.with(&[0x81, 0xfa], STRIPE_SPINS as u32).branch(&[0x0f, 0x83], shared);
    }
    // cmp %rax,(%rcx); je ours; cmpq $0,(%rcx); je claim; then the neighbour's.
    code.raw(&[0x48, 0x39, 0x01]).branch(&[0x0f, 0x84], ours);
    code.raw(&[0x48, 0x83, 0x39, 0]).branch(&[0x0f, 0x84], claim);
    code.with(&[0x48, 0x81, 0xc1], STRIPE as u32);
    code.raw(&[0x48, 0x39, 0x01]).branch(&[0x0f, 0x84], ours);
    code.raw(&[0x48, 0x83, 0x39, 0]).branch(&[0x0f, 0x84], claim);
    code.set(shared).with(&[0x48, 0x8d, 0x8e], COMMON as u32);
    count(code, passing, true);
    code.branch(&[0xe9], done);
    // push %rdx; mov %rax,%rdx; xor %eax,%eax; lock cmpxchg %rdx,(%rcx); mov %rdx,%rax; pop %rdx
    code.set(claim).raw(&[0x52, 0x48, 0x89, 0xc2, 0x31, 0xc0]);
    code.raw(&[LOCK, 0x48, 0x0f, 0xb1, 0x11, 0x48, 0x89, 0xd0, 0x5a]);
    code.branch(&[0x0f, 0x85], shared);
    // No other thread writes here, and a signal comes before or after an instruction: no `lock` is needed.
    code.set(ours);
    count(code, passing, false);
}

/// Counts in the stripe shared by all threads that found no room elsewhere.
fn nowhere_else(code: &mut Code, passing: Passing, layout: Layout) {
    // lea last(%rip),%rcx
    code.to(&[0x48, 0x8d, 0x0d], layout.area() + NOWHERE);
    count(code, passing, true);
}

/// Adds one, in the stripe at `rcx`.
fn count(code: &mut Code, passing: Passing, locked: bool) {
    if locked && word(passing).is_none() {
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

/// Executes the replaced instruction and jumps back.
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
            // The callee returns to the original address: push $low; movl $high,4(%rsp); jmp
            code.with(&[0x68], next as u32).with(&[0xc7, 0x44, 0x24, 4], (next >> 32) as u32);
            code.to(&[0xe9], target.wrapping_add(bias));
        }
    }
}
