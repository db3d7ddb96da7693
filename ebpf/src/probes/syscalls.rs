//! Counts and times system calls.

use aya_ebpf::{
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{Array, Queue},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use pulse_trace_common::{
    loss::Slot,
    probes::{
        futex::{asked, is_later},
        syscalls::{
            COMPAT_FUTEX, COMPAT_FUTEX_TIME64, Cell, Directory, Multiplexer, call_index, errno_index,
        },
    },
    target::{Thread, phase},
};

use crate::{
    config,
    kernel::{self, Given, Object},
    loss,
    memory::{MMAPABLE, add, add32, element, raise, slot},
    pool,
    probes::{accounts, futex, futex2, sched},
    stacks, stage, targets,
};

/// A row's cells by call.
#[map]
static DIRECTORIES: Array<Directory> = Array::with_max_entries(1, MMAPABLE);
#[map]
static CELLS: Array<Cell> = Array::with_max_entries(1, MMAPABLE);
/// Ids of unused cells with histograms.
#[map]
static FREE_CELLS: Queue<u32> = Queue::with_max_entries(1, 0);
/// Ids of unused cells without histograms.
#[map]
static FREE_LEAN_CELLS: Queue<u32> = Queue::with_max_entries(1, 0);

/// Largest errno, as the kernel defines it: return values above are results.
const MAX_ERRNO: u64 = 4095;
const EINTR: u32 = 4;
/// The first of the codes that never reach a program.
const FIRST_RESTART: u32 = 512;
/// Bit of `SIGKILL`, which the kernel sends to each thread of a process that is being killed, for any reason.
const SIGKILL_BIT: u32 = 1 << 8;

/// `void (struct pt_regs *regs, long id)`
///
/// Attached through BTF, so that the ABI of the call is one plain load away.
#[btf_tracepoint(function = "sys_enter")]
pub fn syscalls_enter(ctx: BtfTracePointContext) -> i32 {
    let task = || Some(Given::current_task());
    let _ = try_enter(ctx.arg(1), task, |register| Given::argument(&ctx, 0).double(register));
    0
}

/// `void (struct pt_regs *regs, long id)`
///
/// The same for kernels before 5.11, where reading the running task takes a helper.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn syscalls_enter_raw(ctx: RawTracePointContext) -> i32 {
    let _ = try_enter(ctx.arg(1), || None, |register| Object::at(ctx.arg(0)).double(register));
    0
}

#[inline(always)]
fn try_enter(nr: u64, task: impl Fn() -> Option<Given>, register: impl Fn(u32) -> u64) -> Option<()> {
    if is_ignored(nr) {
        return None;
    }
    // Who runs and by which ABI it called, with one call into the kernel where its fields can be loaded.
    let task = task();
    let tid = task.map_or_else(targets::running, |task| task.word(config::TASK_PID()));
    let thread = targets::admit_as(tid, true)?;
    let compat = task.map_or_else(is_compat, |task| {
        config::COMPAT_MASK() != 0 && task.word(config::COMPAT_OFFSET()) & config::COMPAT_MASK() != 0
    });
    let call = call_index(nr, compat, config::IS_X86() != 0);
    if config::PROBE_SYSCALLS() == 0 && !is_on_futex(call) {
        return None;
    }
    if thread.phase != phase::SEEN {
        first_call(thread, call)?;
    }
    if thread.call != 0 {
        end_unseen(thread);
    }
    thread.call = call + 1;
    thread.counted = call as u16;
    // One test keeps most calls from the comparisons.
    if config::MULTIPLEXERS() >> (call % u32::BITS) & 1 != 0 {
        thread.counted = counted_as(call, &register) as u16;
    }
    let mut timed = true;
    if futex::is_one(call) {
        let (first, second) = (register(config::REGS_FIRST()), register(config::REGS_SECOND()));
        let third = register(config::REGS_THIRD()) as u32;
        let owner = futex::enter(thread, first, asked(second as u32), third);
        take_stack(owner, &register);
        timed = config::PROBE_SYSCALLS() != 0 || futex::waits(second as u32);
    } else if futex2::is_one(call) {
        let (first, second) = (register(config::REGS_FIRST()), register(config::REGS_SECOND()));
        let owner = futex2::enter(thread, call, first, second, || register(config::REGS_FOURTH()));
        take_stack(owner, &register);
        timed = config::PROBE_SYSCALLS() != 0 || futex2::waits(call);
    }
    if timed {
        thread.entered_ns = kernel::now();
    }
    Some(())
}

/// The index that a call is counted under: where its second argument says what it does, that of the operation.
#[inline(always)]
fn counted_as(call: u32, register: &impl Fn(u32) -> u64) -> u32 {
    let argument = || register(config::REGS_SECOND()) as u32;
    let compat = || register(config::REGS_SECOND_COMPAT()) as u32;
    match call {
        _ if call == config::FUTEX() => Multiplexer::Futex.index(argument()),
        _ if call == config::FCNTL() => Multiplexer::Fcntl.index(argument()),
        _ if call == config::EPOLL_CTL() => Multiplexer::EpollCtl.index(argument()),
        COMPAT_FUTEX => Multiplexer::CompatFutex.index(compat()),
        COMPAT_FUTEX_TIME64 => Multiplexer::CompatFutexTime64.index(compat()),
        _ => call,
    }
}

/// Takes the stack of a call from the registers that it began with, where there is an owner for it.
#[inline(always)]
fn take_stack(owner: u64, register: &impl Fn(u32) -> u64) {
    if owner != 0 {
        stacks::take(
            owner,
            register(config::REGS_IP()),
            register(config::REGS_SP()),
            register(config::REGS_BP()),
            register(config::REGS_LR()),
        );
    }
}

/// Reports whether this is any of the calls on futexes.
#[inline(always)]
fn is_on_futex(call: u32) -> bool {
    futex::is_one(call) || futex2::is_one(call)
}

/// True if no probe of this session is about the call with this number: where only futexes are looked at, all others
/// leave here. Calls of the other ABIs may have the same number; they are told apart later.
#[inline(always)]
fn is_ignored(nr: u64) -> bool {
    config::PROBE_SYSCALLS() == 0 && nr != u64::from(config::FUTEX()) && !is_later(nr as u32)
}

/// Reports whether a call that is not known to follow another one counts.
#[inline(always)]
fn first_call(thread: &mut Thread, call: u32) -> Option<()> {
    if thread.phase == phase::HELD {
        return (call == config::EXECVE() || call == config::EXECVEAT()).then_some(());
    }
    if !stage::has_begun() {
        return None;
    }
    thread.phase = phase::SEEN;
    Some(())
}

/// `void (struct pt_regs *regs, long ret)`
///
/// Attached through BTF, so that the number of the call is one plain load away.
#[btf_tracepoint(function = "sys_exit")]
pub fn syscalls_exit(ctx: BtfTracePointContext) -> i32 {
    let registers = Given::argument(&ctx, 0);
    let _ = try_exit(registers.word(config::REGS_NR()), ctx.arg(1), registers);
    0
}

#[inline(always)]
fn try_exit(nr: u32, ret: u64, registers: Given) -> Option<()> {
    if is_ignored(u64::from(nr)) {
        return None;
    }
    let thread = targets::admit(false)?;
    let now = if config::PROBE_SYSCALLS() != 0 { kernel::now() } else { futex::now(thread.seat) };
    if thread.call == 0 {
        let call = call_index(u64::from(nr), is_compat(), config::IS_X86() != 0);
        return unmatched(thread, call, counted_as(call, &|register| registers.double(register)), ret);
    }
    let call = thread.call - 1;
    thread.call = 0;
    let (blocked, queued) = accounts::take_off_cpu(thread);
    if thread.phase != phase::SEEN {
        return None;
    }
    if config::PROBE_SYSCALLS() == 0 {
        return futex_ended(thread, call, ret, now, registers);
    }
    let elapsed = now.wrapping_sub(thread.entered_ns);
    thread.in_calls_ns = thread.in_calls_ns.wrapping_add(elapsed);
    let cell = cell_of(thread.row, thread.counted.into())?;
    if ret > u64::MAX - MAX_ERRNO && call != config::SIGRETURN() {
        let errno = ret.wrapping_neg() as u32;
        if is_interruption(errno) && is_dying() {
            unreturned(cell);
            return Some(());
        }
        failed(cell, errno);
    }
    if is_on_futex(call) {
        futex_exit(thread, call, ret, now, registers);
    }
    if elapsed as i64 >= 0 {
        if blocked | queued != 0 {
            off_cpu(cell, blocked, queued);
        }
        record(cell, elapsed)
    } else {
        loss::count(Slot::ClockBackwards);
        untimed(cell)
    }
    Some(())
}

/// A call on a futex ended, and calls are not counted.
#[inline(always)]
fn futex_ended(thread: &Thread, call: u32, ret: u64, now: u64, registers: Given) -> Option<()> {
    let errno = ret.wrapping_neg() as u32;
    if ret <= u64::MAX - MAX_ERRNO || !is_interruption(errno) || !is_dying() {
        futex_exit(thread, call, ret, now, registers);
    } else {
        loss::count(Slot::FutexUnreturned);
    }
    Some(())
}

/// A call on a futex returns to its program.
#[inline(always)]
fn futex_exit(thread: &Thread, call: u32, ret: u64, now: u64, registers: Given) {
    if futex2::is_one(call) {
        let owner = futex2::settle(thread, futex2::index(call, ret));
        take_stack(owner, &|register| registers.double(register));
    }
    futex::exit(thread, || registers.double(config::REGS_FIRST()), ret, now);
}

/// Reports whether a call was ended by a signal: `EINTR`, or one of the codes by which the kernel restarts calls.
#[inline(always)]
fn is_interruption(errno: u32) -> bool {
    errno == EINTR || errno >= FIRST_RESTART
}

/// Reports whether the running thread has been killed: the program will never see the result of its call.
#[inline(never)]
fn is_dying() -> bool {
    Object::current_task().word(config::TASK_PENDING()) & SIGKILL_BIT != 0
}

/// Handles the end of a call whose beginning was not seen: it began before the session, or a seccomp filter refused it
/// before it began. The kernel still has its number.
#[inline(never)]
fn unmatched(thread: &mut Thread, call: u32, counted: u32, ret: u64) -> Option<()> {
    if config::PROBE_SYSCALLS() == 0 && !is_on_futex(call) {
        return None;
    }
    match thread.phase {
        _ if !stage::has_begun() => {}
        phase::FRESH | phase::LEFT => {
            loss::count(Slot::BeganBefore);
            sched::left_first_call(thread);
        }
        phase::SEEN if !stage::is_closing() => {
            loss::count(Slot::UnmatchedExit);
            if config::PROBE_SYSCALLS() == 0 {
                return None;
            }
            let cell = cell_of(thread.row, counted)?;
            untimed(cell);
            if ret > u64::MAX - MAX_ERRNO {
                failed(cell, ret.wrapping_neg() as u32);
            }
        }
        _ => {}
    }
    None
}

/// A call began while the last one had not been seen to end.
#[inline(never)]
fn end_unseen(thread: &mut Thread) {
    loss::count(Slot::UnmatchedEntry);
    let _ = accounts::take_off_cpu(thread);
    if config::PROBE_SYSCALLS() != 0
        && let Some(cell) = cell_of(thread.row, thread.counted.into())
    {
        untimed(cell);
    }
    if futex2::is_one(thread.call - 1) {
        futex2::settle(thread, futex2::TOO_LATE);
    }
    if is_on_futex(thread.call - 1) {
        let _ = futex::ended(thread, kernel::now());
    }
}

/// Reports whether the running call came through the 32-bit ABI; [`syscalls_enter`] knows a quicker way.
#[inline(always)]
fn is_compat() -> bool {
    config::COMPAT_MASK() != 0
        && Object::current_task().word(config::COMPAT_OFFSET()) & config::COMPAT_MASK() != 0
}

/// The cell of a row and the index of a call or operation, made on first use. Two threads that make the first call at
/// the same time may each make one; userspace adds up all cells with the same key.
#[inline(always)]
pub fn cell_of(row: u32, call: u32) -> Option<u32> {
    let directory = slot(&DIRECTORIES, row)?;
    let entry = element(&mut directory.cells, call as usize)?;
    if *entry == 0 {
        match new_cell(row, call) {
            Some(id) => *entry = id,
            None => return shared_cell(row, call),
        }
    }
    Some(*entry)
}

/// The cell of a call that all processes share which find no row of their own: there is no free one.
#[inline(never)]
fn shared_cell(row: u32, call: u32) -> Option<u32> {
    let others = config::OTHERS();
    let id = if row == others { 0 } else { *element(&mut slot(&DIRECTORIES, others)?.cells, call as usize)? };
    if id == 0 {
        loss::count(Slot::CellsFull);
        return None;
    }
    loss::count(Slot::CellsShared);
    Some(id)
}

#[inline(never)]
fn new_cell(row: u32, call: u32) -> Option<u32> {
    let id = match FREE_CELLS.pop() {
        Ok(Some(id)) => id,
        _ => match FREE_LEAN_CELLS.pop() {
            Ok(Some(id)) => id,
            _ => return None,
        },
    };
    slot(&CELLS, id)?.key = u64::from(row) << 32 | u64::from(call);
    Some(id)
}

#[inline(always)]
fn record(cell: u32, elapsed: u64) {
    // Cells with histograms come first; what follows in the pool belongs to others.
    if cell > config::CELL_HISTOGRAMS() || !pool::record(cell, elapsed) {
        record_lean(cell, elapsed);
    }
}

/// Counts a call for which there is no histogram.
#[inline(never)]
fn record_lean(cell: u32, elapsed: u64) {
    loss::count(Slot::HistogramsFull);
    if let Some(cell) = slot(&CELLS, cell) {
        // Read the other way round: calls that are counted there are in sum and maximum.
        raise(&mut cell.lean_max_ns, elapsed);
        add(&mut cell.lean_sum_ns, elapsed);
        add(&mut cell.lean_count, 1);
    }
}

/// Books the part of a call's time in which its thread had no CPU.
#[inline(never)]
fn off_cpu(cell: u32, blocked: u64, queued: u64) {
    if let Some(cell) = slot(&CELLS, cell) {
        add(&mut cell.blocked_ns, blocked);
        add(&mut cell.queued_ns, queued);
    }
}

#[inline(never)]
fn untimed(cell: u32) {
    if let Some(cell) = slot(&CELLS, cell) {
        add(&mut cell.untimed, 1);
    }
}

#[inline(always)]
fn failed(cell: u32, errno: u32) {
    if let Some(cell) = slot(&CELLS, cell)
        && let Some(counter) = element(&mut cell.errors, errno_index(errno) as usize)
    {
        add32(counter, 1);
    }
}

/// The thread dies in the call that it is in: `exit`, or any other under a fatal signal.
#[inline(always)]
pub fn died(thread: &Thread) {
    if thread.call == 0 || thread.phase != phase::SEEN {
        return;
    }
    if config::PROBE_SYSCALLS() == 0 {
        return loss::count(Slot::FutexUnreturned);
    }
    if let Some(cell) = cell_of(thread.row, thread.counted.into()) {
        unreturned(cell);
    }
}

#[inline(always)]
fn unreturned(cell: u32) {
    if let Some(cell) = slot(&CELLS, cell) {
        add(&mut cell.unreturned, 1);
    }
}
