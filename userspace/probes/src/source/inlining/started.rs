//! Programs that begin during a session: what targets start, and what they become.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kernel::{
    inline::{Detail, Helper, InlineError, Patch},
    target,
};
use model::{frame::ProcessKey, inline::InlineCost};
use pulse_trace_common::target::COMM_LEN;

/// Most programs that are counted in: each has memory of its own until the session ends.
const MOST: usize = 256;
/// Time in which a new program may map its C library, at one look.
const PATIENCE: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_micros(100);
/// Looks after which a program without a C library is taken for one that has none.
const LOOKS: u32 = 8;

/// Programs that were met, by process.
#[derive(Default)]
pub struct Started {
    known: BTreeMap<ProcessKey, Known>,
    put_in: usize,
    /// Reasons why programs are not counted in, each with their number.
    refused: BTreeMap<String, u64>,
}

/// Progress with a process.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Number of the newest `exec` that is done with.
    settled: u32,
    /// Looks at a newer one, which has no C library yet.
    looks: u32,
}

/// A process and its newest program.
pub struct Program {
    /// Process that runs the program.
    pub key: ProcessKey,
    /// The number of the program's `exec`.
    pub execs: u32,
    /// False once the process has ended.
    pub is_alive: bool,
    /// Name of the process, with zeros behind it.
    pub comm: [u8; COMM_LEN],
}

impl Started {
    /// Notes a program that the counters are in.
    pub fn settle(&mut self, key: ProcessKey, execs: u32) {
        self.known.insert(key, Known { settled: execs, looks: 0 });
    }

    /// The programs that are not settled; forgets all processes but these.
    pub fn new_among(&mut self, programs: impl Iterator<Item = Program>) -> Vec<Program> {
        let before = std::mem::take(&mut self.known);
        let mut is_new = |program: &Program| {
            let known = before.get(&program.key).copied().unwrap_or_default();
            self.known.insert(program.key, known);
            program.execs > known.settled
        };
        programs.filter(|program| is_new(program)).collect()
    }

    /// Puts counters into a program that runs already; `None` where that is not possible, or not yet.
    pub fn put_in(
        &mut self,
        program: &Program,
        detail: Detail,
        helper: Option<&Arc<Helper>>,
        cost: &mut InlineCost,
    ) -> Option<Patch> {
        let Program { key, execs, is_alive, .. } = *program;
        let known = self.known.entry(key).or_default();
        known.looks += 1;
        let done = match is_alive {
            false => Err("it had ended".to_owned()),
            true if self.put_in == MOST => Err(format!("{MOST} others were before it")),
            true => match attempt(key.pid, detail, helper) {
                Err(error) if error.lacks_library() && known.looks < LOOKS => return None,
                done => done.map_err(|error| error.reason()),
            },
        };
        self.settle(key, execs);
        match done {
            Ok((patch, late_cpu_ns)) => {
                self.put_in += 1;
                cost.merge(&InlineCost { late: 1, late_cpu_ns, ..InlineCost::default() });
                Some(patch)
            }
            Err(reason) => {
                *self.refused.entry(reason).or_default() += 1;
                cost.left_alone += 1;
                None
            }
        }
    }

    /// A note about programs that are not counted in.
    pub fn note(&self) -> Option<String> {
        let count: u64 = self.refused.values().sum();
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

/// Puts the counters in as soon as the C library is there, and tells how much CPU time the process had used before.
fn attempt(pid: u32, detail: Detail, helper: Option<&Arc<Helper>>) -> Result<(Patch, u64), InlineError> {
    let since = Instant::now();
    loop {
        let used = cpu_ns(pid);
        let done = match helper {
            Some(helper) => helper.put_in(pid, detail, true),
            None => Patch::put_in_loaded(pid, detail),
        };
        match done {
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
