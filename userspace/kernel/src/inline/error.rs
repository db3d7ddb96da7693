//! Reasons why counters cannot be put into a process.

use std::{borrow::Cow, io};

/// Beginning of the reason where there is no C library, or none yet.
pub(super) const LACKS_LIBRARY: &str = "it has no C library mapped";

/// Error of putting counters into a process, or of removing them.
#[derive(Debug, thiserror::Error)]
pub enum InlineError {
    /// The process must not or cannot be changed.
    #[error("cannot count inside of process {pid}: {reason}; {remedy}")]
    Refused {
        /// Id of the process.
        pid: u32,
        /// Reason for the refusal.
        reason: String,
        /// Advice for the user.
        remedy: Cow<'static, str>,
    },
    /// Another running instance of the tool counts inside of the process.
    #[error(
        "cannot count inside of process {pid}: pulse-trace (process {owner}) counts inside of it already; wait until that has ended"
    )]
    Owned {
        /// Id of the process.
        pid: u32,
        /// Process id of that instance, as it knows itself.
        owner: u32,
    },
    /// This user lacks the permission.
    #[error(
        "cannot count inside of process {pid}: it can be neither read nor stopped ({cause}); that needs CAP_SYS_PTRACE, or the same user \
         with kernel.yama.ptrace_scope=0"
    )]
    Permission {
        /// Id of the process.
        pid: u32,
        /// Error of the system call.
        cause: io::Error,
    },
    /// A step failed.
    #[error("cannot count inside of process {pid}: {step} failed: {cause}; it goes on as it was")]
    Step {
        /// Id of the process.
        pid: u32,
        /// Name of the step.
        step: Cow<'static, str>,
        /// Error of the system call.
        cause: io::Error,
    },
    /// The process ended meanwhile.
    #[error("cannot count inside of process {0}: it ended meanwhile; attach to a process that lives on")]
    Gone(u32),
}

impl InlineError {
    /// True if a privilege would help.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Permission { .. })
    }

    /// True where the process has no C library, or has not mapped it yet.
    #[must_use]
    pub fn lacks_library(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason.starts_with(LACKS_LIBRARY))
    }

    /// The reason without the process id: one reason may hold for many processes.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            Self::Owned { owner, .. } => format!("pulse-trace (process {owner}) counts inside of it already"),
            Self::Permission { cause, .. } => format!("it can be neither read nor stopped ({cause})"),
            Self::Step { step, cause, .. } => format!("{step} failed: {cause}"),
            Self::Gone(_) => "it had ended".to_owned(),
        }
    }

    pub(super) fn refused(pid: u32, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self::Refused { pid, reason: reason.into(), remedy: remedy.into() }
    }

    /// Error of reading or opening something of the process.
    pub(super) fn unreadable(pid: u32) -> impl Fn(io::Error) -> Self {
        move |cause| match cause.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission { pid, cause },
            _ => Self::step(pid, "reading it")(cause),
        }
    }

    /// A step failed, maybe because the process has ended.
    pub(super) fn step(pid: u32, step: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| match cause.kind() {
            io::ErrorKind::NotFound => Self::Gone(pid),
            _ if cause.raw_os_error() == Some(libc::ESRCH) => Self::Gone(pid),
            _ => Self::Step { pid, step: step.into(), cause },
        }
    }
}
