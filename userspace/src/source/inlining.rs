//! Counters inside of the targets, in a live session.

use std::collections::{BTreeMap, BTreeSet};

use super::gather::Gatherer;
use crate::{
    inline::{Counts, InlineError, LARGEST, Patch},
    locate::{register::Reg, replaceable::Passing, site::Generation},
    model::{
        frame::{ProcessFrame, ProcessKey},
        hist::Hist,
        inline::{InlineCost, InlineFrame, InlineKind, InlineStats},
        text::of_comm,
    },
    target,
};

/// One target.
struct Counted {
    key: ProcessKey,
    patch: Patch,
    /// What it was called when they were put in.
    comm: String,
    /// Whether it was said that this has changed.
    renamed: bool,
    /// What was read last.
    before: Counts,
}

/// Those that are counted in.
#[derive(Default)]
pub struct Inlining {
    counted: Vec<Counted>,
    cost: Option<InlineCost>,
    notes: Vec<String>,
    /// Spin counts that were too large to be told apart.
    clamped: u64,
    /// Processes whose counters could not be read.
    unread: u64,
    /// Processes of the session that are not counted in.
    others: BTreeSet<ProcessKey>,
    ended: bool,
}

impl Inlining {
    /// Puts counters into processes: into all or into none.
    pub fn begin(&mut self, targets: &[ProcessKey]) -> Result<(), InlineError> {
        for key in targets {
            let patch = Patch::put_in(key.pid)?;
            let put_in_ns = u64::try_from(patch.stopped.as_nanos()).unwrap_or(u64::MAX);
            self.cost.get_or_insert_default().merge(&InlineCost { put_in_ns, ..InlineCost::default() });
            if patch.repaired {
                let pid = key.pid;
                self.notes.push(format!(
                    "inline: process {pid} still had the counters of a tool that was killed; they were removed first"
                ));
            }
            for what in &patch.left_out {
                self.notes.push(format!("inline: cannot count in {what}"));
            }
            let comm = target::comm(key.pid).map(|comm| of_comm(&comm)).unwrap_or_default();
            self.counted.push(Counted { key: *key, patch, comm, renamed: false, before: Counts::default() });
        }
        Ok(())
    }

    /// Reads them.
    pub fn collect(&mut self, gatherer: &mut Gatherer) {
        for counted in &mut self.counted {
            let Ok(now) = counted.patch.read() else {
                self.unread += 1;
                continue;
            };
            let new = now.since(&counted.before);
            counted.before = now;
            self.clamped += new.spins.get(LARGEST as usize).copied().unwrap_or(0);
            for frame in frames(&new, counted.patch.generation) {
                gatherer.add_inline(counted.key, frame);
            }
        }
    }

    /// Looks for processes of the session that are not counted in, and for targets that became another program.
    pub fn see(&mut self, processes: &[ProcessFrame]) {
        if self.counted.is_empty() {
            return;
        }
        for process in processes {
            match self.counted.iter_mut().find(|counted| counted.key == process.key) {
                None => _ = self.others.insert(process.key),
                Some(counted) if !counted.renamed && counted.comm != process.comm => {
                    counted.renamed = true;
                    self.notes.push(format!(
                        "inline: process {} is called {} now, and was {} when its counters were put in: if that is another \
                         program, it is not counted in; name it as the command itself, or attach to it",
                        process.key.pid, process.comm, counted.comm
                    ));
                }
                Some(_) => {}
            }
        }
        if self.ended && !self.others.is_empty() {
            let many = self.others.len();
            let processes = if many == 1 { "process" } else { "processes" };
            self.notes.push(format!(
                "inline: {many} {processes} that targets started counted for themselves and are not in these numbers; \
                 attach to such a process by its own id"
            ));
        }
    }

    /// Takes them out, and reads them for the last time.
    pub fn finish(&mut self, gatherer: &mut Gatherer) {
        for counted in &mut self.counted {
            match counted.patch.remove() {
                Ok(done) => {
                    let taken_out_ns = u64::try_from(done.stopped.as_nanos()).unwrap_or(u64::MAX);
                    let cost = InlineCost { taken_out_ns, ..InlineCost::default() };
                    self.cost.get_or_insert_default().merge(&cost);
                    if done.memory_left {
                        self.notes.push(format!(
                            "inline: process {} keeps the memory of its counters, since something on a stack may lead back \
                             to it; it is harmless, and `doctor -p PID --repair` removes it",
                            counted.key.pid
                        ));
                    }
                }
                Err(error) => self.notes.push(format!("inline: {error}")),
            }
        }
        self.collect(gatherer);
        self.ended = true;
    }

    /// What the reader must know, each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// What it took, in the interval.
    pub fn take_cost(&mut self) -> Option<InlineCost> {
        let cost = self.cost.as_mut()?;
        Some(std::mem::take(cost))
    }

    /// What is missing, in the interval: details by name.
    pub fn take_degraded(&mut self) -> BTreeMap<&'static str, u64> {
        let clamped = ("inline_spins_clamped", std::mem::take(&mut self.clamped));
        let unread = ("inline_unread", std::mem::take(&mut self.unread));
        [clamped, unread].into()
    }
}

/// What was counted, by kind of mutex.
fn frames(new: &Counts, generation: Option<Generation>) -> Vec<InlineFrame> {
    let contended = new.of(Passing::SpinEnd(Reg::Rax));
    let adaptive = InlineStats {
        acquisitions: new.of(Passing::AdaptiveAttempt),
        contended,
        gave_up: new.of(Passing::GaveUp),
        went_to_kernel: new.of(Passing::AdaptiveWait),
        spins: distribution(&new.spins),
    };
    let waited = new.of(Passing::NormalWait);
    let normal = InlineStats {
        acquisitions: new.of(Passing::NormalAttempt),
        contended: waited,
        went_to_kernel: waited,
        ..InlineStats::default()
    };
    let generation = generation.map(|generation| generation.to_string());
    let all = [(InlineKind::Adaptive, generation, adaptive), (InlineKind::Normal, None, normal)];
    let seen = all.into_iter().filter(|(.., stats)| *stats != InlineStats::default());
    seen.map(|(kind, generation, stats)| InlineFrame { kind, generation, stats }).collect()
}

fn distribution(spins: &[u64]) -> Hist {
    let mut hist = Hist::default();
    for (value, count) in (0..).zip(spins).filter(|(_, count)| **count > 0) {
        hist.add(pulse_trace_common::hist::index(value) as u16, *count);
        hist.sum += value * count;
        hist.min = hist.min.or(Some(value));
        hist.max = Some(value);
    }
    hist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_exact_in_count_sum_and_ends() {
        let mut spins = vec![0; 200];
        (spins[1], spins[7], spins[130]) = (5, 2, 1);
        let hist = distribution(&spins);
        assert_eq!((hist.count(), hist.sum, hist.min, hist.max), (8, 149, Some(1), Some(130)));
    }
}
