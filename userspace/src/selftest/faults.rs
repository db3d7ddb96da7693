//! Page faults, held against the kernel's own count.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use kernel::target::{self, Pinned};
use model::{grade::EVENTS_MISSED, session::Session};
use probes::source::live::{Live, Target};

use super::CALLER;
use crate::session::{Request, Scope, kernel_setup};

/// Pages that the program writes to for the first time.
const PAGES: usize = 1000;
const PAGE: usize = 4096;

/// A line on whether faults are counted as the kernel counts them.
pub fn check() -> Result<String, String> {
    match count() {
        // Where pages are large, many of these are one.
        Ok(Seen { counted, missed, truth }) if truth > 0 && (counted..=counted + missed).contains(&truth) => {
            Ok(format!("TRUTH faults ok: {truth}"))
        }
        Ok(Seen { counted, truth, .. }) => {
            Err(format!("TRUTH faults FAILED: the kernel counts {truth}, the probe {counted}"))
        }
        Err(error) => Err(format!("TRUTH faults FAILED: {error}")),
    }
}

/// Faults of a program while it makes some.
struct Seen {
    counted: u64,
    /// Faults of any process that may be missing, as the ledger says.
    missed: u64,
    /// As the kernel counts them.
    truth: u64,
}

fn count() -> Result<Seen, Box<dyn std::error::Error>> {
    let mut child = Command::new("/proc/self/exe")
        .args([CALLER, "faults"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let counted = trace(&mut child);
    // It may have ended; then there is nothing to end.
    let _ = child.kill();
    let _ = child.wait();
    counted
}

fn trace(child: &mut Child) -> Result<Seen, Box<dyn std::error::Error>> {
    let mut said = BufReader::new(child.stdout.take().ok_or("no pipe from the program")?).lines();
    said.next().ok_or("the program says nothing")??;
    let pinned = Pinned::process(child.id())?;
    let request = Request {
        scope: Scope::Targets,
        per_thread: false,
        probes: vec!["faults".to_owned()],
        stacks: false,
        limits: Vec::new(),
        debug: false,
    };
    let setup = kernel_setup(&request, &[&pinned])?;
    let mut live = Live::start(&setup, &[Target { pinned: &pinned, held: false }])?;
    let before = counted_by_kernel(child.id())?;
    child.stdin.as_mut().ok_or("no pipe to the program")?.write_all(b"go\n")?;
    said.next().ok_or("the program does not answer")??;
    let mut session = Session::default();
    session.add(&live.frame());
    let truth = counted_by_kernel(child.id())? - before;
    // Faults between the two looks are in neither.
    let seen = session.processes.values().flat_map(|process| process.events.values());
    let counted = seen.map(|stats| stats.times.count()).sum();
    let missed = live.finish().ledger.degraded.get(EVENTS_MISSED).copied().unwrap_or(0);
    Ok(Seen { counted, missed, truth })
}

/// Faults of a process so far.
fn counted_by_kernel(pid: u32) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(target::stat(pid).ok_or("its faults are not told")?.faults.iter().sum())
}

/// Writes to so many pages for the first time, when it is told to.
///
/// # Errors
/// When it cannot do what it is for.
pub fn make() -> std::io::Result<()> {
    let mut said = String::new();
    std::io::stdin().lock().read_line(&mut said)?;
    let mut pages = vec![0_u8; PAGES * PAGE];
    pages.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    std::hint::black_box(&pages);
    writeln!(std::io::stdout().lock(), "done")?;
    // Until it is ended.
    std::io::stdin().lock().read_line(&mut said)?;
    Ok(())
}
