//! bpftrace, running a script that counts the same thing independently.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::workload::{in_call, within};

/// Longer than this it neither takes to start nor to end, also beside busy loops and builds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running bpftrace; killed when dropped.
pub struct Oracle {
    child: Child,
    lines: Receiver<String>,
}

impl Oracle {
    /// Starts a script of ours on a process and waits until it counts.
    pub fn on(script: &str, pid: u32) -> Self {
        Self::start(script, &[pid])
    }

    /// The same with more than a process id to tell it. It needs tracefs, which it gets to itself.
    pub fn start(script: &str, arguments: &[u32]) -> Self {
        let script = format!("{}/../scripts/{script}", env!("CARGO_MANIFEST_DIR"));
        Self::run(Path::new(&script), arguments)
    }

    /// The same with a script that was written on the spot.
    pub fn run(script: &Path, arguments: &[u32]) -> Self {
        let mounted =
            "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", mounted, "sh", "bpftrace", "-f", "json"]).arg(script);
        command.args(arguments.iter().map(u32::to_string)).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut oracle = Self { child, lines };
        while let Some(line) = oracle.next() {
            if line.contains("attached_probes") {
                // It says so before it does it, and then waits for what its probes have to say.
                within(PATIENCE, "bpftrace to have attached its probes", || oracle.waits());
                return oracle;
            }
        }
        panic!("bpftrace did not start");
    }

    /// True if it does nothing but wait for events.
    fn waits(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        const WAITS: [i64; 2] = [libc::SYS_epoll_wait, libc::SYS_epoll_pwait];
        #[cfg(not(target_arch = "x86_64"))]
        const WAITS: [i64; 1] = [libc::SYS_epoll_pwait];
        let pid = self.child.id();
        in_call(pid, pid).is_some_and(|call| WAITS.contains(&i64::from(call)))
    }

    /// The next line; `None` at its end.
    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("bpftrace says nothing for {PATIENCE:?}"),
        }
    }

    /// Ends it: its maps by name.
    pub fn finish(mut self) -> BTreeMap<String, Value> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut maps = BTreeMap::new();
        while let Some(line) = self.next() {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let said = line["data"].as_object().into_iter().flatten();
            maps.extend(said.map(|(name, value)| (name.clone(), value.clone())));
        }
        maps
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
