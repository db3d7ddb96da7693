//! Page faults: from the exception to the end of the kernel's handling.
//!
//! The beginning is a tracepoint, which tells the access. The end is the kernel's own count of minor and major faults:
//! a software event of perf with a program on it, which runs where the count is made. Both work where functions of the
//! kernel cannot be traced.

use aya_ebpf::{
    macros::{btf_tracepoint, map, perf_event},
    maps::Array,
    programs::{BtfTracePointContext, PerfEventContext},
};
use pulse_trace_common::{
    loss::Slot,
    probes::faults::{FIRST, kind, kind_of},
};

use crate::{
    config, events,
    kernel::{Given, Object},
    loss,
    memory::slot,
    probes::{moment::Moment, sched},
    stacks, stage, targets,
};

/// Fault that a thread is in.
struct Faulting {
    /// Where it is in none there is no time.
    began: Moment,
    /// Kind of the fault, should it be a minor one.
    kind: u32,
    /// [`events::generation`] at the beginning.
    generation: u32,
    /// Registers of the code that caused it.
    ip: u64,
    sp: u64,
    bp: u64,
    lr: u64,
}

/// By seat; only the thread itself writes to it.
#[map]
static FAULTING: Array<Faulting> = Array::with_max_entries(1, 0);

/// `void (unsigned long address, struct pt_regs *regs, unsigned long error_code)`
#[btf_tracepoint(function = "page_fault_user")]
pub fn faults_begin(ctx: BtfTracePointContext) -> i32 {
    let _ = begin(&ctx);
    0
}

/// `void (unsigned long address, struct pt_regs *regs, unsigned long error_code)`
///
/// Faults of the kernel itself. One that must not wait, as programs like this one and profilers cause, is never
/// handled, and may come in the middle of another.
#[btf_tracepoint(function = "page_fault_kernel")]
pub fn faults_begin_in_call(ctx: BtfTracePointContext) -> i32 {
    if Given::current_task().word(config::TASK_PAGEFAULT_DISABLED()) == 0 {
        let _ = begin(&ctx);
    }
    0
}

/// `void (unsigned long address, struct pt_regs *regs, unsigned long error_code)`
///
/// The same for kernels before 5.11, where reading the running task takes a helper, which forbids faults meanwhile.
#[btf_tracepoint(function = "page_fault_kernel")]
pub fn faults_begin_in_call_old(ctx: BtfTracePointContext) -> i32 {
    if Object::current_task().word(config::TASK_PAGEFAULT_DISABLED()) == 1 {
        let _ = begin(&ctx);
    }
    0
}

#[inline(always)]
fn begin(ctx: &BtfTracePointContext) -> Option<()> {
    let thread = targets::admit(false)?;
    let faulting = slot(&FAULTING, thread.seat)?;
    let now = Moment::now(thread.seat);
    faulting.kind = kind_of(ctx.arg(2));
    faulting.generation = events::generation() as u32;
    if faulting.kind & kind::IN_CALL == 0 {
        let registers = Given::argument(ctx, 1);
        faulting.ip = registers.double(config::REGS_IP());
        faulting.sp = registers.double(config::REGS_SP());
        faulting.bp = registers.double(config::REGS_BP());
        faulting.lr = registers.double(config::REGS_LR());
    }
    faulting.began = now;
    Some(())
}

/// The kernel has counted a minor fault of the running thread.
#[perf_event]
pub fn faults_minor(_: PerfEventContext) -> i32 {
    let _ = end(|kind| kind);
    0
}

/// The same for a major one.
#[perf_event]
pub fn faults_major(_: PerfEventContext) -> i32 {
    let _ = end(|kind| kind::MAJOR + (kind & kind::IN_CALL));
    0
}

#[inline(always)]
fn end(finally: impl Fn(u32) -> u32) -> Option<()> {
    events::runs();
    let thread = targets::find(targets::running())?;
    let faulting = slot(&FAULTING, thread.seat)?;
    let began = faulting.began;
    faulting.began.ns = 0;
    if !stage::is_session() {
        return None;
    }
    if began.ns == 0 || faulting.generation != events::generation() as u32 {
        loss::count(Slot::FaultsUnseen);
        return None;
    }
    let took = Moment::now(thread.seat).since(began);
    let kind = finally(faulting.kind);
    if kind & kind::IN_CALL == 0 {
        sched::faulted(thread.seat, took.ns - took.blocked_ns - took.queued_ns);
    }
    let weight = events::count(thread.row, FIRST + kind, took);
    if weight != 0 && kind & kind::IN_CALL == 0 {
        let owner = events::stack_owner(thread.row, FIRST + kind, weight);
        stacks::take(owner, faulting.ip, faulting.sp, faulting.bp, faulting.lr);
    }
    Some(())
}
