//! Long-lived threads behind a gate: starting a thread is never part of what is measured.
//!
//! A lap goes like this: the coordinator opens the gate; every member leaves it and steps to the start line, where
//! it waits (spinning briefly, then yielding, since there may be more members than CPUs) until all are there; then
//! each does its part and stamps its own start and end. The lap is what lies between the first start and the last
//! end, so neither the wake-ups of the gate nor the reports are in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lap::{Lap, Observed, Share};
use super::work::Work;
use super::{Run, Setup};
use crate::contract::{Refusal, cannot};

/// Tries at the start line before a member gives its CPU away.
const SPINS_AT_THE_LINE: u32 = 100;

#[derive(Clone, Copy)]
enum Task {
    Run(u64),
    Observe { operations: u64, batch: u64 },
    Stop,
}

struct Orders {
    generation: u64,
    tasks: Vec<Task>,
}

struct Gate {
    orders: Mutex<Orders>,
    opened: Condvar,
    /// Members that have stepped to the start line, counted over all laps.
    at_the_line: AtomicU64,
    /// Set when a member died: no thread may wait for it at the line.
    broken: AtomicBool,
}

impl Gate {
    fn wait(&self, member: usize, seen: u64) -> (u64, Task) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        while orders.generation == seen {
            orders = self.opened.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        (orders.generation, orders.tasks.get(member).copied().unwrap_or(Task::Stop))
    }

    fn open(&self, tasks: Vec<Task>) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.generation += 1;
        orders.tasks = tasks;
        self.opened.notify_all();
    }

    fn line_up(&self, expected: u64) {
        self.at_the_line.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0;
        while self.at_the_line.load(Ordering::Acquire) < expected && !self.broken.load(Ordering::Relaxed) {
            if spins < SPINS_AT_THE_LINE {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

struct Report {
    member: usize,
    share: Share,
    seen: Observed,
}

/// Threads in teams. Every team does the whole of a lap's operations (senders send what receivers receive); within
/// a team the members divide them.
pub struct Crew {
    gate: Arc<Gate>,
    reports: Receiver<Report>,
    threads: Vec<JoinHandle<()>>,
    teams: Vec<usize>,
    /// Members take operations from a common store until it is empty, rather than a fixed part each.
    racing: bool,
}

impl Crew {
    /// Starts one team.
    ///
    /// # Errors
    ///
    /// A thread cannot be started or pinned.
    pub fn start(setup: &Setup, works: Vec<Box<dyn Work>>) -> Result<Self, Refusal> {
        Self::teams(setup, vec![works])
    }

    /// Starts several teams.
    ///
    /// # Errors
    ///
    /// A thread cannot be started or pinned.
    pub fn teams(setup: &Setup, teams: Vec<Vec<Box<dyn Work>>>) -> Result<Self, Refusal> {
        let (sender, reports) = channel();
        let gate = Arc::new(Gate {
            orders: Mutex::new(Orders { generation: 0, tasks: Vec::new() }),
            opened: Condvar::new(),
            at_the_line: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        });
        let sizes: Vec<usize> = teams.iter().map(Vec::len).collect();
        let parties = sizes.iter().sum::<usize>() as u64;
        // Built before the first spawn, so that a failure half-way stops and joins the threads already there.
        let mut crew = Self { gate, reports, threads: Vec::new(), teams: sizes, racing: false };
        for (member, work) in teams.into_iter().flatten().enumerate() {
            crew.enlist(setup, Member { index: member, parties, work, reports: sender.clone() })?;
        }
        Ok(crew)
    }

    /// Lets the members race for operations instead of dividing them beforehand.
    #[must_use]
    pub fn racing(mut self) -> Self {
        self.racing = true;
        self
    }

    fn enlist(&mut self, setup: &Setup, member: Member) -> Result<(), Refusal> {
        let gate = Arc::clone(&self.gate);
        let pin = setup.pin.clone();
        let nth = member.index;
        let (tell, started) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("crew-{nth}"))
            .spawn(move || {
                let pinned = pin.map_or(Ok(()), |cpus| cpus.pin(nth));
                let fit = pinned.is_ok();
                if tell.send(pinned).is_ok() && fit {
                    member.serve(&gate);
                }
            })
            .map_err(|error| {
                cannot(
                    format_args!("start thread {nth}"),
                    error,
                    "raise the limit `ulimit -u` or use fewer threads",
                )
            })?;
        self.threads.push(thread);
        started.recv().unwrap_or_else(|_| Err(died()))
    }

    fn divide(&self, operations: u64) -> Vec<u64> {
        if self.racing {
            return vec![operations; self.threads.len()];
        }
        self.teams.iter().flat_map(|&size| portions(operations, size)).collect()
    }

    /// Members of the team whose operations count; the other teams do them again from their side.
    fn leading(&self) -> usize {
        self.teams.first().copied().unwrap_or(0)
    }

    fn carry_out(&self, tasks: Vec<Task>) -> Result<Vec<Report>, Refusal> {
        let parties = tasks.len();
        self.gate.open(tasks);
        let mut reports = Vec::with_capacity(parties);
        while reports.len() < parties {
            match self.reports.recv_timeout(Duration::from_millis(100)) {
                Ok(report) => reports.push(report),
                Err(RecvTimeoutError::Timeout) if !self.gate.broken.load(Ordering::Relaxed) => {}
                Err(_) => return Err(died()),
            }
        }
        reports.sort_by_key(|report| report.member);
        Ok(reports)
    }
}

fn died() -> Refusal {
    cannot("finish a lap", "one of its threads panicked", "see its message above and report it")
}

/// Parts of a whole as equal as can be; the first ones take what does not divide.
pub fn portions(whole: u64, parts: usize) -> impl Iterator<Item = u64> {
    let parts = parts.max(1) as u64;
    (0..parts).map(move |part| whole / parts + u64::from(part < whole % parts))
}

impl Run for Crew {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        let tasks = self.divide(operations).into_iter().map(Task::Run).collect();
        let reports = self.carry_out(tasks)?;
        Ok(Lap::of_teams(reports.into_iter().map(|report| report.share).collect(), self.leading()))
    }

    fn observe(&mut self, operations: u64, batch: u64) -> Result<Option<Observed>, Refusal> {
        let tasks = self
            .divide(operations)
            .into_iter()
            .map(|operations| Task::Observe { operations, batch })
            .collect();
        let mut all = Observed::default();
        for report in self.carry_out(tasks)?.into_iter().take(self.leading()) {
            all.merge(&report.seen);
        }
        Ok(Some(all))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.gate.open(Vec::new());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Member {
    index: usize,
    parties: u64,
    work: Box<dyn Work>,
    reports: Sender<Report>,
}

impl Member {
    fn serve(mut self, gate: &Gate) {
        let mut seen = 0;
        loop {
            let (generation, task) = gate.wait(self.index, seen);
            seen = generation;
            if matches!(task, Task::Stop) {
                return;
            }
            gate.line_up(generation * self.parties);
            // A member that panics (its peer is gone, say) must not leave the others waiting for it.
            let Ok(report) = catch_unwind(AssertUnwindSafe(|| self.carry_out(task))) else {
                gate.broken.store(true, Ordering::Relaxed);
                return;
            };
            if self.reports.send(report).is_err() {
                return;
            }
        }
    }

    fn carry_out(&mut self, task: Task) -> Report {
        let mut seen = Observed::default();
        let began = Instant::now();
        let operations = match task {
            Task::Run(operations) => self.work.run(operations),
            Task::Observe { operations, batch } => {
                self.work.observe(operations, batch, &mut seen);
                seen.operations
            }
            Task::Stop => 0,
        };
        let ended = Instant::now();
        Report { member: self.index, share: Share { operations, began, ended }, seen }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::patterns::work::each;

    fn counting(count: &Arc<AtomicU64>) -> Box<dyn Work> {
        let count = Arc::clone(count);
        each(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[test]
    fn a_whole_is_divided_without_loss() {
        for (whole, parts) in [(10, 3), (2, 8), (0, 4), (40_000, 16), (7, 1)] {
            let parts_of_it: Vec<u64> = portions(whole, parts).collect();
            assert_eq!(parts_of_it.len(), parts);
            assert_eq!(parts_of_it.iter().sum::<u64>(), whole);
            assert!(parts_of_it.iter().max().unwrap() - parts_of_it.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn the_same_threads_do_lap_after_lap_and_every_operation_once() {
        let count = Arc::new(AtomicU64::new(0));
        let members = (0..5).map(|_| counting(&count)).collect();
        let mut crew = Crew::start(&Setup::default(), members).unwrap();
        let mut expected = 0;
        for operations in [1, 3, 1_000, 12_345] {
            let lap = crew.lap(operations).unwrap();
            expected += operations;
            assert_eq!(lap.shares.iter().map(|share| share.operations).sum::<u64>(), operations);
            assert_eq!(count.load(Ordering::Relaxed), expected);
        }
        let seen = crew.observe(1_000, 10).unwrap().unwrap();
        assert_eq!(seen.operations, 1_000);
        assert_eq!(count.load(Ordering::Relaxed), expected + 1_000);
    }

    #[test]
    fn each_team_does_the_whole() {
        let (left, right) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let teams = vec![vec![counting(&left)], vec![counting(&right), counting(&right)]];
        let mut crew = Crew::teams(&Setup::default(), teams).unwrap();
        crew.lap(101).unwrap();
        assert_eq!((left.load(Ordering::Relaxed), right.load(Ordering::Relaxed)), (101, 101));
    }

    #[test]
    fn a_member_that_dies_ends_the_lap_with_an_error() {
        let works = vec![each(|| panic!("on purpose")), each(|| {})];
        let mut crew = Crew::start(&Setup::default(), works).unwrap();
        let refusal = crew.lap(10).unwrap_err().to_string();
        assert!(refusal.starts_with("cannot finish a lap: "), "{refusal}");
    }

    #[test]
    fn a_missing_cpu_is_refused_at_the_start() {
        let setup = Setup { pin: Some("1023".parse().unwrap()), ..Setup::default() };
        assert!(Crew::start(&setup, vec![each(|| {})]).is_err());
    }
}
