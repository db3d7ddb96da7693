//! bpftrace, counting every call of the same processes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::window::{Counts, signal, wait};
use crate::process::command;

/// Calls by process and number: those that returned, and those that end with their thread. Forked children are followed.
const SCRIPT: &str = "
tracepoint:sched:sched_process_fork /@watched[pid]/ { @watched[args->child_pid] = 1; }
tracepoint:raw_syscalls:sys_enter /@watched[pid]/ { @number[tid] = args->id + 1; }
tracepoint:raw_syscalls:sys_exit /@number[tid]/ { @calls[pid, @number[tid] - 1] = count(); delete(@number[tid]); }
tracepoint:sched:sched_process_exit /@number[tid]/ { @calls[pid, @number[tid] - 1] = count(); delete(@number[tid]); }
END { clear(@watched); clear(@number); }
";

/// A running bpftrace; ended when dropped.
pub struct Oracle {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts it on processes that stand still, and waits until it counts.
    pub fn start(script: &Path, pids: &[u32]) -> Result<Self> {
        let watched: String = pids.iter().map(|pid| format!(" @watched[{pid}] = 1;")).collect();
        fs::write(script, format!("BEGIN {{{watched} }}{SCRIPT}"))?;
        let mounted =
            "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"";
        let mut bpftrace = command("unshare");
        bpftrace.args(["-m", "sh", "-c", mounted, "sh", "bpftrace", "-f", "json"]).arg(script);
        bpftrace.env("BPFTRACE_MAP_KEYS_MAX", "65536");
        bpftrace.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = bpftrace.spawn().context("cannot run bpftrace")?;
        let output = child.stdout.take().context("standard output is not piped")?;
        let mut oracle = Self { child, output: BufReader::new(output) };
        let mut line = String::new();
        while !line.contains("attached_probes") {
            line.clear();
            if oracle.output.read_line(&mut line)? == 0 {
                bail!("cannot count by bpftrace: it did not start");
            }
        }
        // It says so before it attaches them, and then waits for what they have to say.
        let call = format!("/proc/{}/syscall", oracle.child.id());
        wait("bpftrace to attach its probes", || {
            let text = fs::read_to_string(&call).unwrap_or_default();
            matches!(text.split_whitespace().next(), Some("232" | "281"))
        })?;
        Ok(oracle)
    }

    /// Ends it: what it has counted.
    pub fn finish(mut self) -> Result<Counts> {
        signal("INT", &[self.child.id()])?;
        let mut counts = Counts::new();
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            for (key, count) in said["data"]["@calls"].as_object().into_iter().flatten() {
                let (pid, nr) = key.split_once(',').context("bpftrace's key has no two parts")?;
                let count = count.as_u64().context("bpftrace's count is no number")?;
                counts.insert((pid.trim().parse()?, nr.trim().parse()?), count);
            }
            line.clear();
        }
        Ok(counts)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
