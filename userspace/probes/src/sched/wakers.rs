//! Wakers: which they are, and which of them are told apart.

use std::collections::HashMap;

use kernel::Kernel;
use model::{
    sched::{SchedStats, Waker, WakerContext},
    text,
};
use pulse_trace_common::probes::sched::{Edge, OTHERS, context, edge_parts};

use super::{Sched, interrupts::Interrupts};

/// A program that has not woken a row for so many looks makes room for another one.
const PATIENCE: u32 = 8;

/// State of the wakers' accounts between two readings.
#[derive(Default)]
pub struct Wakers {
    interrupts: Interrupts,
    /// For how many looks a pair has had no news, by row and pair.
    quiet: HashMap<(u32, u32), u32>,
    /// Pairs that were given up at the last look.
    retired: Vec<(u32, Edge)>,
}

impl Wakers {
    /// Forgets a row that was given back.
    pub(super) fn forget(&mut self, row: u32) {
        self.quiet.retain(|(of, _), _| *of != row);
    }

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
    /// Adds what wakers did since the last look to the rows that they woke. Of a row with as many programs as are told
    /// apart, those that wake it no more make room.
    pub(super) fn drain_wakers(&mut self, kernel: &mut Kernel, rows: &mut HashMap<u32, SchedStats>) {
        for (id, edge) in std::mem::take(&mut self.wakers.retired) {
            let histogram = kernel.retired_histogram(id);
            self.take_wakes(kernel, rows, &Edge { histogram, ..edge });
            self.histograms.forget(&[histogram]);
            kernel.free_edge(id);
        }
        let all: Vec<(u32, Edge)> = kernel.edges().collect();
        for (id, edge) in all {
            let news = self.take_wakes(kernel, rows, &edge);
            let (row, made_in, value) = edge_parts(edge.key);
            if made_in != context::PROGRAM || value == OTHERS {
                continue;
            }
            let quiet = self.wakers.quiet.entry((row, id)).or_default();
            *quiet = if news { 0 } else { *quiet + 1 };
            if *quiet > PATIENCE && kernel.has_all_programs(row) {
                self.wakers.quiet.remove(&(row, id));
                kernel.retire_edge(id, edge.key);
                self.wakers.retired.push((id, edge));
            }
        }
    }

    /// Adds the news of one pair; tells whether there are any.
    fn take_wakes(&mut self, kernel: &Kernel, rows: &mut HashMap<u32, SchedStats>, edge: &Edge) -> bool {
        let latency = self.histograms.take(kernel, edge.histogram);
        if latency.count() == 0 {
            return false;
        }
        let (waker, row) = (self.wakers.waker(edge), edge_parts(edge.key).0);
        rows.entry(row).or_default().wakers.entry(waker).or_default().merge(&latency);
        true
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
