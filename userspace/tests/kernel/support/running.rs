//! Programs that are none of ours.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::within;

/// A command; killed when dropped.
pub struct Running(Child);

impl Running {
    pub fn start(command: &str, arguments: &[&str]) -> Self {
        super::reads_by_the_tool();
        let mut command = Command::new(command);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Has it stop, and waits until all its threads stand still.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.0), Signal::STOP).unwrap();
        within(Duration::from_secs(10), "it to stand still", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
            let stats = tasks.map(|task| fs::read_to_string(task.path().join("stat")).unwrap());
            stats.into_iter().all(|stat| stat.rsplit(") ").next().unwrap().starts_with('T'))
        });
    }

    /// Has it go on.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
