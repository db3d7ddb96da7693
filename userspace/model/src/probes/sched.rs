//! The probe `sched`.

use super::{Hook, Spec, hook};

/// Wakeups before switches: a thread must not run before its wakeup has been recorded. The ends of interrupts before
/// their beginnings, so that every interrupt that was seen to begin is seen to end.
const HOOKS: &[Hook] = &[
    hook("sched_timer_ends", "hrtimer_expire_exit"),
    hook("sched_timer_begins", "hrtimer_expire_entry"),
    hook("sched_softirq_ends", "softirq_exit"),
    hook("sched_softirq_begins", "softirq_entry"),
    hook("sched_irq_ends", "irq_handler_exit"),
    hook("sched_irq_begins", "irq_handler_entry"),
    Hook { fallback: Some("sched_waking_old"), ..hook("sched_waking", "sched_waking") },
    hook("sched_wakeup", "sched_wakeup"),
    hook("sched_wakeup_new", "sched_wakeup_new"),
    Hook { fallback: Some("sched_switch_old"), ..hook("sched_switch", "sched_switch") },
];

pub(super) const SPEC: Spec = Spec {
    name: "sched",
    summary: "where each thread's time goes: running, waiting for a CPU, blocked and in which call; who wakes whom",
    hooks: HOOKS,
    default: true,
    cost: "100 to 200 ns per switch and 80 to 240 ns per wakeup of a target, 10 to 30 ns of anybody else; 50 ns per interrupt",
    ..Spec::NONE
};
