//! From what a session is asked to do to what the kernel side has to be loaded with.

use crate::{
    kernel::{Probes, Setup, limits::Limits},
    probes,
    source::host,
    target::Pinned,
};

/// Whom a session follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The targets.
    Targets,
    /// The targets and the processes they fork.
    Children,
    /// Every process but the tool.
    Everybody,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom to follow.
    pub scope: Scope,
    /// Whether threads are told apart.
    pub per_thread: bool,
    /// Names of the probes.
    pub probes: Vec<String>,
    /// Whether stacks of waits are taken.
    pub stacks: bool,
    /// Limits that were set by hand.
    pub limits: Vec<(String, u32)>,
    /// Whether the kernel side writes a log of what it does.
    pub debug: bool,
}

/// What the kernel side has to be loaded with.
///
/// # Errors
/// A sentence, when a limit is not to be had.
pub fn kernel_setup(request: &Request, targets: &[&Pinned]) -> Result<Setup, String> {
    let cpus = host::cpus();
    let (processes, threads) = match request.scope {
        Scope::Everybody => (256, 8192),
        _ => (targets.len() as u32, targets.iter().map(|target| target.threads().len() as u32).sum()),
    };
    let grows = request.scope != Scope::Targets;
    let mut limits = Limits::for_targets(processes, threads, grows, request.per_thread, cpus);
    for (name, value) in &request.limits {
        limits.set(name, *value)?;
    }
    let chosen = probes::chosen(&request.probes);
    Ok(Setup {
        limits,
        probes: Probes {
            syscalls: chosen.contains(&"syscalls"),
            sched: chosen.contains(&"sched"),
            futex: chosen.contains(&"futex"),
            stacks: request.stacks && (chosen.contains(&"futex") || chosen.contains(&"mutex")),
            mutex: chosen.contains(&"mutex"),
            counters: chosen.contains(&"counters"),
        },
        follow_children: request.scope == Scope::Children,
        everybody: request.scope == Scope::Everybody,
        per_thread: request.per_thread,
        debug: request.debug,
    })
}
