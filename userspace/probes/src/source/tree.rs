//! Taking in the processes that targets have forked before the session began. From the moment on at which a target
//! has its row, the kernel side follows what any of its descendants forks, and opens rows for the children of one
//! that ends: so what is to be found here are processes that were there before that moment, and none of them leaves
//! the tree unseen.

use std::collections::HashSet;

use kernel::{
    Kernel, LoadError, Setup, descriptors, sandbox,
    target::{self, Pinned},
};
use pulse_trace_common::target::row_flag;

use super::{
    live::Target,
    seating::{Meter, Onlooker, seat},
};

/// Outcome of attaching to all targets.
#[derive(Default)]
pub struct Taken {
    /// Time at which each target joined, then each of [`Self::found`].
    pub joined_ns: Vec<u64>,
    /// Threads that found no room.
    pub refused: u64,
    /// Processes that targets have forked, where they are wanted.
    found: Vec<Pinned>,
}

/// Seats the threads of all targets, and of the processes that are to be traced with them.
pub fn take_in(
    kernel: &mut Kernel,
    setup: &Setup,
    targets: &[Target<'_>],
    onlooker: &mut Onlooker<'_>,
) -> Result<Taken, LoadError> {
    let threads = targets.iter().map(|target| target.pinned.threads().len()).sum();
    let mut meter = Meter::begin(onlooker, "attaching", threads);
    let mut taken = Taken::default();
    for target in targets {
        let seated = seat(kernel, target, 0, &mut meter);
        taken.joined_ns.push(seated.joined_ns);
        taken.refused += seated.refused;
        if !seated.alive {
            kernel.abandon_process(target.pinned.pid);
        }
    }
    if !meter.goes_on() {
        return Err(LoadError::Stopped);
    }
    let have_trees = targets.iter().any(|target| !target.held && target.pinned.only_thread.is_none());
    if setup.everybody {
        taken.take_everybody(kernel, onlooker)?;
    } else if setup.follow_children && have_trees {
        taken.take_tree(kernel, targets, setup.probes.has("counters"), onlooker)?;
    }
    Ok(taken)
}

/// Passes over all processes at most: those that are found by none have their seats from their first call on.
const PASSES: usize = 3;

impl Taken {
    /// The targets, and those that were found with them.
    pub fn all<'a>(&'a self, targets: &[Target<'a>]) -> Vec<Target<'a>> {
        let found = self.found.iter().map(|pinned| Target { pinned, held: false });
        targets.iter().copied().chain(found).collect()
    }

    /// Seats the threads of all processes that descend from those that have rows, until a pass finds no new one.
    fn take_tree(
        &mut self,
        kernel: &mut Kernel,
        roots: &[Target<'_>],
        keep: bool,
        onlooker: &mut Onlooker<'_>,
    ) -> Result<(), LoadError> {
        descriptors::raise_limit();
        let mut visited: HashSet<u32> = roots.iter().map(|root| root.pinned.pid).collect();
        let mut meter = Meter::begin(onlooker, "attaching to children", 0);
        loop {
            let all = members(kernel);
            if self.seat(kernel, all, &mut visited, keep, &mut meter)? == 0 {
                return Ok(());
            }
        }
    }

    /// Seats the threads of every process but the tool's.
    fn take_everybody(&mut self, kernel: &mut Kernel, onlooker: &mut Onlooker<'_>) -> Result<(), LoadError> {
        let (own, mut visited) = ([std::process::id(), sandbox::pid()], HashSet::new());
        let mut meter = Meter::begin(onlooker, "attaching to all processes", 0);
        for _ in 0..PASSES {
            let all: Vec<(u32, u32)> =
                target::parents().into_iter().filter(|(pid, _)| !own.contains(pid)).collect();
            if self.seat(kernel, all, &mut visited, false, &mut meter)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Seats the threads of processes, and tells how many have a seat from this on.
    fn seat(
        &mut self,
        kernel: &mut Kernel,
        processes: Vec<(u32, u32)>,
        visited: &mut HashSet<u32>,
        keep: bool,
        meter: &mut Meter<'_, '_>,
    ) -> Result<u64, LoadError> {
        let mut seated = 0;
        for (pid, parent) in processes {
            if target::living(pid).is_none() {
                // A parent that ended before it was waited for left it to the kernel side.
                kernel.abandon_process(pid);
                continue;
            }
            let Ok(pinned) = Pinned::process(pid) else { continue };
            let taken = seat(kernel, &Target { pinned: &pinned, held: false }, parent, meter);
            seated += taken.seated;
            self.refused += taken.refused;
            if !taken.alive {
                kernel.abandon_process(pid);
            } else if visited.insert(pid) && keep {
                self.joined_ns.push(taken.joined_ns);
                self.found.push(pinned);
            }
            if !meter.goes_on() {
                return Err(LoadError::Stopped);
            }
        }
        Ok(seated)
    }
}

/// Processes that have rows or descend from one that has, and live, each with its parent; the tool itself is none.
fn members(kernel: &Kernel) -> Vec<(u32, u32)> {
    let of_processes = kernel.process_rows().map(|(_, row)| row).filter(|row| row.exited_ns == 0);
    let whole = of_processes.filter(|row| row.flags & row_flag::ALONE == 0);
    let mut known: Vec<(u32, u32)> = whole.map(|row| (row.tgid, row.parent)).collect();
    let roots: Vec<u32> = known.iter().map(|(pid, _)| *pid).collect();
    known.extend(target::descendants(&roots));
    known
}
