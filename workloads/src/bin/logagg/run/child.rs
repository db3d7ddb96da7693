//! One process of a run: started with the descriptors it needs, read while it works, ended if it does not end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::{Refusal, cannot, stopping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A started process.
#[derive(Debug)]
pub struct Worker {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    ready: File,
    /// The end whose byte says go, and whose closing says stop.
    control: Option<File>,
    stdout: Option<BufReader<ChildStdout>>,
    reader: Option<JoinHandle<io::Result<String>>>,
    ended: Option<ExitStatus>,
}

/// Flag that passes the control descriptor on the command line.
#[derive(Clone, Copy, Debug)]
pub enum ControlFlag {
    /// A byte on it is the go.
    Go,
    /// Its closing is the end.
    Stop,
}

impl Worker {
    /// Starts this very program with other arguments; `inherit` is an end of a link to pass on.
    pub fn start(
        name: String,
        arguments: Vec<String>,
        flag: ControlFlag,
        inherit: Option<BorrowedFd>,
    ) -> Result<Self, Refusal> {
        let refused = |error: io::Error| cannot(format_args!("start {name}"), error, "look at `ulimit -a`");
        let (ready, child_ready) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| refused(error.into()))?;
        let (child_control, control) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| refused(error.into()))?;
        let program = std::env::current_exe().map_err(refused)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        command.arg("--ready-fd").arg(child_ready.as_raw_fd().to_string());
        command.arg(match flag {
            ControlFlag::Go => "--go-fd",
            ControlFlag::Stop => "--stop-fd",
        });
        command.arg(child_control.as_raw_fd().to_string());
        let passed: Vec<BorrowedFd> =
            [child_ready.as_fd(), child_control.as_fd()].into_iter().chain(inherit).collect();
        let mut child = spawn_with(&mut command, &passed).map_err(refused)?;
        let pidfd = Pid::from_raw(child.id().cast_signed())
            .ok_or(io::ErrorKind::NotFound.into())
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?))
            .map_err(refused)?;
        let stdout = child.stdout.take().map(BufReader::new);
        let (ready, control) = (File::from(ready), Some(File::from(control)));
        Ok(Self { name, child, pidfd, ready, control, stdout, reader: None, ended: None })
    }

    /// Process id of the worker.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Reads one line of its output, which must come before `deadline`.
    pub fn first_line(&mut self, deadline: Instant) -> Result<String, Refusal> {
        let mut line = String::new();
        if let Some(stdout) = self.stdout.as_mut()
            && readable(stdout.get_ref().as_fd(), deadline)
        {
            // Nothing read means that it has ended, which the caller hears below.
            let _ = stdout.read_line(&mut line);
        }
        if line.is_empty() { Err(self.not_set_up()) } else { Ok(line) }
    }

    /// Waits for its `ready`; from then on its output is read aside, so that it never waits for us.
    pub fn wait_ready(&mut self, deadline: Instant) -> Result<(), Refusal> {
        let said =
            readable(self.ready.as_fd(), deadline) && self.ready.read(&mut [0; 8]).is_ok_and(|n| n > 0);
        if !said {
            return Err(self.not_set_up());
        }
        if let Some(mut stdout) = self.stdout.take() {
            self.reader = Some(thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text)?;
                Ok(text)
            }));
        }
        Ok(())
    }

    /// Sends the go.
    pub fn go(&mut self) -> io::Result<()> {
        self.control.as_mut().map_or(Ok(()), |control| control.write_all(b"g"))
    }

    /// Says that nothing more will be sent.
    pub fn close_control(&mut self) {
        self.control = None;
    }

    /// Asks it to stop early and to report.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Reports whether it has ended, without waiting.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }

    /// Waits for its end, kills it at the deadline; answers its status and what it printed.
    pub fn finish(&mut self, deadline: Instant) -> io::Result<(ExitStatus, String)> {
        if !self.has_ended() && !readable_whatever(self.pidfd(), deadline) {
            self.signal(Signal::KILL);
        }
        let status = match self.ended {
            Some(status) => status,
            None => self.child.wait()?,
        };
        self.ended = Some(status);
        let text = match self.reader.take().map(JoinHandle::join) {
            Some(Ok(text)) => text?,
            _ => String::new(),
        };
        Ok((status, text))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
            && self.ended.is_none()
        {
            // Ended meanwhile, but not yet waited for: the signal goes nowhere.
            let _ = kill_process(pid, signal);
        }
    }

    fn not_set_up(&mut self) -> Refusal {
        let cause = if self.has_ended()
            || readable_whatever(self.pidfd(), Instant::now() + Duration::from_millis(200))
        {
            "it has ended"
        } else {
            "it does not get ready"
        };
        cannot(format_args!("set up {}", self.name), cause, "read what it says above")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
            // It was just killed: the wait is short, and its result of no use.
            let _ = self.child.wait();
        }
    }
}

/// Spawns with some descriptors open in the child. This process starts no thread before its last worker, so no other
/// child can inherit them in between.
fn spawn_with(command: &mut Command, passed: &[BorrowedFd]) -> io::Result<Child> {
    for fd in passed {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    let child = command.spawn();
    for fd in passed {
        fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    }
    child
}

/// Waits until something can be read (or the other side closed); false at the deadline or on a stop.
fn readable(fd: BorrowedFd, deadline: Instant) -> bool {
    wait_for(fd, deadline, stopping)
}

/// The same, but a stop does not end it.
fn readable_whatever(fd: BorrowedFd, deadline: Instant) -> bool {
    wait_for(fd, deadline, || false)
}

fn wait_for(fd: BorrowedFd, deadline: Instant, give_up: impl Fn() -> bool) -> bool {
    while !give_up() {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            // A stop signal; the condition tells.
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    false
}
