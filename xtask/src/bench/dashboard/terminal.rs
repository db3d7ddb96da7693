//! A terminal of 120x40 with the tool on it. `script` holds its other end and hands on what passes.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::process::command;

/// Nothing takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Output that comes sooner after other output belongs to the same painting.
const APART: Duration = Duration::from_millis(20);

/// The terminal; the program that runs on it is hung up when this is dropped.
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    /// Output and the time it came.
    painted: Receiver<(Instant, Vec<u8>)>,
    /// The end of what was looked at.
    tail: Vec<u8>,
}

impl Terminal {
    /// Opens it in a directory for a command.
    pub fn open(words: &str, dir: &Path) -> Result<Self> {
        let line = format!("stty rows 40 cols 120; exec {words}");
        let mut script = command("script")
            .args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"])
            .current_dir(dir)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run `script`")?;
        let keys = script.stdin.take().context("no pipe to `script`")?;
        let mut screen = script.stdout.take().context("no pipe from `script`")?;
        let (sender, painted) = channel();
        thread::spawn(move || {
            let mut some = vec![0; 1 << 16];
            while let Ok(length @ 1..) = screen.read(&mut some) {
                // The reader may be gone already.
                let _ = sender.send((Instant::now(), some[..length].to_vec()));
            }
        });
        Ok(Self { script, keys, painted, tail: Vec::new() })
    }

    /// Sends key presses to the terminal.
    pub fn press(&mut self, keys: &[u8]) -> Result<()> {
        self.keys.write_all(keys)?;
        Ok(self.keys.flush()?)
    }

    /// Time from `since` to the first painting that contains `what`.
    pub fn wait_for(&mut self, what: &[u8], since: Instant) -> Result<Duration> {
        self.tail.clear();
        loop {
            let Ok((came, some)) = self.painted.recv_timeout(PATIENCE) else {
                bail!("`{}` does not come", what.escape_ascii());
            };
            if came < since {
                continue;
            }
            self.tail.extend_from_slice(&some);
            if self.tail.windows(what.len()).any(|seen| seen == what) {
                return Ok(came - since);
            }
            let keep = self.tail.len().saturating_sub(what.len());
            self.tail.drain(..keep);
        }
    }

    /// Reads what is painted for some time; how many paintings there were.
    pub fn read_for(&mut self, time: Duration) -> usize {
        let end = Instant::now() + time;
        let (mut paintings, mut last) = (0, None);
        loop {
            match self.painted.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((came, _)) => {
                    // One may come in several pieces.
                    let apart = last.is_none_or(|last| came.saturating_duration_since(last) > APART);
                    paintings += usize::from(apart);
                    last = Some(came);
                }
                Err(RecvTimeoutError::Timeout) => return paintings,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(end.saturating_duration_since(Instant::now()));
                    return paintings;
                }
            }
        }
    }

    /// The process of a program that runs on it.
    pub fn tool(&self, program: &Path) -> Result<u32> {
        let wanted = fs::canonicalize(program)?;
        let mut pending = vec![self.script.id()];
        while let Some(pid) = pending.pop() {
            if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == wanted) {
                return Ok(pid);
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pending.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        bail!("the tool has ended")
    }

    /// Waits until the program that runs on it has ended.
    pub fn end(mut self) -> Result<()> {
        let since = Instant::now();
        while self.script.try_wait()?.is_none() {
            if since.elapsed() > PATIENCE {
                bail!("the tool does not end");
            }
            self.read_for(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The tool ends when its terminal is gone.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
