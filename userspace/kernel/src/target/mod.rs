//! Who is to be traced: finds processes, pins them so that a reused id is never mistaken for them, and starts commands
//! held before their first instruction.

mod candidates;
mod doing;
mod held;
mod pinned;
mod places;
mod procfs;
mod select;
mod user;

use std::io;

pub use candidates::{Candidate, candidates};
pub use doing::{Doing, doing};
pub use held::{HOLD, Held, hold_and_exec};
pub use pinned::Pinned;
pub use places::Places;
pub use procfs::{
    comm, descendants, family, lives_on, living, maps, parents, processes, processes_of_users,
    resident_bytes, stat, status_field, text, thread_stat, threads,
};
pub use select::{Selection, in_initial_namespace, resolve};

/// Why a target cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Nobody has this process id.
    #[error("cannot trace process {pid}: there is no such process{hint}")]
    NoProcess {
        /// The id.
        pid: u32,
        /// Where to look instead, if that is known.
        hint: String,
    },
    /// Nobody has this thread id.
    #[error(
        "cannot trace thread {0}: there is no such thread; list a process's threads with `ls /proc/PID/task`"
    )]
    NoThread(u32),
    /// Nobody has this name.
    #[error(
        "cannot trace processes named {0:?}: there are none; names are those of /proc/PID/comm, at most 15 characters"
    )]
    NoName(String),
    /// A kernel thread makes no system calls.
    #[error(
        "cannot trace process {0}: it is a kernel thread and makes no system calls; choose a user process"
    )]
    KernelThread(u32),
    /// The tool itself.
    #[error("cannot trace process {0}: that is pulse-trace itself; choose another process")]
    Myself(u32),
    /// It died while it was looked at.
    #[error(
        "cannot trace process {0}: it exited a moment ago; start it with `pulse-trace run -- CMD` to be in time"
    )]
    Gone(u32),
    /// Ids mean something else in here.
    #[error(
        "cannot trace from inside a PID namespace: process ids seen here are not the kernel's; \
         run pulse-trace on the host, or in a container that shares the host's PID namespace"
    )]
    Namespace,
    /// The command cannot be started.
    #[error("cannot run {command:?}: {cause}; {remedy}")]
    Command {
        /// What was to be run.
        command: String,
        /// Why not.
        cause: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The kernel's process table cannot be read.
    #[error("cannot read {path}: {cause}; mount a proc filesystem that shows other users' processes")]
    Procfs {
        /// Which file.
        path: String,
        /// Why not.
        cause: io::Error,
    },
}
