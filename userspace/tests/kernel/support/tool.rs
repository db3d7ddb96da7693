//! The built binary, from outside.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{assert_consistent_export, hidden, within};

/// Programs that a session attaches.
pub const HOOKS: usize = 16;

/// A running `pulse-trace`; killed when dropped.
pub struct Tool {
    child: Child,
}

impl Tool {
    /// Starts the tool.
    pub fn start<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Self {
        hidden::begin();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap() }
    }

    /// Attaches to a process, and returns once all probes are in place.
    pub fn attach(pid: u32, more: &[&str]) -> Self {
        let mut tool = Self::start(["attach", "-p", &pid.to_string()].iter().chain(more));
        tool.attached();
        tool
    }

    /// Waits until all probes are in place and it listens to signals.
    pub fn attached(&mut self) {
        within(Duration::from_secs(20), "the probes to be attached", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before it had attached: {}", self.said());
            self.objects("link_id").len() == HOOKS && self.listens_to(Signal::HUP)
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ids of the kernel's objects that it holds descriptors of: `link_id`, `prog_id` or `map_id`.
    pub fn objects(&self, kind: &str) -> Vec<u32> {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fdinfo", self.pid())) else { return Vec::new() };
        let texts = descriptors.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.filter_map(|text| field(&text, kind)).collect()
    }

    /// True if it has a handler for a signal by now.
    pub fn listens_to(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.map_or(0, |bits| u64::from_str_radix(bits.trim(), 16).unwrap());
        caught >> (signal.as_raw() - 1) & 1 != 0
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end: status, standard output, standard error.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let err = self.said();
        (self.child.wait().unwrap(), out, err)
    }

    fn said(&mut self) -> String {
        let mut err = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut err);
        }
        err
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field(text: &str, name: &str) -> Option<u32> {
    // A link's descriptor names its program too; only the first of these ids is the descriptor's own.
    let kinds = ["link_id:", "prog_id:", "map_id:"];
    let own = text.lines().find(|line| kinds.iter().any(|kind| line.starts_with(kind)))?;
    own.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok()
}

/// An export that a tool has written.
pub fn export(path: &Path) -> views::export::json::Export {
    let export = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_consistent_export(&export);
    export
}
