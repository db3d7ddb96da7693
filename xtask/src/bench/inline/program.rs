//! Programs that wait for their go, and say afterwards what they did.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process::{self, command};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// One that has said that it is ready. It ends when this is dropped.
pub struct Program {
    child: Child,
    go: File,
}

impl Program {
    /// Starts it; it says that it is ready on descriptor 8 and waits for its go on 9.
    pub fn start(dir: &Path, program: &Path, arguments: &[&str]) -> Result<Self> {
        let pipe = |name: &str| -> Result<(PathBuf, File)> {
            let path = dir.join(name);
            let _ = fs::remove_file(&path);
            process::run(command("mkfifo").arg(&path))?;
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            Ok((path, file))
        };
        let ((ready_path, mut ready), (go_path, go)) = (pipe("ready")?, pipe("go")?);
        let child = command("sh")
            .args(["-c", "r=$1 g=$2; shift 2; exec \"$@\" 8<>\"$r\" 9<>\"$g\"", "sh"])
            .args([&ready_path, &go_path])
            .arg(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let started = Self { child, go };
        let mut said = [0; 6];
        ready.read_exact(&mut said)?;
        Ok(started)
    }

    /// The processes that work: the two sides, or the program itself.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let pids: Vec<u32> = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() { vec![own] } else { pids }
    }

    /// Waits until counters are inside of all of them.
    pub fn await_counters(&self) -> Result<()> {
        let since = Instant::now();
        let counted = |pid: &u32| {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            maps.contains("memfd:pulse-trace")
        };
        while !self.pids().iter().all(counted) {
            if since.elapsed() > PATIENCE {
                bail!("cannot measure: no counters were put in");
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Lets it go: what it says at its end.
    pub fn run(mut self) -> Result<Value> {
        self.go.write_all(b"g")?;
        let mut said = String::new();
        self.child.stdout.take().context("no output")?.read_to_string(&mut said)?;
        let line = said.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        serde_json::from_str(line).context("cannot read its truth")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
