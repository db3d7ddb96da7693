//! Selection of targets: finds processes, pins them so that a reused id is never mistaken for them, and starts commands
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
    resident_bytes, stat, status_field, text, tgid, thread_stat, threads,
};
pub use select::{Selection, in_initial_namespace, resolve};

/// Error of selecting a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No process has this id.
    #[error("cannot trace process {pid}: there is no such process{hint}")]
    NoProcess {
        /// The requested process id.
        pid: u32,
        /// Advice for the user, if there is any.
        hint: String,
    },
    /// No thread has this id.
    #[error(
        "cannot trace thread {0}: there is no such thread; list a process's threads with `ls /proc/PID/task`"
    )]
    NoThread(u32),
    /// No process has this name.
    #[error(
        "cannot trace processes named {0:?}: there are none; names are those of /proc/PID/comm, at most 15 characters"
    )]
    NoName(String),
    /// A kernel thread makes no system calls.
    #[error(
        "cannot trace process {0}: it is a kernel thread and makes no system calls; choose a user process"
    )]
    KernelThread(u32),
    /// The process is the tool itself.
    #[error("cannot trace process {0}: that is pulse-trace itself; choose another process")]
    Myself(u32),
    /// The process ended during the selection.
    #[error(
        "cannot trace process {0}: it exited a moment ago; start it with `pulse-trace run -- CMD` to be in time"
    )]
    Gone(u32),
    /// Process ids in this namespace are not the kernel's own.
    #[error(
        "cannot trace from inside a PID namespace: process ids seen here are not the kernel's; \
         run pulse-trace on the host, or in a container that shares the host's PID namespace"
    )]
    Namespace,
    /// The command cannot be started.
    #[error("cannot run {command:?}: {cause}; {remedy}")]
    Command {
        /// Name of the command.
        command: String,
        /// Reason for the failure.
        cause: String,
        /// Advice for the user.
        remedy: &'static str,
    },
    /// The kernel's process table cannot be read.
    #[error("cannot read {path}: {cause}; mount a proc filesystem that shows other users' processes")]
    Procfs {
        /// Path of the file.
        path: String,
        /// Error of the system call.
        cause: io::Error,
    },
}
