//! User stacks of threads that sleep: a copy of the stack's upper end, followed by the unwind information of the code. No
//! thread is stopped: only those are looked at that did not run meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use binary::{
    service::Sample,
    symbolize::{Registers, first_outside},
};
use kernel::sandbox::Names;
use model::text::printable;

use super::thread::{Memory, Thread};

/// Bytes of a stack that are copied.
const COPIED: usize = 16 << 10;
/// Bytes that are followed together.
const MOST_BYTES: usize = 48 << 10;
/// Threads whose stacks are looked at: beyond that, their waits are told without the code.
const MOST_THREADS: usize = 2000;

/// Functions of a stack.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    /// All of them, the innermost first.
    all: Vec<String>,
    /// The first that is part of no library or runtime.
    own: usize,
}

impl Functions {
    /// Those of libraries and runtimes at the inner end.
    pub fn inner(&self) -> &[String] {
        &self.all[..self.own.min(self.all.len())]
    }

    /// From the first one on that is part of no library or runtime.
    pub fn own(&self) -> Vec<String> {
        self.all[self.own.min(self.all.len())..].to_vec()
    }
}

/// Functions of the threads that sleep.
pub fn of(threads: &[Thread], memory: &BTreeMap<u32, Memory>) -> BTreeMap<u32, Functions> {
    let mut names = Names::default();
    let pids: BTreeSet<u32> = threads.iter().map(|thread| thread.pid).collect();
    let seen: BTreeSet<u32> = pids.into_iter().filter(|pid| names.observe(*pid).is_ok()).collect();
    let asleep = threads.iter().filter(|thread| thread.sleeps() && seen.contains(&thread.pid));
    let samples = asleep.take(MOST_THREADS).filter_map(|thread| {
        let (sp, ip) = thread.at?;
        let bytes = memory.get(&thread.pid)?.upto(sp, COPIED);
        // The frame pointer is not told: code that needs it ends the stack early.
        let registers = Registers { ip, sp, bp: 0, lr: 0 };
        (!bytes.is_empty()).then_some((thread.tid, Sample { pid: thread.pid, registers, bytes }))
    });
    let mut all = BTreeMap::new();
    let (mut tids, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (tid, sample) in samples {
        bytes += sample.bytes.len();
        tids.push(tid);
        batch.push(sample);
        if bytes > MOST_BYTES {
            follow(&mut names, &mut tids, &mut batch, &mut all);
            bytes = 0;
        }
    }
    follow(&mut names, &mut tids, &mut batch, &mut all);
    all
}

fn follow(
    names: &mut Names,
    tids: &mut Vec<u32>,
    batch: &mut Vec<Sample>,
    all: &mut BTreeMap<u32, Functions>,
) {
    if batch.is_empty() {
        return;
    }
    let stacks = names.unwind(batch);
    batch.clear();
    for (tid, stack) in tids.drain(..).zip(stacks) {
        let frames = names.describe(&stack);
        let own = first_outside(&frames).unwrap_or(0);
        all.insert(
            tid,
            Functions { all: frames.iter().map(|frame| printable(&frame.title())).collect(), own },
        );
    }
}
