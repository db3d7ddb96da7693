//! Checks that locks are seen truly on this very kernel: by every tier, of a program whose lock is found taken a known
//! number of times (`contend`, beside the kernel tests).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use kernel::{
    inline::{Detail, Hands},
    target::Pinned,
};
use model::{
    inline::InlineKind,
    locks::ranked_mutexes,
    probes::AUTO,
    session::{Header, Session},
};
use probes::{
    Choice,
    source::{
        host,
        live::{Live, Target},
        probing::Wish,
    },
};

use crate::session::{Request, Scope, kernel_setup};

/// Times that one thread finds the lock taken by the other, spins, gives up and sleeps. Each takes it as often.
const TIMES: u64 = 7;
/// Values that the program writes into `__spins` while it holds the lock.
const MEANS: std::ops::Range<u64> = 0..TIMES;

/// A way to see locks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// By waits in the kernel.
    Futexes,
    /// By probes in the library.
    Mutexes,
    /// By counters inside of the process.
    Inline,
}

/// Result of the check: a line for each tier.
pub fn check(program: &Path) -> Vec<Result<String, String>> {
    let tiers = [("futexes", Tier::Futexes), ("mutexes", Tier::Mutexes), ("inline", Tier::Inline)];
    let line = |(name, tier): (&str, Tier)| match seen(program, tier) {
        Ok(text) => Ok(format!("TRUTH {name} {text}")),
        Err(text) => Err(format!("TRUTH {name} FAILED: {text}")),
    };
    tiers.map(line).into()
}

fn seen(program: &Path, tier: Tier) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(["spins", "--ready-fd", "1", "--go-fd", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let session = trace(&mut child, tier).map_err(|error| error.to_string());
    // It may have ended; then there is nothing to end.
    let _ = child.kill();
    let _ = child.wait();
    compare(&session?, tier, child.id())
}

fn trace(child: &mut Child, tier: Tier) -> Result<Session, Box<dyn std::error::Error>> {
    let mut ready = String::new();
    // Open until the end: the program says more then.
    let mut said = BufReader::new(child.stdout.take().ok_or("no pipe from the program")?);
    said.read_line(&mut ready)?;
    let pinned = Pinned::process(child.id())?;
    let mut probes = vec![AUTO.to_owned()];
    probes.extend((tier == Tier::Mutexes).then(|| "mutex".to_owned()));
    let request = Request {
        scope: Scope::Targets,
        per_thread: false,
        probes,
        stacks: true,
        limits: Vec::new(),
        debug: false,
    };
    let setup = kernel_setup(&request, &[&pinned])?;
    let targets = [Target { pinned: &pinned, held: false }];
    let wish = Wish { choice: Choice::default(), budget_percent: None };
    let mut live = Live::start_with(&setup, wish, &targets)?;
    if tier == Tier::Inline {
        live.count_inline(&targets, (Detail::Kinds, Hands::Own))?;
    }
    child.stdin.take().ok_or("no pipe to the program")?.write_all(b"go\n")?;
    child.wait()?;
    let mut session = Session::new(Header { arch: host::arch(), ..Header::default() });
    session.add(&live.frame());
    session.add(&live.finish());
    Ok(session)
}

fn compare(session: &Session, tier: Tier, pid: u32) -> Result<String, String> {
    let counts = match tier {
        Tier::Futexes => of_kernel(session, pid),
        Tier::Mutexes => of_probes(session),
        Tier::Inline => of_inside(session),
    };
    let said = || session.notes.join("; ");
    if let Some(note) = session.notes.iter().find(|note| note.contains(LACKING)) {
        return Ok(format!("refused: {note}"));
    }
    // Where the kernel itself left out runs of a program, what is missing must at least be in the ledger. Counters
    // inside run none.
    let skipped = if tier == Tier::Inline { 0 } else { session.ledger.runs_left_out() };
    let wrong = |(_, seen, truth): &&(&str, u64, u64)| seen > truth || truth - seen > skipped;
    if let Some((what, seen, truth)) = counts.iter().find(wrong) {
        return Err(format!("{what}: {seen} of {truth}; {:?}; {}", session.ledger, said()));
    }
    let words: Vec<String> = counts.iter().map(|(what, seen, _)| format!("{what} {seen}")).collect();
    Ok(format!("ok: {}", words.join(", ")))
}

/// Part of a note that says that a kernel has no probes of this sort.
const LACKING: &str = "this kernel takes no probes";

fn of_kernel(session: &Session, pid: u32) -> Vec<(&'static str, u64, u64)> {
    let futexes = session.processes.values().flat_map(|process| process.futexes.values());
    let locks: Vec<_> = futexes.filter_map(|futex| Some((futex, futex.mutex.as_ref()?))).collect();
    let held = locks.iter().flat_map(|(_, mutex)| &mutex.holders).filter(|((tid, _), _)| *tid == pid);
    let means: u64 = MEANS.map(|time| 10 * time + 3).sum();
    vec![
        ("waits", locks.iter().map(|(futex, _)| futex.wait.count()).sum(), TIMES),
        ("held by the first thread", held.map(|(_, count)| count).sum(), TIMES),
        ("means of spins, summed up", locks.iter().map(|(_, mutex)| mutex.spins.sum).sum(), means),
    ]
}

fn of_probes(session: &Session) -> Vec<(&'static str, u64, u64)> {
    let mutexes = ranked_mutexes(&session.processes);
    let sum = |number: fn(&model::locks::MutexStats) -> u64| -> u64 {
        mutexes.iter().map(|mutex| number(&mutex.seen.stats)).sum()
    };
    vec![
        ("contended", sum(|stats| stats.contended), TIMES),
        ("spins", sum(|stats| stats.spin_count.count()), TIMES),
        ("gave up", sum(|stats| stats.gave_up), TIMES),
        ("went to the kernel", sum(|stats| stats.went_to_kernel), TIMES),
    ]
}

fn of_inside(session: &Session) -> Vec<(&'static str, u64, u64)> {
    let processes = session.processes.values();
    let adaptive = processes.filter_map(|process| process.inline.get(&InlineKind::Adaptive)).next();
    let stats = adaptive.map(|inline| inline.stats.clone()).unwrap_or_default();
    vec![
        ("acquisitions", stats.acquisitions, 2 * TIMES),
        ("contended", stats.contended, TIMES),
        ("spins", stats.spins.count(), TIMES),
        ("gave up", stats.gave_up, TIMES),
        ("went to the kernel", stats.went_to_kernel, TIMES),
    ]
}
