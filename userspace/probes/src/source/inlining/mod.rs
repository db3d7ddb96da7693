//! Counters inside of the targets, in a live session.

mod kin;
mod locks;
mod numbers;
mod started;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use kernel::{
    Kernel,
    inline::{Detail, Everything, Hands, Helper, InlineError, LARGEST, Own, Patch, Removal, TARGET},
    target,
};
use kin::Kin;
use locks::Locks;
use model::{
    frame::ProcessKey,
    inline::{InlineCost, LEFT_INSIDE},
    text::of_comm,
};
use pulse_trace_common::target::Row;
use started::{Program, Started};

use super::gather::Gatherer;

/// One target, and the processes that it has forked since.
struct Counted {
    key: ProcessKey,
    patch: Patch,
    /// Name of the process when the counters were put in.
    comm: String,
    /// Numbers that were read last.
    before: Everything,
    kin: Kin,
    /// Known locks, where locks are told apart.
    locks: Option<Locks>,
    /// True once another program has removed the counters.
    vanished: bool,
    since: Instant,
}

/// Those that are counted in.
#[derive(Default)]
pub struct Inlining {
    counted: Vec<Counted>,
    cost: Option<InlineCost>,
    notes: Vec<String>,
    missing: Missing,
    /// The detail of counting; `None` without `--inline`.
    detail: Option<Detail>,
    started: Started,
    /// Process that puts counters in and takes them out; `None` where this process does.
    helper: Option<Arc<Helper>>,
    ended: bool,
}

/// Counts that are not in the numbers, or not in all of them.
#[derive(Clone, Copy, Default)]
struct Missing {
    /// Spin counts that were too large to be told apart.
    clamped: u64,
    /// Processes whose counters could not be read.
    unread: u64,
    /// Processes whose counters another program has removed.
    removed: u64,
    /// Acquisitions that are in no mutex's numbers, and those of them that found it taken.
    without_lock: [u64; 2],
    /// Acquisitions that are in no process's numbers.
    nobodys: u64,
}

impl Inlining {
    /// Puts counters into processes, each with the number of its `exec`s: into all or into none.
    pub fn begin(
        &mut self,
        targets: &[(ProcessKey, u32)],
        (detail, hands): (Detail, Hands),
    ) -> Result<(), InlineError> {
        self.detail = Some(detail);
        if let Some((key, _)) = targets.first().filter(|_| hands == Hands::Helper) {
            self.helper = Some(Helper::start(key.pid)?);
        }
        for (key, execs) in targets {
            let patch = match &self.helper {
                Some(helper) => helper.put_in(key.pid, detail, false)?,
                None => Patch::put_in(key.pid, detail)?,
            };
            self.started.settle(*key, *execs);
            self.add(*key, patch, detail);
        }
        Ok(())
    }

    fn add(&mut self, key: ProcessKey, patch: Patch, detail: Detail) {
        let put_in_ns = u64::try_from(patch.about.stopped.as_nanos()).unwrap_or(u64::MAX);
        let cost = InlineCost { put_in_ns, programs: 1, ..InlineCost::default() };
        self.cost.get_or_insert_default().merge(&cost);
        if patch.about.repaired {
            let pid = key.pid;
            self.notes.push(format!(
                "inline: process {pid} still had the counters of a tool that was killed; they were removed first"
            ));
        }
        self.notes.extend(cut_short(key.pid, patch.about.cut_short));
        for what in &patch.about.left_out {
            self.notes.push(format!("inline: cannot count in {what}"));
        }
        let comm = target::comm(key.pid).map(|comm| of_comm(&comm)).unwrap_or_default();
        self.counted.push(Counted {
            key,
            patch,
            comm,
            before: Everything::default(),
            kin: Kin::of(key.pid),
            locks: (detail == Detail::Locks).then(|| Locks::of(key.pid)),
            vanished: false,
            since: Instant::now(),
        });
    }

    /// True where programs that begin get counters.
    pub fn follows(&self) -> bool {
        self.detail.is_some()
    }

    /// Puts counters into programs that have begun since the last look.
    pub fn meet_new(&mut self, kernel: &Kernel, gatherer: &mut Gatherer) {
        let Some(detail) = self.detail.filter(|_| !self.ended) else { return };
        let program = |row: Row| Program {
            key: ProcessKey { pid: row.tgid, joined_ns: row.joined_ns },
            execs: row.execs,
            is_alive: row.live > 0,
            comm: row.comm,
        };
        let programs = kernel.process_rows().map(|(_, row)| row).filter(|row| row.execs > 0).map(program);
        for program in self.started.new_among(programs) {
            let cost = self.cost.get_or_insert_default();
            if let Some(patch) = self.started.put_in(&program, detail, self.helper.as_ref(), cost) {
                gatherer.expect_counters(program.key, &program.comm);
                self.add(program.key, patch, detail);
            }
        }
    }

    /// Reads all counters.
    pub fn collect(&mut self, gatherer: &mut Gatherer) {
        for counted in &mut self.counted {
            if !self.ended && !counted.vanished && counted.patch.has_vanished() {
                counted.vanished = true;
                self.missing.removed += 1;
                let (pid, after) = (counted.key.pid, counted.since.elapsed().as_secs_f64());
                self.notes.push(format!(
                    "inline: the counters of process {pid} were found removed by another program {after:.1} s after they were \
                     put in: what it acquired since is not counted"
                ));
            }
            match counted.patch.read_all() {
                Ok(now) => counted.take(now, self.ended, gatherer, &mut self.missing),
                Err(_) => self.missing.unread += 1,
            }
        }
    }

    /// Takes them out, and reads them for the last time.
    pub fn finish(&mut self, gatherer: &mut Gatherer) {
        // While it can be asked who is who, and what lies where.
        self.collect(gatherer);
        for counted in &mut self.counted {
            match counted.patch.remove() {
                Ok(done) => {
                    let taken_out_ns = u64::try_from(done.stopped.as_nanos()).unwrap_or(u64::MAX);
                    let cost = InlineCost { taken_out_ns, ..InlineCost::default() };
                    self.cost.get_or_insert_default().merge(&cost);
                    self.notes.extend(left(counted.key.pid, done));
                    self.notes.extend(cut_short(counted.key.pid, done.cut_short));
                }
                Err(InlineError::Gone(_)) => {}
                Err(error) => {
                    let goes_on = self.helper.as_ref().filter(|_| target::living(counted.key.pid).is_some());
                    let goes_on = goes_on.map_or_else(String::new, |helper| {
                        format!(
                            "; a helper (process {}) goes on trying as long as the process lives",
                            helper.pid
                        )
                    });
                    self.notes.push(format!("{LEFT_INSIDE}{error}{goes_on}"));
                }
            }
        }
        self.ended = true;
        self.collect(gatherer);
        self.notes.extend(self.started.note());
    }

    /// Notes for the reader, each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Cost in this interval, if counters were read in it.
    pub fn take_cost(&mut self) -> Option<InlineCost> {
        let cost = self.cost.as_mut()?;
        Some(std::mem::take(cost))
    }

    /// Counts that are missing in some numbers, in the interval, by name; and those that are missing in all.
    pub fn take_missing(&mut self) -> (BTreeMap<&'static str, u64>, u64) {
        let missing = std::mem::take(&mut self.missing);
        let [acquisitions, contended] = missing.without_lock;
        let degraded = [
            ("inline_spins_clamped", missing.clamped),
            ("inline_unread", missing.unread),
            ("inline_removed", missing.removed),
            ("inline_without_lock", acquisitions),
            ("inline_contended_without_lock", contended),
        ];
        (degraded.into(), missing.nobodys)
    }
}

impl Counted {
    /// Takes what was added since the last time. Numbers of a process that is not known yet are left for the next time;
    /// at the end they count as missing.
    fn take(&mut self, now: Everything, last: bool, gatherer: &mut Gatherer, missing: &mut Missing) {
        if let Some(locks) = &mut self.locks {
            locks.begin();
        }
        for (number, own) in now.processes {
            let whose = match number {
                TARGET => Some(self.key),
                _ => self.kin.find(number, &own, (self.key, &self.comm), &self.patch, gatherer),
            };
            match whose {
                Some(key) => self.hand_on(key, number, own, gatherer, missing),
                None if last => missing.nobodys += numbers::acquisitions(&own.all),
                None => {}
            }
        }
        if self.locks.is_some() {
            let new = now.outside.since(&self.before.outside);
            missing.without_lock[0] += numbers::acquisitions(&new);
            missing.without_lock[1] += numbers::contended(&new);
        }
        let new = now.nobodys.since(&self.before.nobodys);
        missing.nobodys += numbers::acquisitions(&new);
        (self.before.outside, self.before.nobodys) = (now.outside, now.nobodys);
    }

    fn hand_on(
        &mut self,
        key: ProcessKey,
        number: u16,
        own: Own,
        gatherer: &mut Gatherer,
        missing: &mut Missing,
    ) {
        let generation = self.patch.about.generation;
        let before = self.before.processes.entry(number).or_default();
        let new = own.all.since(&before.all);
        missing.clamped += new.spins.get(LARGEST as usize).copied().unwrap_or(0);
        for frame in numbers::by_kind(&new, generation) {
            gatherer.add_inline(key, frame);
        }
        for (address, counts) in &own.locks {
            let new = before.locks.get(address).map_or_else(|| counts.clone(), |was| counts.since(was));
            if let Some(locks) = self.locks.as_mut().filter(|_| !new.is_nothing()) {
                let frame = locks.frame(key, *address, &new, &self.patch, generation);
                gatherer.add_lock(key, frame);
            }
        }
        *before = own;
    }
}

/// A note about calls that returned for the sake of the counters.
fn cut_short(pid: u32, threads: usize) -> Option<String> {
    let of = if threads == 1 { "1 thread" } else { &format!("{threads} threads") };
    (threads > 0).then(|| {
        format!("inline: a system call with a time limit of {of} of process {pid} returned EINTR, since the process was stopped")
    })
}

/// Sentences about what was left behind in a process.
fn left(pid: u32, done: Removal) -> Vec<String> {
    let mut notes = Vec::new();
    if done.memory_left {
        notes.push(format!(
            "{LEFT_INSIDE}process {pid} keeps the memory of its counters, since something on a stack may lead back to it or a \
             seccomp filter forbids it to give it back; it is harmless, and `doctor -p PID --repair` removes it"
        ));
    }
    if done.heirs_left > 0 {
        let (processes, keep, they, them) = match done.heirs_left {
            1 => ("process", "keeps", "it is", "it"),
            _ => ("processes", "keep", "they are", "them"),
        };
        notes.push(format!(
            "{LEFT_INSIDE}{} {processes} that process {pid} has forked {keep} counters that are read no more; {they} harmless, \
             and `doctor -p PID --repair` removes {them}",
            done.heirs_left
        ));
    }
    notes
}
