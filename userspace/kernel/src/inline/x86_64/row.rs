//! Counting in rows: each belongs to one thread of one process, and to one lock where locks are told apart.
//!
//! A row is claimed by writing the lock and then the thread. Between the two writes it has no owner: a signal handler
//! that counts then claims another row, and the reader adds both. Since only its thread writes to it, counting needs no
//! `lock`.

use binary::locate::{register::Reg, replaceable::Passing};

use super::{
    code::{Code, Label},
    layout::{
        MOST_PROCESSES, NUMBERS, ROW, ROW_SHIFT, ROW_SPINS, ROW_TOTALS, ROWS, STEPS, THREAD_BITS, word,
    },
    pad::{LOCK, Setting},
};

/// Odd multipliers, far from one another: they spread addresses of locks and of threads, and numbers of processes.
const SPREADING: [u32; 3] = [0x9e37_79b1, 0x85eb_ca6b, 0xc2b2_ae35];
/// Bits of an offset among the rows that are below the row number.
const BELOW: u32 = ROW.ilog2();

/// Mask of the bits of an offset among the rows that select the row.
fn within(setting: Setting) -> u32 {
    ((setting.layout.rows - 1) * ROW) as u32
}

/// Saves registers that are used besides those that every pad saves: `push %rdi; push %r8`.
pub fn save(code: &mut Code) {
    code.raw(&[0x57, 0x41, 0x50]);
}

/// Restores them: `pop %r8; pop %rdi`
pub fn restore(code: &mut Code) {
    code.raw(&[0x41, 0x58, 0x5f]);
}

/// Counts in the row of the lock in `rdi` and the thread in `rax`, then goes to `done`; to `full` where no row is free.
/// The spin count is in `edx`. `rax`, `rcx`, `rsi`, `rdi` and `r8` may change.
pub fn count(code: &mut Code, passing: Passing, setting: Setting, full: Label, done: Label) {
    if word(passing).is_none() {
        // cmp $ROW_SPINS,%edx; jae full
        code.with(&[0x81, 0xfa], ROW_SPINS as u32).branch(&[0x0f, 0x83], full);
    }
    number(code, setting, full);
    // add %rcx,%rax
    code.raw(&[0x48, 0x01, 0xc8]);
    first_place(code, setting);
    find(code, setting, full);
    match word(passing) {
        // incq 8 * word(%rsi)
        Some(word) => code.raw(&[0x48, 0xff, 0x46, ((word + ROW_SHIFT) * 8) as u8]),
        // incq 8 * ROW_TOTALS(%rsi,%rdx,8)
        None => code.raw(&[0x48, 0xff, 0x44, 0xd6, (ROW_TOTALS * 8) as u8]),
    };
    code.branch(&[0xe9], done);
}

/// Loads the number of this process into `r8`, and shifted into `rcx`; goes to `full` when there are
/// too many processes.
fn number(code: &mut Code, setting: Setting, full: Label) {
    let (look, known) = (code.label(), code.label());
    // mov number(%rip),%rcx; test %rcx,%rcx; jne known
    code.set(look).to(&[0x48, 0x8b, 0x0d], setting.layout.number());
    code.raw(&[0x48, 0x85, 0xc9]).branch(&[0x0f, 0x85], known);
    newborn(code, setting, look);
    // mov %rcx,%r8; shr $48,%r8; cmp $most,%r8d; jae full
    code.set(known).raw(&[0x49, 0x89, 0xc8]).raw(&[0x49, 0xc1, 0xe8, THREAD_BITS as u8]);
    code.with(&[0x41, 0x81, 0xf8], MOST_PROCESSES as u32).branch(&[0x0f, 0x83], full);
}

/// Takes the next number for a process that has none; if another thread is faster, this number remains unused.
fn newborn(code: &mut Code, setting: Setting, look: Label) {
    const BEYOND: u32 = 0xffff;
    let numbers = setting.layout.area() + NUMBERS;
    // mov $1,%ecx; lock xadd %rcx,births(%rip); add $2,%rcx: the first number is reserved for the target.
    code.with(&[0xb9], 1).raw(&[LOCK]).to(&[0x48, 0x0f, 0xc1, 0x0d], numbers);
    code.raw(&[0x48, 0x83, 0xc1, 2]);
    // cmp $most,%rcx; jb +5; mov $beyond,%ecx
    code.with(&[0x48, 0x81, 0xf9], MOST_PROCESSES as u32).raw(&[0x72, 5]).with(&[0xb9], BEYOND);
    // mov %rcx,%r8; shl $48,%rcx
    code.raw(&[0x49, 0x89, 0xc8]).raw(&[0x48, 0xc1, 0xe1, THREAD_BITS as u8]);
    // push %rax; xor %eax,%eax; lock cmpxchg %rcx,number(%rip); pop %rax; jne look
    code.raw(&[0x50, 0x31, 0xc0, LOCK]).to(&[0x48, 0x0f, 0xb1, 0x0d], setting.layout.number());
    code.raw(&[0x58]).branch(&[0x0f, 0x85], look);
    let Some(thread_id) = setting.thread_id else {
        code.branch(&[0xe9], look);
        return;
    };
    // cmp $most,%r8d; jae look
    code.with(&[0x41, 0x81, 0xf8], MOST_PROCESSES as u32).branch(&[0x0f, 0x83], look);
    // lea numbers(%rip),%rsi; lea (%rsi,%r8,8),%rsi; mov %fs:thread_id,%ecx; mov %ecx,(%rsi)
    code.to(&[0x48, 0x8d, 0x35], numbers).raw(&[0x4a, 0x8d, 0x34, 0xc6]);
    code.with(&[0x64, 0x8b, 0x0c, 0x25], thread_id).raw(&[0x89, 0x0e]);
    if setting.leader != 0 {
        // mov $leader,%rcx; mov thread_id(%rcx),%ecx; mov %ecx,4(%rsi)
        code.load(Reg::Rcx, setting.leader).with(&[0x8b, 0x89], thread_id).raw(&[0x89, 0x4e, 4]);
    }
    code.branch(&[0xe9], look);
}

/// Computes the offset of the first row to try, in `ecx`: from the lock in `rdi`, the number in `r8` and the
/// thread in `rax`.
fn first_place(code: &mut Code, setting: Setting) {
    let [lock, thread, process] = SPREADING;
    // imul $lock,%edi,%ecx; imul $process,%r8d,%r8d; add %r8d,%ecx
    code.with(&[0x69, 0xcf], lock).with(&[0x45, 0x69, 0xc0], process).raw(&[0x44, 0x01, 0xc1]);
    // mov %rax,%r8; shr $12,%r8; imul $thread,%r8d,%r8d; add %r8d,%ecx
    code.raw(&[0x49, 0x89, 0xc0]).raw(&[0x49, 0xc1, 0xe8, 12]);
    code.with(&[0x45, 0x69, 0xc0], thread).raw(&[0x44, 0x01, 0xc1]);
    // shr $down,%ecx; and $within,%ecx: the upper bits of a hash are the best.
    let down = 32 - setting.layout.rows.ilog2() - BELOW;
    code.raw(&[0xc1, 0xe9, down as u8]).with(&[0x81, 0xe1], within(setting));
}

/// Finds the row; its address is in `rsi`.
fn find(code: &mut Code, setting: Setting, full: Label) {
    let (look, same, next, claim, ours) =
        (code.label(), code.label(), code.label(), code.label(), code.label());
    // mov $steps,%r8d; lea rows(%rip),%rsi
    code.with(&[0x41, 0xb8], STEPS as u32).to(&[0x48, 0x8d, 0x35], setting.layout.area() + ROWS);
    // cmp %rdi,(%rsi,%rcx); je same; cmpq $0,(%rsi,%rcx); je claim
    code.set(look).raw(&[0x48, 0x39, 0x3c, 0x0e]).branch(&[0x0f, 0x84], same);
    code.raw(&[0x48, 0x83, 0x3c, 0x0e, 0]).branch(&[0x0f, 0x84], claim);
    // add $row,%ecx; and $within,%ecx; dec %r8d; jne look; jmp full
    code.set(next).with(&[0x81, 0xc1], ROW as u32).with(&[0x81, 0xe1], within(setting));
    code.raw(&[0x41, 0xff, 0xc8]).branch(&[0x0f, 0x85], look).branch(&[0xe9], full);
    // push %rax; xor %eax,%eax; lock cmpxchg %rdi,(%rsi,%rcx); pop %rax; jne look; mov %rax,8(%rsi,%rcx); jmp ours
    code.set(claim).raw(&[0x50, 0x31, 0xc0, LOCK, 0x48, 0x0f, 0xb1, 0x3c, 0x0e, 0x58]);
    code.branch(&[0x0f, 0x85], look).raw(&[0x48, 0x89, 0x44, 0x0e, 8]).branch(&[0xe9], ours);
    // cmp %rax,8(%rsi,%rcx); jne next
    code.set(same).raw(&[0x48, 0x39, 0x44, 0x0e, 8]).branch(&[0x0f, 0x85], next);
    // add %rcx,%rsi
    code.set(ours).raw(&[0x48, 0x01, 0xce]);
}
