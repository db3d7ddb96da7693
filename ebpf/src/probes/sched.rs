//! Follows threads through the scheduler: on a CPU, blocked, waiting for a CPU, and by whom they were woken.

use aya_ebpf::{
    helpers::bpf_get_current_comm,
    macros::{btf_tracepoint, map},
    maps::{Array, RingBuf},
    programs::BtfTracePointContext,
};
use pulse_trace_common::{
    loss::Slot,
    pool::purpose,
    probes::{
        sched::{CpuTime, Ended, EndedRest, Place, Sched, initial, state},
        syscalls::call_index,
    },
    target::{COMM_LEN, Thread, phase},
};

use crate::{
    config,
    kernel::{self, Given, Object},
    loss,
    memory::{MMAPABLE, copy, slot},
    probes::{
        accounts::{blocked, distribute, is_in_call, place_of, queued, unseen, was_asleep},
        interrupts, wakers,
    },
    stage, targets,
};

/// Scheduling accounts of threads, by seat.
#[map]
static SCHED: Array<Sched> = Array::with_max_entries(1, MMAPABLE);
/// By row and CPU.
#[map]
static CPU_TIMES: Array<CpuTime> = Array::with_max_entries(1, MMAPABLE);
/// The accounts of threads that died, until userspace has read them.
#[map]
static ENDED: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// `void (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)`
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let prev_state: u64 = ctx.arg(3);
    switched(&ctx, prev_state as u32, running_call);
    0
}

/// `void (bool preempt, struct task_struct *prev, struct task_struct *next)`
///
/// The same for kernels before 5.18, of which some do not let us look at the registers.
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch_old(ctx: BtfTracePointContext) -> i32 {
    switched(&ctx, Given::argument(&ctx, 1).word(config::TASK_STATE()), || initial::NOTHING);
    0
}

#[inline(always)]
fn switched(ctx: &BtfTracePointContext, prev_state: u32, doing: impl Fn() -> u32) {
    // The idle task has no seat.
    let leaves = targets::seat(Given::argument(ctx, 1).word(config::TASK_PID()));
    let comes = targets::seat(Given::argument(ctx, 2).word(config::TASK_PID()));
    if leaves == 0 && comes == 0 {
        return;
    }
    let now = kernel::now();
    interrupts::none();
    if leaves != 0 {
        let preempted: u64 = ctx.arg(0);
        let why = match (preempted as u8 == 0 && prev_state != 0, Given::argument(ctx, 1)) {
            (false, _) => Leaving::Preempted,
            (true, task) if is_stop(prev_state, task) => Leaving::Stops,
            (true, _) => Leaving::Waits,
        };
        let _ = leave(leaves, now, why, doing);
    }
    if comes != 0 {
        let _ = come(comes, now);
    }
}

/// Reasons for which a thread leaves its CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Preempted,
    Waits,
    Stops,
}

/// `__TASK_STOPPED` and `__TASK_TRACED`, and from Linux 6.1 on `TASK_FROZEN`.
const STOPPED_STATES: u32 = 4 | 8 | 0x8000;
/// `JOBCTL_TRAP_FREEZE`: the cgroup is frozen. A thread that has come to that sleeps interruptibly.
const TRAP_FREEZE: u32 = 1 << 23;
const INTERRUPTIBLE: u32 = 1;

/// True if a thread that leaves its CPU in this state is stopped, traced or frozen: it waits for nothing of its own.
#[inline(always)]
fn is_stop(state: u32, task: Given) -> bool {
    state & STOPPED_STATES != 0
        || state & INTERRUPTIBLE != 0 && task.double(config::TASK_JOBCTL()) as u32 & TRAP_FREEZE != 0
}

/// Books time on a CPU that the running thread has spent in a page fault outside of calls.
#[inline(always)]
pub fn faulted(seat: u32, ns: u64) {
    if let Some((_, sched)) = opened(seat) {
        sched.faults_ns += ns;
    }
}

/// Time that a running thread has spent on a CPU by `now`, and waiting for one; zeros where that is not known.
#[inline(always)]
pub fn so_far(seat: u32, now: u64) -> (u64, u64) {
    match opened(seat) {
        Some((_, sched)) if matches!(sched.state, state::RUNNING | state::UNKNOWN) => (
            sched.on_cpu_ns + now.wrapping_sub(sched.since_ns),
            sched.woken_wait_ns + sched.preempted_wait_ns,
        ),
        _ => (0, 0),
    }
}

/// A thread and its accounts, if they are open.
#[inline(always)]
fn opened(seat: u32) -> Option<(&'static mut Thread, &'static mut Sched)> {
    let sched = slot(&SCHED, seat)?;
    if sched.open == 0 {
        return None;
    }
    Some((targets::seated(seat)?, sched))
}

/// A thread leaves the CPU: to wait, or because it must.
#[inline(always)]
fn leave(seat: u32, now: u64, why: Leaving, doing: impl Fn() -> u32) -> Option<()> {
    let (thread, sched) = opened(seat)?;
    let ran = now.wrapping_sub(sched.since_ns);
    match sched.state {
        state::RUNNING => {
            sched.on_cpu_ns += ran;
            distribute(thread.row, purpose::ON_CPU, ran);
            if let Some(cpu) = slot(&CPU_TIMES, thread.row * config::CPUS() + kernel::cpu()) {
                cpu.ns += ran;
                cpu.stretches += 1;
            }
        }
        // It has been running since its accounts were opened, and before.
        state::UNKNOWN if !was_asleep(sched) => sched.on_cpu_ns += ran,
        _ => unseen(sched, ran),
    }
    // No call was seen to begin, but one may have: before the session, or after its hooks began to be let go.
    if thread.call == 0 && (why != Leaving::Preempted || thread.phase == phase::FRESH) {
        sched.initial = doing();
    }
    sched.cpu = kernel::cpu() + 1;
    sched.since_ns = now;
    if why != Leaving::Preempted {
        sched.voluntary += 1;
        sched.state = state::BLOCKED;
        sched.stopped = u32::from(why == Leaving::Stops);
    } else {
        sched.involuntary += 1;
        sched.state = state::PREEMPTED;
    }
    Some(())
}

/// The call that the running thread came into the kernel by, as its index plus one. Exceptions and interrupts leave no
/// number in the registers.
#[inline(never)]
fn running_call() -> u32 {
    let nr = Given::registers().double(config::REGS_NR()) as i32;
    if nr < 0 {
        return initial::OUTSIDE;
    }
    let compat = Given::current_task().word(config::COMPAT_OFFSET()) & config::COMPAT_MASK() != 0;
    call_index(nr as u64, config::COMPAT_MASK() != 0 && compat, config::IS_X86() != 0) + 1
}

/// A thread gets a CPU.
#[inline(always)]
fn come(seat: u32, now: u64) -> Option<()> {
    let (thread, sched) = opened(seat)?;
    let (was, since) = (sched.state, sched.since_ns);
    let off = now.wrapping_sub(since);
    let call = place_of(thread, sched);
    if was != state::RUNNING && is_in_call(thread, call) {
        sched.off_in_calls_ns += off;
    }
    let cpu = kernel::cpu() + 1;
    if sched.cpu != 0 && sched.cpu != cpu {
        sched.migrations += 1;
    }
    sched.cpu = cpu;
    sched.state = state::RUNNING;
    sched.since_ns = now;
    match was {
        state::WOKEN => {
            // Its waker may have read the clock just before it left its CPU.
            let waited = now.wrapping_sub(sched.woken_ns.max(since));
            blocked(thread, sched, call, off.wrapping_sub(waited));
            sched.woken_wait_ns += waited;
            queued(thread, waited);
            distribute(thread.row, purpose::WAKEUP_TO_RUN, waited);
            wakers::record(sched, thread.row, waited);
            distribute(thread.row, purpose::OFF_CPU, off);
        }
        state::PREEMPTED => {
            sched.preempted_wait_ns += off;
            queued(thread, off);
            distribute(thread.row, purpose::PREEMPTED_TO_RUN, off);
            distribute(thread.row, purpose::OFF_CPU, off);
        }
        state::BLOCKED => {
            loss::count(Slot::WakeupUnseen);
            blocked(thread, sched, call, off);
            distribute(thread.row, purpose::OFF_CPU, off);
        }
        state::RUNNING => unseen(sched, off),
        _ => first_seen(thread, sched, off, now),
    }
    Some(())
}

/// A thread that was off the CPU since its accounts were opened: the time before is unknown, so only its budget and
/// the wait that began under our eyes count.
#[inline(never)]
fn first_seen(thread: &mut Thread, sched: &mut Sched, off: u64, now: u64) {
    let mut before = off;
    if sched.woken_ns != 0 {
        let waited = now.wrapping_sub(sched.woken_ns);
        before = off.wrapping_sub(waited);
        sched.woken_wait_ns += waited;
        queued(thread, waited);
        distribute(thread.row, purpose::WAKEUP_TO_RUN, waited);
        wakers::record(sched, thread.row, waited);
    } else if !was_asleep(sched) {
        // No wakeup was needed: it has been waiting for a CPU.
        sched.preempted_wait_ns += off;
        queued(thread, off);
        return;
    }
    if was_asleep(sched) {
        blocked(thread, sched, sched.initial, before);
    } else {
        sched.unknown_ns += before;
    }
}

/// `void (struct task_struct *task)`
///
/// Runs on the waker's CPU, before the woken thread is put into a run queue.
#[btf_tracepoint(function = "sched_waking")]
pub fn sched_waking(ctx: BtfTracePointContext) -> i32 {
    let _ = waking(&ctx, running_program);
    0
}

/// `void (struct task_struct *task)`
///
/// The same for kernels before 5.11, where reading the running task takes a helper.
#[btf_tracepoint(function = "sched_waking")]
pub fn sched_waking_old(ctx: BtfTracePointContext) -> i32 {
    let _ = waking(&ctx, running_program_old);
    0
}

/// The name of the running task's process, as it lies in memory.
#[inline(always)]
fn running_program() -> [u64; 2] {
    let leader = Given::current_task().follow(config::TASK_GROUP_LEADER());
    [leader.double(config::TASK_COMM()), leader.double(config::TASK_COMM() + 8)]
}

#[inline(always)]
fn running_program_old() -> [u64; 2] {
    let leader = Object::current_task().follow(config::TASK_GROUP_LEADER());
    [leader.double(config::TASK_COMM()), leader.double(config::TASK_COMM() + 8)]
}

#[inline(always)]
fn waking(ctx: &BtfTracePointContext, name: impl Fn() -> [u64; 2]) -> Option<()> {
    let seat = targets::seat(Given::argument(ctx, 0).word(config::TASK_PID()));
    if seat == 0 {
        return None;
    }
    let (thread, sched) = opened(seat)?;
    match sched.state {
        state::BLOCKED | state::BORN => {}
        // Either it is no wakeup at all, or the thread is just leaving its CPU: `sched_wakeup` will tell. One that has
        // not moved since the session began may be asleep.
        state::RUNNING => sched.racing = 1,
        state::UNKNOWN => {}
        _ => return None,
    }
    sched.woken_ns = kernel::now();
    wakers::note(thread, sched, name);
    if sched.state == state::BLOCKED {
        sched.state = state::WOKEN;
    }
    Some(())
}

/// `void (struct task_struct *task)`
///
/// Runs when the woken thread is in a run queue: by then it has left its CPU for certain.
#[btf_tracepoint(function = "sched_wakeup")]
pub fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    let _ = wakeup(&ctx);
    0
}

#[inline(always)]
fn wakeup(ctx: &BtfTracePointContext) -> Option<()> {
    let seat = targets::seat(Given::argument(ctx, 0).word(config::TASK_PID()));
    if seat == 0 {
        return None;
    }
    let (_, sched) = opened(seat)?;
    match sched.state {
        state::BLOCKED => {
            // Woken while it was leaving its CPU. Were that wakeup not seen, it would be this one.
            if sched.racing == 0 {
                sched.edge = 0;
                sched.woken_ns = kernel::now();
            } else if sched.woken_ns < sched.since_ns {
                sched.woken_ns = sched.since_ns;
            }
            sched.state = state::WOKEN;
        }
        state::RUNNING | state::PREEMPTED => loss::count(Slot::WakeupOfRunning),
        _ => {}
    }
    sched.racing = 0;
    Some(())
}

/// `void (struct task_struct *task)`
#[btf_tracepoint(function = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    let _ = first_wakeup(&ctx);
    0
}

#[inline(always)]
fn first_wakeup(ctx: &BtfTracePointContext) -> Option<()> {
    let seat = targets::seat(Given::argument(ctx, 0).word(config::TASK_PID()));
    if seat == 0 {
        return None;
    }
    let (thread, sched) = opened(seat)?;
    if sched.state == state::BORN {
        let now = kernel::now();
        // Between its birth and now it was not let run: this time is accounted to no state.
        sched.began_ns = now;
        sched.since_ns = now;
        sched.woken_ns = now;
        // By its parent, which is a target.
        wakers::note(thread, sched, running_program_old);
        sched.state = state::WOKEN;
    }
    Some(())
}

/// Opens the accounts of a thread that was born under our eyes, or of the running one.
#[inline(always)]
pub fn begin(seat: u32, born: bool) {
    let Some(sched) = slot(&SCHED, seat) else { return };
    let now = kernel::now();
    clear(sched, now);
    // A child begins with its parent's name.
    sched.comm = bpf_get_current_comm().unwrap_or_default();
    if !stage::has_begun() {
        // They are opened with those of all others.
        (sched.state, sched.open) = (state::UNKNOWN, 0);
        return;
    }
    sched.state = if born { state::BORN } else { state::RUNNING };
    sched.open = 1;
}

/// A thread gets another name.
#[inline(always)]
pub fn renamed(seat: u32, comm: [u8; COMM_LEN]) {
    if let Some(sched) = slot(&SCHED, seat) {
        sched.comm = comm;
    }
}

#[inline(always)]
fn clear(sched: &mut Sched, now: u64) {
    sched.since_ns = now;
    sched.began_ns = now;
    sched.woken_ns = 0;
    sched.cpu = 0;
    sched.edge = 0;
    sched.edge_key = 0;
    sched.initial = initial::NOTHING;
    sched.racing = 0;
    sched.on_cpu_ns = 0;
    sched.off_in_calls_ns = 0;
    sched.woken_wait_ns = 0;
    sched.preempted_wait_ns = 0;
    sched.unknown_ns = 0;
    sched.stopped_ns = 0;
    sched.stopped = 0;
    sched.elsewhere_ns = 0;
    sched.elsewhere_count = 0;
    sched.voluntary = 0;
    sched.involuntary = 0;
    sched.migrations = 0;
    for place in &mut sched.places {
        *place = Place { call: 0, count: 0, ns: 0 };
    }
}

/// Time of the running thread's last wakeup, and time at which it last got a CPU; `None` where it was not seen
/// to be woken.
#[inline(always)]
pub fn last_wakeup(seat: u32) -> Option<(u64, u64)> {
    let sched = slot(&SCHED, seat)?;
    (sched.open != 0 && sched.state == state::RUNNING && sched.woken_ns != 0)
        .then_some((sched.woken_ns, sched.since_ns))
}

/// The running thread was a held command until now: its accounts begin here.
#[inline(always)]
pub fn released(thread: &mut Thread) {
    let Some(sched) = slot(&SCHED, thread.seat) else { return };
    let now = kernel::now();
    clear(sched, now);
    sched.state = state::RUNNING;
    sched.open = 1;
    // The call that releases it ends later and counts whole: what lies before is taken off here.
    thread.in_calls_ns = thread.entered_ns.wrapping_sub(now);
}

/// The running thread has left the call that it was in since before the session.
#[inline(always)]
pub fn left_first_call(thread: &mut Thread) {
    let Some(sched) = slot(&SCHED, thread.seat) else { return };
    // Before the accounts are open, it may enter another call unseen.
    if sched.open == 0 || thread.phase != phase::FRESH {
        return;
    }
    thread.phase = phase::LEFT;
    if was_asleep(sched) && !matches!(sched.initial, initial::OUTSIDE | initial::STOPPED) {
        thread.in_calls_ns += kernel::now().wrapping_sub(sched.began_ns);
    }
}

/// The running thread dies: closes its accounts and hands them to userspace.
#[inline(always)]
pub fn died(thread: &mut Thread, now: u64) {
    let Some(sched) = slot(&SCHED, thread.seat) else { return };
    if sched.open == 0 {
        return;
    }
    sched.on_cpu_ns += now.wrapping_sub(sched.since_ns);
    sched.since_ns = now;
    sched.open = 0;
    if thread.call != 0 && thread.phase == phase::SEEN {
        thread.in_calls_ns = thread.in_calls_ns.wrapping_add(now.wrapping_sub(thread.entered_ns));
    }
    let Some(mut entry) = ENDED.reserve::<Ended>(0) else { return loss::count(Slot::ThreadEndsFull) };
    let ended = entry.as_mut_ptr();
    copy(sched, ended.cast::<Sched>());
    let rest = EndedRest {
        at_ns: now,
        in_calls_ns: thread.in_calls_ns,
        row: thread.row,
        process: thread.process,
        tid: thread.tid,
        tgid: thread.tgid,
        seat: thread.seat,
        reserved: [0; 7],
    };
    copy(&rest, ended.wrapping_byte_add(size_of::<Sched>()).cast::<EndedRest>());
    entry.submit(0);
}
