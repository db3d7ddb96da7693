//! Files of others are read by a process without any rights: the tool, started once more, which gives up all that it may do
//! and then answers over a socket. What it needs, this side opens for it. If it dies or takes too long, names are missing
//! and nothing else.

mod answers;
mod confine;
mod names;
mod one_file;
mod process;

use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::AsFd as _,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use binary::{
    channel::Channel,
    service::{Reply, Request, serve as obey},
};

use self::{
    answers::Answers,
    confine::confine,
    process::{CPU_TIME, Failure, Process},
};
pub use self::{
    confine::Confined,
    names::Names,
    one_file::{build_id, offer, plan},
    process::use_program,
};
use crate::target;

/// First argument of that process.
pub const SANDBOX: &str = "__sandbox";

/// Processes that are started at most to read what stacks lead through.
const MOST_FAILURES: u32 = 8;
/// Numbers of modules for each of them.
const MODULES: u32 = 1 << 24;

/// The confined process that follows stacks and names them.
#[derive(Default)]
struct Sandbox {
    process: Option<Process>,
    answers: Answers,
    failures: u32,
    /// Files that have failed in a process of their own.
    failed_files: u32,
    /// Cause of the last failure to start one.
    cause: String,
    /// CPU time of those that have ended, ns.
    spent_ns: u64,
    notes: Vec<String>,
}

/// The one of this process.
fn shared() -> MutexGuard<'static, Sandbox> {
    static SHARED: OnceLock<Mutex<Sandbox>> = OnceLock::new();
    SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the process beside other work, so that it is there when it is needed.
pub fn start_ahead() {
    // Without a thread it is started when it is needed.
    let _ = thread::Builder::new().spawn(|| shared().start());
}

/// Starts the process; its id, or 0 where there is none.
pub fn start() -> u32 {
    shared().start();
    pid()
}

/// Id of the process; 0 where there is none.
#[must_use]
pub fn pid() -> u32 {
    shared().process.as_ref().map_or(0, Process::pid)
}

/// Walls around it.
///
/// # Errors
/// When it cannot be started.
pub fn confined() -> Result<Confined, String> {
    let mut sandbox = shared();
    sandbox.start();
    sandbox.process.as_ref().map(|process| process.confined).ok_or_else(|| sandbox.cause.clone())
}

/// CPU time of all such processes so far, ns.
#[must_use]
pub fn cpu_ns() -> u64 {
    let sandbox = shared();
    sandbox.spent_ns + sandbox.process.as_ref().map_or(0, Process::cpu_ns)
}

/// Resident memory of the one that follows stacks, bytes.
#[must_use]
pub fn bytes() -> u64 {
    shared().process.as_ref().map_or(0, |process| target::resident_bytes(process.pid()))
}

/// Sentences about files that could not be read since the last call.
#[must_use]
pub fn take_notes() -> Vec<String> {
    std::mem::take(&mut shared().notes)
}

impl Sandbox {
    fn start(&mut self) {
        if self.process.is_some() || self.failures == MOST_FAILURES {
            return;
        }
        match Process::start(self.modules().start) {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                self.failures += 1;
                self.cause = error.to_string();
                let note = format!(
                    "cannot read files of targets: no process could be started for it ({error}); functions have no names"
                );
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }

    /// Numbers of the modules of the process that runs or is started next.
    fn modules(&self) -> Range<u32> {
        self.failures * MODULES..(self.failures + 1) * MODULES
    }

    /// True once no process reads any more.
    fn is_lost(&self) -> bool {
        self.process.is_none() && self.failures == MOST_FAILURES
    }

    /// Says something that nothing is replied to.
    fn tell(&mut self, request: Request) {
        if self.process.as_ref().is_some_and(|process| !process.tell(request)) {
            self.bury(&Failure::Ended);
        }
    }

    /// Asks, and answers what is asked meanwhile; `None` where that has failed: a note says so.
    fn ask(&mut self, request: Request, files: &[File]) -> Option<Reply> {
        self.start();
        match self.process.as_mut()?.ask(request, files, &mut self.answers, CPU_TIME) {
            Ok(reply) => Some(reply),
            Err(Failure::Unsent(_)) => None,
            Err(failure) => {
                self.bury(&failure);
                None
            }
        }
    }

    /// Ends the process, and has the file that it was at left alone from now on.
    fn bury(&mut self, failure: &Failure) {
        let Some(mut process) = self.process.take() else { return };
        self.failures += 1;
        self.spent_ns += process.cpu_ns();
        self.answers.start_anew();
        let reading = process.reading.take();
        let how = process.end(failure);
        let again = if self.failures < MOST_FAILURES { "" } else { ", and no more files are read" };
        let name = reading.as_ref().map_or("a file of a target", |reading| &reading.name);
        self.notes.push(format!("cannot read {name}: {how}; its functions have no names{again}"));
        if let Some(reading) = reading {
            self.answers.leave_alone(&reading);
        }
    }
}

/// That process: gives up its rights, then obeys until the tool ends.
#[must_use]
pub fn serve(first_module: Option<&str>) -> u8 {
    close_inherited();
    let _ = rustix::thread::set_name(c"pulse-reader");
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let channel = Channel::over(socket);
    let confined = confine();
    if channel.send(&confined, &[]).is_err() {
        return 1;
    }
    let first_module = first_module.and_then(|number| number.parse().ok()).unwrap_or_default();
    u8::from(obey(channel, first_module).is_err())
}

/// Descriptors that the tool has, or was given, are none of its business.
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process has opened a descriptor yet but the three that stay.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
    }
}
