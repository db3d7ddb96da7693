//! Resolves the requested ids and names to pinned processes.

use std::fs;

use super::{Pinned, TargetError, procfs};

/// Request of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids of requested processes.
    pub pids: Vec<u32>,
    /// Ids of single requested threads.
    pub tids: Vec<u32>,
    /// Names of requested processes; each process with one of them is a target.
    pub comms: Vec<String>,
}

/// The inode of the initial PID namespace, the same on every kernel.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Finds and pins all requested processes, each once.
///
/// # Errors
/// When a target does not exist or cannot be traced.
pub fn resolve(selection: &Selection) -> Result<Vec<Pinned>, TargetError> {
    in_initial_namespace()?;
    let mut targets: Vec<Pinned> = Vec::new();
    let mut pids = selection.pids.clone();
    for name in &selection.comms {
        pids.extend(named(name)?);
    }
    pids.sort_unstable();
    pids.dedup();
    for pid in pids {
        targets.push(Pinned::process(pid)?);
    }
    for tid in &selection.tids {
        let thread = Pinned::thread(*tid)?;
        let known = |target: &Pinned| {
            target.pid == thread.pid && (target.only_thread.is_none() || target.only_thread == Some(*tid))
        };
        if !targets.iter().any(known) {
            targets.push(thread);
        }
    }
    Ok(targets)
}

/// Refuses to work where process ids are not the kernel's own.
///
/// # Errors
/// In any PID namespace but the initial one.
pub fn in_initial_namespace() -> Result<(), TargetError> {
    match fs::read_link("/proc/self/ns/pid") {
        Ok(link) if link.as_os_str() != INITIAL_PID_NAMESPACE => Err(TargetError::Namespace),
        _ => Ok(()),
    }
}

fn named(name: &str) -> Result<Vec<u32>, TargetError> {
    let me = std::process::id();
    let matches = |pid: &u32| {
        *pid != me
            && procfs::comm(*pid)
                .is_some_and(|comm| comm.split(|byte| *byte == 0).next() == Some(name.as_bytes()))
            && procfs::stat(*pid).is_some_and(|stat| !stat.is_kernel_thread() && !stat.is_dead())
    };
    let pids: Vec<u32> = procfs::processes()?.into_iter().filter(matches).collect();
    if pids.is_empty() { Err(TargetError::NoName(name.to_owned())) } else { Ok(pids) }
}
