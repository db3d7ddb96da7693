//! A process that stays the same one: ids are reused, descriptors and start times are not.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use pulse_trace_common::target::COMM_LEN;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{TargetError, procfs};

/// A process, or one thread of it, that is to be traced.
#[derive(Debug)]
pub struct Pinned {
    /// Process id.
    pub pid: u32,
    /// The one thread that was asked for; all of them if `None`.
    pub only_thread: Option<u32>,
    /// The process's name.
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
        // The descriptor is of whoever had the id at that moment: still the same one as at first?
        if pinned.is_alive() { Ok(pinned) } else { Err(TargetError::Gone(pid)) }
    }

    /// Pins the process of a thread, of which nothing else is to be traced.
    ///
    /// # Errors
    /// As for [`Pinned::process`].
    pub fn thread(tid: u32) -> Result<Self, TargetError> {
        let pid = procfs::tgid(tid).ok_or(TargetError::NoThread(tid))?;
        let mut pinned = Self::process(pid)?;
        pinned.only_thread = Some(tid);
        Ok(pinned)
    }

    /// Whether the process that was pinned still lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        procfs::living(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// The threads to be traced that it has now.
    #[must_use]
    pub fn threads(&self) -> Vec<u32> {
        let mut threads = procfs::threads(self.pid);
        // A first thread that has ended is listed as long as others live.
        if procfs::lives_on(self.pid) {
            threads.retain(|tid| *tid != self.pid);
        }
        if let Some(only) = self.only_thread {
            threads.retain(|tid| *tid == only);
        }
        threads
    }

    /// Whether one of its threads still lives.
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

/// Whether some process has this id inside a container.
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
