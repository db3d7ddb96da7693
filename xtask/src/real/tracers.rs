//! The tool, attached as a user would, and bpftrace, which counts every call of the same processes.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::window::Counts;
use crate::{
    bench::{
        readings::Statistics,
        running::{Bench, OURS, Ready, Running},
    },
    workspace,
};

/// Calls by process and number: those that returned, and those that end with their thread, of forked children too.
const SCRIPT: &str = "
tracepoint:sched:sched_process_fork /@watched[pid]/ { @watched[args->child_pid] = 1; }
tracepoint:raw_syscalls:sys_enter /@watched[pid]/ { @number[tid] = args->id + 1; }
tracepoint:raw_syscalls:sys_exit /@number[tid]/ { @calls[pid, @number[tid] - 1] = count(); delete(@number[tid]); }
tracepoint:sched:sched_process_exit /@number[tid]/ { @calls[pid, @number[tid] - 1] = count(); delete(@number[tid]); }
END { clear(@watched); clear(@number); }
";

/// Both of them; killed when dropped.
pub struct Tracers {
    ours: Running,
    theirs: Running,
}

/// Results of both tracers.
pub struct Traced {
    /// The tool's session as JSON.
    pub session: Value,
    /// The tool's report.
    pub report: String,
    /// Counts of bpftrace.
    pub theirs: Counts,
}

impl Tracers {
    /// Starts both on processes that stand still, and waits until they count.
    pub fn start(dir: &Path, pids: &[u32]) -> Result<Self> {
        let (ours, theirs) = (dir.join("ours"), dir.join("theirs"));
        for own in [&ours, &theirs] {
            fs::create_dir_all(own)?;
        }
        let (tool, statistics) = (workspace::target()?.join("debug/pulse-trace"), Statistics::take()?);
        let theirs = Bench { tool: &tool, dir: &theirs, statistics: &statistics };
        let ours = Bench { dir: &ours, ..theirs };

        let script = theirs.dir.join("calls.bt").display().to_string();
        let watched: String = pids.iter().map(|pid| format!(" @watched[{pid}] = 1;")).collect();
        fs::write(&script, format!("BEGIN {{{watched} }}{SCRIPT}"))?;
        let words = ["env", "BPFTRACE_MAP_KEYS_MAX=65536", "bpftrace", "-f", "json", &script];
        let theirs = theirs.start(&words.map(str::to_owned), Ready::Waits("attached_probes"))?;

        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let (pids, json) = (pids.join(","), ours.json().display().to_string());
        let words = [OURS, "attach", "--plain", "--children", "--top", "3", "-p", &pids, "--json", &json];
        Ok(Self { ours: ours.start(&words.map(str::to_owned), Ready::Listens)?, theirs })
    }

    /// Ends both tracers and reads their results.
    pub fn finish(self) -> Result<Traced> {
        let ours = self.ours.stop()?;
        let session = serde_json::from_str(&ours.json)
            .with_context(|| format!("cannot read the session: {}", ours.text.trim()))?;
        let theirs = counts(&self.theirs.stop()?.text)?;
        Ok(Traced { session, report: ours.text, theirs })
    }
}

/// The counts among the lines that bpftrace writes.
fn counts(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let said: Value = serde_json::from_str(line).unwrap_or_default();
        for (key, count) in said["data"]["@calls"].as_object().into_iter().flatten() {
            let (pid, nr) = key.split_once(',').context("bpftrace's key has no two parts")?;
            let count = count.as_u64().context("bpftrace's count is no number")?;
            counts.insert((pid.trim().parse()?, nr.trim().parse()?), count);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_bpftrace_are_read() {
        let text = "{\"type\": \"attached_probes\", \"data\": {\"probes\": 6}}\n\
                    {\"type\": \"map\", \"data\": {\"@calls\": {\"7,0\": 3, \"7,-1\": 1}}}\n";
        assert!(counts(text).is_err(), "no call has a negative number");
        assert_eq!(counts(&text.replace("-1", "12")).unwrap(), [((7, 0), 3), ((7, 12), 1)].into());
        assert_eq!(counts("").unwrap(), Counts::new());
    }
}
