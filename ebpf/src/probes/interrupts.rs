//! The interrupt that each CPU is in at this moment: a part of the `sched` probe. A wakeup made there is not the doing
//! of the task below.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use pulse_trace_common::probes::sched::source;

use crate::memory::own;

/// The sources on top of this CPU's task, 16 bits each, the innermost in the lowest: a timer's function may run in a
/// softirq, and an interrupt on top of it. Four levels are all there can be.
#[map]
static INTERRUPTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

const LEVEL: u32 = 16;

/// `void (struct hrtimer *timer, ktime_t *now)`
#[btf_tracepoint(function = "hrtimer_expire_entry")]
pub fn sched_timer_begins(_: BtfTracePointContext) -> i32 {
    begin(source::TIMER);
    0
}

/// `void (struct hrtimer *timer)`
#[btf_tracepoint(function = "hrtimer_expire_exit")]
pub fn sched_timer_ends(_: BtfTracePointContext) -> i32 {
    end();
    0
}

/// `void (unsigned int vec_nr)`
#[btf_tracepoint(function = "softirq_entry")]
pub fn sched_softirq_begins(ctx: BtfTracePointContext) -> i32 {
    let vector: u64 = ctx.arg(0);
    begin(source::SOFTIRQ + (vector as u32 & 0xff));
    0
}

/// `void (unsigned int vec_nr)`
#[btf_tracepoint(function = "softirq_exit")]
pub fn sched_softirq_ends(_: BtfTracePointContext) -> i32 {
    end();
    0
}

/// `void (int irq, struct irqaction *action)`
#[btf_tracepoint(function = "irq_handler_entry")]
pub fn sched_irq_begins(ctx: BtfTracePointContext) -> i32 {
    let irq: u64 = ctx.arg(0);
    begin(source::DEVICE | irq as u32 & (source::DEVICE - 1));
    0
}

/// `void (int irq, struct irqaction *action, int ret)`
#[btf_tracepoint(function = "irq_handler_exit")]
pub fn sched_irq_ends(_: BtfTracePointContext) -> i32 {
    end();
    0
}

/// An interrupt in the middle of this puts back what it finds.
#[inline(always)]
fn begin(source: u32) {
    if let Some(levels) = own(&INTERRUPTS) {
        *levels = *levels << LEVEL | u64::from(source);
    }
}

#[inline(always)]
fn end() {
    if let Some(levels) = own(&INTERRUPTS) {
        *levels >>= LEVEL;
    }
}

/// The source of the interrupt on top of this CPU's task; 0 for none.
#[inline(always)]
pub fn source() -> u32 {
    own(&INTERRUPTS).map_or(0, |levels| *levels as u32 & 0xffff)
}

/// This CPU switches tasks, so nothing interrupts it: an end that went unseen, because the kernel keeps a program from
/// running within itself, does no harm for longer than this.
#[inline(always)]
pub fn none() {
    if let Some(levels) = own(&INTERRUPTS) {
        *levels = 0;
    }
}
