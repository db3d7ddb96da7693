//! From what a session is asked to do to what the kernel side has to be loaded with.

use kernel::{
    Setup,
    limits::Limits,
    target::{self, Pinned},
};
use model::probes::ProbeSet;
use probes::source::host;

/// Processes that a session follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The named targets.
    Targets,
    /// The targets and the processes they fork.
    Children,
    /// Every process but the tool.
    Everybody,
}

/// Request for a session.
#[derive(Clone, Debug)]
pub struct Request {
    /// Processes to follow.
    pub scope: Scope,
    /// True if threads are told apart.
    pub per_thread: bool,
    /// Names of the probes.
    pub probes: Vec<String>,
    /// True if stacks of waits are taken.
    pub stacks: bool,
    /// Limits that were set by hand.
    pub limits: Vec<(String, u32)>,
    /// True if the kernel side writes a log of what it does.
    pub debug: bool,
}

/// Setup with which the kernel side has to be loaded.
///
/// # Errors
/// A sentence, when a limit is not to be had.
pub fn kernel_setup(request: &Request, targets: &[&Pinned]) -> Result<Setup, String> {
    let cpus = host::cpus();
    let (processes, threads) = match request.scope {
        // Those that come later besides.
        Scope::Everybody => {
            let (processes, threads) = size(target::processes_of_users().map(|threads| (1, threads)));
            (processes, threads + 4096)
        }
        Scope::Targets => size(targets.iter().map(|target| (1, target.threads().len()))),
        Scope::Children => size(targets.iter().map(|target| size_of_tree(target))),
    };
    let grows = request.scope != Scope::Targets;
    let mut limits = Limits::for_targets(processes, threads, grows, request.per_thread, cpus);
    for (name, value) in &request.limits {
        limits.set(name, *value)?;
    }
    let probes = ProbeSet::chosen(&request.probes);
    for spec in probes.specs() {
        let why = spec.allowed_on(&host::kernel());
        why.map_err(|why| format!("cannot use probe {}: {why}; leave it out (--probes)", spec.name))?;
    }
    Ok(Setup {
        limits,
        probes,
        stacks: request.stacks && probes.takes_stacks(),
        follow_children: request.scope == Scope::Children,
        everybody: request.scope == Scope::Everybody,
        per_thread: request.per_thread,
        debug: request.debug,
    })
}

/// Processes and threads of a target and all that descend from it.
fn size_of_tree(target: &Pinned) -> (usize, usize) {
    if target.only_thread.is_some() {
        return (1, 1);
    }
    let family = target::family(target.pid);
    (family.len(), family.into_iter().map(|pid| target::threads(pid).len()).sum())
}

/// The sum of processes and threads.
fn size(parts: impl Iterator<Item = (usize, usize)>) -> (u32, u32) {
    parts.fold((0, 0), |sum, part| (sum.0 + part.0 as u32, sum.1 + part.1 as u32))
}
