//! Programs of ours that do all that they are for when they get SIGUSR1, are named "done" then, and wait.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use super::{Running, blocked_in, compiled, in_call, within};

/// Such a program; killed when dropped.
pub struct Staged(Running);

impl Staged {
    /// Starts one, made of a source in a directory, and waits until it waits.
    pub fn start(directory: &Path, source: &str, arguments: &[&str]) -> Self {
        let program = compiled(directory, "cc", source, &["-O1", "-pthread"]).unwrap();
        let running = Running::start(program.to_str().unwrap(), arguments);
        blocked_in(running.pid(), libc::SYS_rt_sigtimedwait, 1);
        Self(running)
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Has it do all that it is for.
    pub fn go(&self) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), Signal::USR1).unwrap();
        within(Duration::from_secs(60), "what it is for", || {
            fs::read_to_string(format!("/proc/{}/comm", self.pid())).unwrap().trim() == "done"
        });
        within(Duration::from_secs(10), "its first thread to wait", || {
            in_call(self.pid(), self.pid()).is_some_and(|nr| i64::from(nr) == libc::SYS_rt_sigtimedwait)
        });
    }
}
