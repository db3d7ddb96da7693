//! A pinned process: ids are reused, descriptors and start times are not.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use pulse_trace_common::target::COMM_LEN;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{TargetError, procfs};

/// A process, or one thread of it, that is to be traced.
#[derive(Debug)]
pub struct Pinned {
    /// Process id, also of the process that a requested thread belongs to.
    pub pid: u32,
    /// The one thread that was requested; all of them if `None`.
    pub only_thread: Option<u32>,
    /// Name of the process.
    pub comm: [u8; COMM_LEN],
    started: u64,
    descriptor: OwnedFd,
}

impl Pinned {
    /// Pins a process.
    ///
    /// # Errors
    /// When there is none, or it is none that can be traced.
    pub fn process(pid: u32) -> Result<Self, TargetError> {
        if pid == std::process::id() {
            return Err(TargetError::Myself(pid));
        }
        let missing = || TargetError::NoProcess { pid, hint: container_hint(pid) };
        let before = procfs::living(pid).ok_or_else(missing)?;
        if before.is_kernel_thread() {
            return Err(TargetError::KernelThread(pid));
        }
        if procfs::tgid(pid) != Some(pid) {
            return Err(missing());
        }
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(missing)?;
        let descriptor = pidfd_open(id, PidfdFlags::empty()).map_err(|_| TargetError::Gone(pid))?;
        let pinned = Self {
            pid,
            only_thread: None,
            comm: procfs::comm(pid).ok_or(TargetError::Gone(pid))?,
            started: before.started,
            descriptor,
        };
        // The descriptor belongs to the process that had the id at that moment; check that it is still the first one.
        if pinned.is_alive() { Ok(pinned) } else { Err(TargetError::Gone(pid)) }
    }

    /// Pins the process of a thread, to trace only that thread.
    ///
    /// # Errors
    /// As for [`Pinned::process`].
    pub fn thread(tid: u32) -> Result<Self, TargetError> {
        let pid = procfs::tgid(tid).ok_or(TargetError::NoThread(tid))?;
        let mut pinned = Self::process(pid)?;
        pinned.only_thread = Some(tid);
        Ok(pinned)
    }

    /// True while the pinned process is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        procfs::living(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// The present threads of the process that are to be traced.
    #[must_use]
    pub fn threads(&self) -> Vec<u32> {
        let mut threads = procfs::threads(self.pid);
        // A first thread that has ended is listed as long as other threads live.
        if procfs::lives_on(self.pid) {
            threads.retain(|tid| *tid != self.pid);
        }
        if let Some(only) = self.only_thread {
            threads.retain(|tid| *tid == only);
        }
        threads
    }

    /// True if the thread is alive and belongs to the process.
    #[must_use]
    pub fn has_thread(&self, tid: u32) -> bool {
        procfs::has_thread(self.pid, tid)
    }

    /// Name of one of its threads.
    #[must_use]
    pub fn thread_comm(&self, tid: u32) -> [u8; COMM_LEN] {
        procfs::comm(tid).unwrap_or(self.comm)
    }

    /// The descriptor that becomes readable when the process ends.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Advice for an id that a process has inside a container.
fn container_hint(pid: u32) -> String {
    if procfs::tgid(pid).is_some_and(|tgid| tgid != pid) {
        return format!("; {pid} is a thread, trace it alone with -t {pid}");
    }
    let inside = |candidate: &u32| {
        let ids = procfs::status_field(*candidate, "NSpid:").unwrap_or_default();
        ids.split_ascii_whitespace().skip(1).any(|id| id.parse() == Ok(pid))
    };
    match procfs::processes().unwrap_or_default().iter().find(|candidate| inside(candidate)) {
        Some(host) => {
            format!(" in this PID namespace; {pid} is an id inside a container, here it is -p {host}")
        }
        None => "; list processes with `ps -e`".to_owned(),
    }
}
