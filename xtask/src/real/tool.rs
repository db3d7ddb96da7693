//! The tool under test, attached as a user would.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::window::{signal, wait};
use crate::{process::command, workspace};

/// A running `pulse-trace attach`; ended when dropped.
pub struct Tool {
    child: Child,
    json: PathBuf,
}

impl Tool {
    /// Attaches to processes and to what they will fork, and waits until it counts.
    pub fn attach(json: &Path, pids: &[u32]) -> Result<Self> {
        let mut tool = command(workspace::target()?.join("debug/pulse-trace"));
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        tool.args(["attach", "--plain", "--children", "--top", "3", "-p", &pids.join(","), "--json"])
            .arg(json);
        tool.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = tool.spawn().context("cannot run the tool")?;
        let mut tool = Self { child, json: json.to_owned() };
        let mut ended = false;
        wait("the tool to attach", || {
            ended = matches!(tool.child.try_wait(), Ok(Some(_)));
            ended || (tool.listens() && tool.is_attached())
        })?;
        if ended {
            bail!("cannot attach: the tool ended at once");
        }
        Ok(tool)
    }

    /// Whether it catches SIGINT by now.
    fn listens(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 2 != 0)
    }

    /// Whether it holds a link to a BPF program.
    fn is_attached(&self) -> bool {
        let fds = fs::read_dir(format!("/proc/{}/fdinfo", self.child.id())).into_iter().flatten().flatten();
        fds.into_iter().any(|fd| fs::read_to_string(fd.path()).is_ok_and(|text| text.contains("link_id:")))
    }

    /// Ends it by Ctrl-C: its session as JSON, and its report.
    pub fn finish(mut self) -> Result<(Value, String)> {
        signal("INT", &[self.child.id()])?;
        let mut report = String::new();
        self.child.stdout.take().context("standard output is not piped")?.read_to_string(&mut report)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("cannot read the session: the tool ended with {status}");
        }
        let text = fs::read_to_string(&self.json).context("cannot read the session")?;
        Ok((serde_json::from_str(&text)?, report))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
