//! Checks that what is shown is true on this very kernel: traces a program that makes a known number of calls.

mod caller;
mod faults;
mod hooks;
mod locks;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

pub use caller::make_calls;
use kernel::target::Pinned;
use model::{
    frame::{Abi, Call},
    probes::{AUTO, find},
    session::{Header, Session},
    syscalls,
};
use probes::source::{
    host,
    live::{Live, Target},
};

use crate::session::{Request, Scope, kernel_setup};

/// First argument of the process that makes the calls.
pub const CALLER: &str = "__calls";

/// Result: lines to print, and whether all is well.
#[derive(Debug)]
pub struct Outcome {
    /// For people and programs to read.
    pub lines: Vec<String>,
    /// True if every check held.
    pub passed: bool,
}

/// Loads every program, attaches what this kernel offers, and holds the counts against the truth; those of locks too,
/// where there is a program that fights for one.
#[must_use]
pub fn run(contend: Option<&Path>) -> Outcome {
    let mut lines = vec![format!("KERNEL {} {}", host::kernel(), host::arch())];
    let mut passed = true;
    let mut note = |result: Result<String, String>| {
        passed &= result.is_ok();
        lines.push(result.unwrap_or_else(|line| line));
    };
    for result in hooks::verify() {
        note(result);
    }
    let scopes =
        [(Scope::Targets, "threads"), (Scope::Children, "children"), (Scope::Everybody, "everybody")];
    for (scope, name) in scopes {
        note(match count_truly(scope) {
            Ok(text) => Ok(format!("TRUTH {name} ok: {text}")),
            Err(text) => Err(format!("TRUTH {name} FAILED: {text}")),
        });
    }
    if find("faults").is_some_and(|spec| spec.allowed_on(&host::kernel()).is_ok()) {
        note(faults::check());
    }
    if let Some(program) = contend {
        locks::check(program).into_iter().for_each(&mut note);
    }
    lines.push(format!("SELFTEST {}", if passed { "OK" } else { "FAILED" }));
    Outcome { lines, passed }
}

/// Traces the caller, and compares.
fn count_truly(scope: Scope) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut child = Command::new("/proc/self/exe")
        .args([CALLER, if scope == Scope::Children { "children" } else { "threads" }])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| text(&error))?;
    let session = trace(&mut child, scope).map_err(|error| text(&error));
    // It may have ended; then there is nothing to end.
    let _ = child.kill();
    let _ = child.wait();
    compare(&session?, scope, child.id())
}

fn trace(child: &mut Child, scope: Scope) -> Result<Session, Box<dyn std::error::Error>> {
    let mut ready = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe from the caller")?).read_line(&mut ready)?;
    let pinned = Pinned::process(child.id())?;
    let probes = vec![AUTO.to_owned()];
    let request =
        Request { scope, per_thread: false, probes, stacks: true, limits: Vec::new(), debug: false };
    let all = [Target { pinned: &pinned, held: false }];
    // Of everybody it is found by its first call.
    let targets = if scope == Scope::Everybody { &[] } else { &all[..] };
    let pinned: Vec<&Pinned> = targets.iter().map(|target| target.pinned).collect();
    let setup = kernel_setup(&request, &pinned)?;
    let mut live = Live::start(&setup, targets)?;
    child.stdin.take().ok_or("no pipe to the caller")?.write_all(b"go\n")?;
    let mut session = Session::new(Header { arch: host::arch(), ..Header::default() });
    // Counters are read while threads and processes end.
    while child.try_wait()?.is_none() {
        session.add(&live.frame());
    }
    session.add(&live.frame());
    session.add(&live.finish());
    Ok(session)
}

/// The caller's truth, all of its processes together.
fn compare(session: &Session, scope: Scope, pid: u32) -> Result<String, String> {
    let makers = if scope == Scope::Children { 1 + caller::CHILDREN } else { caller::threads() as u64 };
    let mut shown = Vec::new();
    let skipped = session.ledger.runs_left_out();
    let own = || session.processes.iter().filter(|(key, _)| scope != Scope::Everybody || key.pid == pid);
    let mut walls = own().flat_map(|(_, process)| process.sched_threads.values()).map(|it| it.budget.wall_ns);
    if let Some(wall) = walls.find(|wall| *wall > session.duration_ns) {
        return Err(format!("a thread lived {wall} ns in a session of {} ns", session.duration_ns));
    }
    for (name, each) in caller::TRUTH {
        let truth = each * makers;
        let nr =
            |call: &Call| call.abi == Abi::Native && syscalls::name(&session.header.arch, *call) == *name;
        let calls = own().flat_map(|(_, process)| process.calls());
        let (mut counted, mut timed) = (0, 0);
        for (_, stats) in calls.filter(|(call, _)| nr(call)) {
            counted += stats.count();
            timed += stats.latency.count();
        }
        // Where the kernel itself left out runs of a program, what is missing must at least be in the ledger.
        let missing = truth.abs_diff(timed);
        if counted > truth || missing > skipped {
            return Err(format!(
                "{name}: made {truth}, counted {counted}, timed {timed}; {:?}",
                session.ledger
            ));
        }
        shown.push(if missing == 0 {
            format!("{name} {counted}")
        } else {
            format!("{name} {timed} of {truth}")
        });
    }
    if skipped > 0 {
        return Ok(format!(
            "{} timed; the kernel left out {skipped} runs, as the ledger says",
            shown.join(", ")
        ));
    }
    if !session.ledger.complete() {
        return Err(format!("the ledger is not clean: {:?}", session.ledger));
    }
    Ok(shown.join(", "))
}
