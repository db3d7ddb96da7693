//! Programs that begin during a session: what targets start, and what they become.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    inline::{Detail, InlineError, Patch},
    model::frame::ProcessKey,
    target,
};

/// Most programs that are counted in: each has memory of its own until the session ends.
const MOST: usize = 256;
/// How long a new program is given to map its C library, at one look.
const PATIENCE: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_micros(100);
/// Looks after which a program without a C library is taken for one that has none.
const LOOKS: u32 = 8;

/// Programs by process and number of its `exec`s.
#[derive(Default)]
pub struct Started {
    settled: BTreeMap<ProcessKey, u32>,
    waited_for: BTreeMap<ProcessKey, u32>,
    put_in: usize,
    /// Why programs are not counted in, and how many for that reason.
    refused: BTreeMap<String, u64>,
}

/// A process and its newest program.
#[derive(Clone, Copy)]
pub struct Program {
    /// The process.
    pub key: ProcessKey,
    /// How many programs it had before.
    pub execs: u32,
    /// Whether it lives.
    pub alive: bool,
}

impl Started {
    /// Notes a program that the counters are in.
    pub fn settle(&mut self, key: ProcessKey, execs: u32) {
        self.settled.insert(key, execs);
    }

    /// Whether there is something to be done about a program.
    pub fn is_new(&self, program: Program) -> bool {
        program.execs > self.settled.get(&program.key).copied().unwrap_or(0)
    }

    /// Puts counters into a program that runs already. `None` where that is not possible, or not yet; else also the CPU time
    /// that its process had used before.
    pub fn put_in(&mut self, program: Program, detail: Detail) -> Option<(Patch, u64)> {
        let Program { key, execs, alive } = program;
        let looks = self.waited_for.entry(key).or_default();
        *looks += 1;
        let done = match (alive, *looks) {
            (false, _) => Err("it had ended".to_owned()),
            _ if self.put_in == MOST => Err(format!("{MOST} others were before it")),
            (_, looks) => match attempt(key.pid, detail) {
                Err(error) if error.lacks_library() && looks < LOOKS => return None,
                done => done.map_err(|error| error.reason()),
            },
        };
        self.waited_for.remove(&key);
        self.settled.insert(key, execs);
        match done {
            Ok(patch) => {
                self.put_in += 1;
                Some(patch)
            }
            Err(reason) => {
                *self.refused.entry(reason).or_default() += 1;
                None
            }
        }
    }

    /// How many programs are not counted in.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// A note about programs that are not counted in.
    pub fn note(&self) -> Option<String> {
        let count = self.refused();
        let reasons = self.refused.iter().map(|(reason, count)| format!("{reason} ({count})"));
        let (programs, are) = if count == 1 { ("program", "is") } else { ("programs", "are") };
        (count > 0).then(|| {
            format!(
                "inline: {count} {programs} that targets started or became {are} not counted in: {}",
                reasons.collect::<Vec<_>>().join("; ")
            )
        })
    }
}

fn attempt(pid: u32, detail: Detail) -> Result<(Patch, u64), InlineError> {
    let since = Instant::now();
    loop {
        let used = cpu_ns(pid);
        match Patch::put_in_loaded(pid, detail) {
            Err(error) if error.lacks_library() && since.elapsed() < PATIENCE => thread::sleep(PAUSE),
            done => return done.map(|patch| (patch, used.max(cpu_ns(pid)))),
        }
    }
}

/// CPU time of a process's threads, as the scheduler keeps it.
fn cpu_ns(pid: u32) -> u64 {
    let of = |tid: u32| {
        let text = target::text(&format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    target::threads(pid).into_iter().filter_map(of).sum()
}
