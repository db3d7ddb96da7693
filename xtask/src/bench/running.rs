//! A tool that runs beside the loop: started, waited for until it counts, interrupted, read.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::readings::{Programs, Statistics, probes, ran};
use crate::process::{command, signal};

/// Longest time that a tool has to begin or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one interrupt to the next.
const INSISTENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
/// From the first sign of life until all of a tool is in place.
const SETTLING: Duration = Duration::from_millis(200);

/// Placeholder in a command for the path of our tool.
pub const OURS: &str = "pulse-trace";

/// Sign that a tool counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Two BPF programs of it run.
    ProgramsRun,
    /// It says so.
    Says(&'static str),
    /// It says this before it attaches, and then waits for events.
    Waits(&'static str),
    /// It is ours, and catches SIGINT: not before it counts.
    Listens,
    /// It has put probes into the code of programs.
    ProbesIn,
    /// It has mapped the buffers of its perf events.
    BuffersMapped,
}

/// Output of a tool that has ended.
#[derive(Default)]
pub struct Left {
    /// Its standard output and error.
    pub text: String,
    /// Its JSON output; empty without any.
    pub json: String,
}

/// A started tool. It is killed when this is dropped before it was stopped.
pub struct Running {
    child: Child,
    dir: PathBuf,
}

/// The tool, and the directory of all output.
pub struct Bench<'a> {
    /// Path of our tool.
    pub tool: &'a Path,
    /// A directory of this run.
    pub dir: &'a Path,
    /// The switch that tells whether programs run.
    pub statistics: &'a Statistics,
}

impl Bench<'_> {
    /// Path of a tool's JSON.
    pub fn json(&self) -> PathBuf {
        self.dir.join("json")
    }

    /// Starts a command and waits until it counts.
    pub fn start(&self, words: &[String], ready: Ready) -> Result<Running> {
        let mut running = self.spawn(words)?;
        self.wait(&mut running, ready)?;
        Ok(running)
    }

    /// Starts a command; its first word may stand for our tool.
    pub fn spawn(&self, words: &[String]) -> Result<Running> {
        let file = |name: &str| File::create(self.dir.join(name));
        let _ = fs::remove_file(self.json());
        let child = self
            .command(words)
            .stdin(Stdio::null())
            .stdout(file("out")?)
            .stderr(file("err")?)
            .spawn()
            .with_context(|| format!("cannot run `{}`", words.join(" ")))?;
        Ok(Running { child, dir: self.dir.to_path_buf() })
    }

    /// Every tool is interrupted when we die, for any reason. Peers need tracefs; where it is not mounted, they get it
    /// in a mount namespace of their own. The tool takes the place of all that it is started through.
    fn command(&self, words: &[String]) -> Command {
        let (program, rest) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
        let mut shell = command("setpriv");
        shell.args(["--pdeathsig", "INT"]);
        if program == OURS {
            shell.arg(self.tool);
        } else {
            if !Path::new("/sys/kernel/tracing/events").is_dir() {
                let script = "mount -t tracefs nodev /sys/kernel/tracing && exec \"$@\"";
                shell.args(["unshare", "--mount", "--", "sh", "-c", script, "sh"]);
            }
            shell.arg(program);
        }
        shell.args(rest);
        shell
    }

    fn wait(&self, running: &mut Running, ready: Ready) -> Result<()> {
        if ready == Ready::ProgramsRun {
            self.statistics.switch(true)?;
        }
        let since = Instant::now();
        while !running.counts(ready) {
            if let Some(status) = running.child.try_wait()? {
                bail!("it ended at once with {status}: {}", running.left().text.trim());
            }
            if since.elapsed() > PATIENCE {
                bail!("it does not begin: {}", running.left().text.trim());
            }
            thread::sleep(PAUSE);
        }
        self.statistics.switch(false)?;
        thread::sleep(SETTLING);
        Ok(())
    }
}

impl Running {
    /// Its process id: what it was started through has become it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn counts(&self, ready: Ready) -> bool {
        match ready {
            Ready::Says(text) => self.left().text.contains(text),
            Ready::Waits(text) => self.left().text.contains(text) && self.waits(),
            Ready::Listens => {
                let status = self.proc("status");
                let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
                let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
                caught.is_some_and(|mask| mask & 0b10 != 0)
            }
            Ready::BuffersMapped => self.proc("maps").contains("[perf_event]"),
            Ready::ProbesIn => probes(self.pid()) > 0,
            // Our own looking at it makes them run.
            Ready::ProgramsRun => {
                let programs = Programs::of(self.pid());
                let before = programs.runs();
                thread::sleep(PAUSE);
                ran(&before, &programs.runs()).iter().filter(|runs| runs.count > 10).count() >= 2
            }
        }
    }

    /// True when it does nothing but wait, in `epoll_wait` or `epoll_pwait` of x86-64.
    fn waits(&self) -> bool {
        matches!(self.proc("syscall").split_whitespace().next(), Some("232" | "281"))
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid())).unwrap_or_default()
    }

    fn left(&self) -> Left {
        let read = |name: &str| {
            let bytes = fs::read(self.dir.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Left { text: read("out") + &read("err"), json: read("json") }
    }

    /// Takes what it leaves: it ends by itself with the processes that it watches, or is interrupted a little later.
    pub fn finish(mut self) -> Result<Left> {
        let since = Instant::now();
        while self.child.try_wait()?.is_none() && since.elapsed() < INSISTENCE {
            thread::sleep(PAUSE);
        }
        self.stop()
    }

    /// Interrupts it, more than once if it must be, and takes what it leaves.
    pub fn stop(mut self) -> Result<Left> {
        let since = Instant::now();
        let mut interrupt_at = since;
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > PATIENCE {
                bail!("it does not heed an interrupt");
            }
            if interrupt_at <= Instant::now() {
                signal("INT", &[self.pid()])?;
                interrupt_at += INSISTENCE;
            }
            thread::sleep(PAUSE);
        }
        Ok(self.left())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
