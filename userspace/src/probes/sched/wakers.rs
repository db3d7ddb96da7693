//! Wakers: which they are, and which of them are told apart.

use std::collections::HashMap;

use pulse_trace_common::probes::sched::{Edge, OTHERS, context, edge_parts};

use super::{Sched, interrupts::Interrupts};
use crate::{
    kernel::Kernel,
    model::{
        sched::{SchedStats, Waker, WakerContext},
        text,
    },
};

/// What is remembered of wakers.
#[derive(Default)]
pub struct Wakers {
    interrupts: Interrupts,
}

impl Wakers {
    fn waker(&mut self, edge: &Edge) -> Waker {
        let (_, made_in, value) = edge_parts(edge.key);
        let task = |pid, comm| Waker { context: WakerContext::Task, pid, comm };
        match made_in {
            context::INTERRUPT => {
                let context = WakerContext::Interrupt(self.interrupts.kind(value as u32));
                Waker { context, pid: 0, comm: String::new() }
            }
            context::PROGRAM if value == OTHERS => task(0, String::new()),
            context::PROGRAM => task(0, program(text::of_comm(&edge.comm))),
            _ => task(value as u32, text::of_comm(&edge.comm)),
        }
    }
}

/// A program's name; those of the kernel's workers go on with CPU and queue.
fn program(name: String) -> String {
    match name.split_once('/') {
        Some(("kworker", _)) => "kworker".to_owned(),
        _ => name,
    }
}

impl Sched {
    /// Adds what wakers did since the last look to the rows that they woke.
    pub(super) fn drain_wakers(&mut self, kernel: &Kernel, rows: &mut HashMap<u32, SchedStats>) {
        for (_, edge) in kernel.edges() {
            let latency = self.histograms.take(kernel, edge.histogram);
            if latency.count() != 0 {
                let (waker, row) = (self.wakers.waker(&edge), edge_parts(edge.key).0);
                rows.entry(row).or_default().wakers.entry(waker).or_default().merge(&latency);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_the_kernel_are_one_program() {
        assert_eq!(program("kworker/u8:2-ext4".to_owned()), "kworker");
        assert_eq!(program("ksoftirqd/0".to_owned()), "ksoftirqd/0");
    }
}
