//! Time between two moments of a thread, and how much of it the thread was on a CPU.

use super::sched;
use crate::{events::Took, kernel};

/// A moment, and what a thread had done by then.
#[derive(Clone, Copy)]
pub struct Moment {
    /// 0 where there was none.
    pub ns: u64,
    /// Time on a CPU, where it is known.
    on_cpu_ns: u64,
    /// Time spent waiting for a CPU.
    waited_ns: u64,
}

impl Moment {
    /// This one, of the running thread.
    #[inline(always)]
    pub fn now(seat: u32) -> Self {
        let ns = kernel::now();
        let (on_cpu_ns, waited_ns) = sched::so_far(seat, ns);
        Self { ns, on_cpu_ns, waited_ns }
    }

    /// Time from an earlier one, and its parts where they are known.
    #[inline(always)]
    pub fn since(self, then: Self) -> Took {
        let ns = self.ns.wrapping_sub(then.ns);
        // Without accounts both are zero at the beginning, and nothing is known of the parts.
        if then.on_cpu_ns == 0 {
            return Took { ns, ..Took::NOTHING };
        }
        let off = ns.saturating_sub(self.on_cpu_ns.wrapping_sub(then.on_cpu_ns));
        let queued_ns = self.waited_ns.wrapping_sub(then.waited_ns).min(off);
        Took { ns, blocked_ns: off - queued_ns, queued_ns }
    }
}
