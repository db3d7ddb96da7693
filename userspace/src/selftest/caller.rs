//! The program that makes a known number of calls.

use std::{
    io::{BufRead as _, Write as _},
    process::Command,
    sync::Barrier,
    thread,
};

use rustix::{
    process::{getppid, getsid},
    thread::sched_yield,
};

use super::{CALLER, faults};

/// Threads that make the calls: eight for each CPU, which begin together and end one after the other.
pub fn threads() -> usize {
    8 * thread::available_parallelism().map_or(1, usize::from)
}

/// Processes that make them, besides the first.
pub const CHILDREN: u64 = 3;
/// Calls that each of them makes. No runtime makes these on its own.
pub const TRUTH: &[(&str, u64)] = &[("getppid", 5000), ("getsid", 700), ("sched_yield", 30)];

/// Makes the calls: by threads, by child processes, or, as such a child, at once.
///
/// # Errors
/// When it cannot do what it is for.
pub fn make_calls(how: &str) -> std::io::Result<()> {
    if how == "child" {
        make();
        return Ok(());
    }
    writeln!(std::io::stdout().lock(), "ready")?;
    if how == "faults" {
        return faults::make();
    }
    std::io::stdin().lock().read_line(&mut String::new())?;
    if how == "threads" {
        let together = Barrier::new(threads());
        thread::scope(|scope| {
            for _ in 0..threads() {
                scope.spawn(|| {
                    together.wait();
                    make();
                });
            }
        });
        return Ok(());
    }
    make();
    let children = (0..CHILDREN).map(|_| Command::new("/proc/self/exe").args([CALLER, "child"]).spawn());
    for child in children.collect::<Vec<_>>() {
        child?.wait()?;
    }
    Ok(())
}

fn make() {
    for (name, count) in TRUTH {
        for _ in 0..*count {
            match *name {
                "getppid" => drop(getppid()),
                // Asking about oneself cannot fail.
                "getsid" => drop(getsid(None)),
                _ => sched_yield(),
            }
        }
    }
}
