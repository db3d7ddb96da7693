//! A bundled program of a round: it says when it is set up, waits for the go, and tells its truth at the end.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{FdFlags, fcntl_setfd},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, kill_process},
};

use super::said::Said;

/// Time a program has to get ready.
const SET_UP: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// A program that has been started. It is killed when dropped before its end.
#[derive(Debug)]
pub struct Workload {
    child: Child,
    go: Option<OwnedFd>,
    output: Said,
    errors: Said,
    ended: Option<ExitStatus>,
}

impl Workload {
    /// Starts a program and waits until it is set up.
    pub fn start(command: &[OsString]) -> Result<Self, String> {
        Self::spawn(command).map_err(|error| error.to_string()).and_then(Self::wait_ready)
    }

    fn spawn(command: &[OsString]) -> io::Result<(Self, OwnedFd)> {
        let (ready, says_ready) = pipe_with(PipeFlags::CLOEXEC)?;
        let (waits, go) = pipe_with(PipeFlags::CLOEXEC)?;
        let (output, errors) = (Said::create()?, Said::create()?);
        let program = command.first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut started = Command::new(program);
        started.args(&command[1..]);
        started.arg("--ready-fd").arg(says_ready.as_raw_fd().to_string());
        started.arg("--go-fd").arg(waits.as_raw_fd().to_string());
        started.stdin(Stdio::null()).stdout(output.stdio()?).stderr(errors.stdio()?);
        // Only these two are for the program; no other process is started meanwhile.
        for theirs in [&says_ready, &waits] {
            fcntl_setfd(theirs, FdFlags::empty())?;
        }
        let child = started.spawn()?;
        Ok((Self { child, go: Some(go), output, errors, ended: None }, ready))
    }

    fn wait_ready((mut workload, ready): (Self, OwnedFd)) -> Result<Self, String> {
        let mut polled = [PollFd::new(&ready, PollFlags::IN)];
        let waited = loop {
            match poll(&mut polled, Some(&SET_UP)) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.map_err(|errno| errno.to_string())?,
            }
        };
        if waited == 0 {
            return Err("it did not get ready within a minute".to_owned());
        }
        let mut said = [0; 6];
        match File::from(ready).read_exact(&mut said) {
            Ok(()) if &said == b"ready\n" => Ok(workload),
            _ => {
                let status = workload.child.wait().map_err(|error| error.to_string())?;
                workload.ended = Some(status);
                Err(format!("it ended before it was ready, with {status}{}", workload.errors.complaint()))
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it begin.
    pub fn go(&mut self) -> Result<(), String> {
        let go = self.go.take().ok_or("it was told to go already")?;
        File::from(go).write_all(b"\n").map_err(|error| format!("it does not hear the go ({error})"))
    }

    /// Asks it to end.
    pub fn stop(&self) {
        // Ended meanwhile: it needs none.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Waits for its end; how it ended, and what it printed.
    pub fn finish(&mut self) -> Result<(ExitStatus, String), String> {
        let said = |error: io::Error| error.to_string();
        let status = self.child.wait().map_err(said)?;
        self.ended = Some(status);
        Ok((status, self.output.text().map_err(said)?))
    }

    /// Last lines of its error output, as part of a sentence.
    pub fn complaint(&mut self) -> String {
        self.errors.complaint()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Its children end with it; both calls can only fail if it has gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
