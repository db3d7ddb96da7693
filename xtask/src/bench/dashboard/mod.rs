//! `cargo xtask bench dashboard`: what the dashboard costs, and how fast it answers.

mod page;
mod terminal;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    ground::{Circumstances, Options, directory, publish},
    readings,
};
use crate::{
    process::{self, command},
    say, workspace,
};
use terminal::Terminal;

const PAGE: &str = "docs/results/dashboard.md";
/// From the first screen until everything is as it will be.
const SETTLING: Duration = Duration::from_secs(4);
/// Keys whose answers are timed, and the pause between them.
const KEYS: usize = 40;
const PAUSE: Duration = Duration::from_millis(53);

/// A load and the way it is watched.
pub struct Scene {
    /// Name of the scene on the page.
    pub name: &'static str,
    /// Words of the program that makes the load.
    load: &'static [&'static str],
    /// Words of `attach`.
    attach: &'static [&'static str],
    /// Time over which the tool's CPU time is added up.
    span: Duration,
}

const CROWD: &str = "crowd";

const SCENES: [Scene; 5] = [
    Scene {
        name: "200 processes, 20 of them busy with 12 kinds of calls",
        load: &[CROWD, "200", "20", "12", "10"],
        attach: &["-i", "100ms"],
        span: Duration::from_secs(12),
    },
    Scene {
        name: "200 processes x 60 kinds, once a second",
        load: &[CROWD, "200", "200", "60", "1000"],
        attach: &["-i", "100ms", "--probes", "syscalls"],
        span: Duration::from_secs(12),
    },
    Scene {
        name: "200 processes x 60 kinds, all of them ten times a second",
        load: &[CROWD, "200", "200", "60", "100"],
        attach: &["-i", "100ms", "--probes", "syscalls"],
        span: Duration::from_secs(12),
    },
    Scene {
        name: "one process, as many calls as two CPUs make",
        load: &["calls", "--threads", "2", "--calls", "getppid", "--count", "1000000000"],
        attach: &["-i", "100ms", "--probes", "syscalls"],
        span: Duration::from_secs(10),
    },
    Scene {
        name: "one process, frames as fast as they come",
        load: &["calls", "--calls", "getppid,dup,getsid", "--rate", "20000", "--count", "1000000000"],
        attach: &["-i", "10ms", "--probes", "syscalls"],
        span: Duration::from_secs(30),
    },
];

/// Measurements of one scene.
pub struct Outcome {
    /// The measured scene.
    pub scene: &'static Scene,
    /// From the start of the tool to the first thing on the screen.
    pub first: Duration,
    /// CPU time of the whole tool, share of one CPU.
    pub share: f64,
    /// Paintings per second meanwhile.
    pub paintings: f64,
    /// Resident memory: at the beginning of the span, at its end, at its highest; bytes.
    pub resident: [u64; 3],
    /// From a key that has everything painted anew to what it brings, ascending.
    pub answers: Vec<Duration>,
    /// The first two lines of the screen.
    pub head: Vec<String>,
    /// Calls counted per second.
    pub rate: f64,
}

/// Runs the benchmark of the dashboard.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let tool = options.prepare("dashboard", &["script"])?;
    let dir = directory("dashboard")?;
    let source = dir.join("crowd.c");
    fs::write(&source, include_str!("crowd.c"))?;
    process::run(command("cc").args(["-O2", "-o"]).arg(dir.join(CROWD)).arg(&source))?;
    let circumstances = Circumstances::before();
    let mut outcomes = Vec::new();
    for scene in &SCENES {
        say::note(scene.name);
        outcomes.push(measure(scene, &tool, &dir).with_context(|| scene.name)?);
    }
    fs::remove_dir_all(&dir)?;
    let page = page::render(&outcomes, &circumstances.after().sentence("dashboard"));
    say::out(&page);
    publish(PAGE, &page)
}

/// A program that makes the load; ended when dropped.
struct Load {
    child: Child,
    pids: String,
}

impl Load {
    fn start(scene: &Scene, dir: &Path) -> Result<Self> {
        let (name, words) = scene.load.split_first().context("no load")?;
        let program =
            if *name == CROWD { dir.join(CROWD) } else { workspace::target()?.join("release").join(name) };
        let mut child = command(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut pids = child.id().to_string();
        if *name == CROWD {
            pids.clear();
            BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut pids)?;
        }
        Ok(Self { child, pids: pids.trim().to_owned() })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(scene: &'static Scene, tool: &Path, dir: &Path) -> Result<Outcome> {
    let load = Load::start(scene, dir)?;
    let json = dir.join("session.json");
    let words = format!(
        "{} attach -p {} {} --tui --quiet --json {}",
        tool.display(),
        load.pids,
        scene.attach.join(" "),
        json.display()
    );
    let begin = Instant::now();
    let mut terminal = Terminal::open(&words, dir)?;
    let first = terminal.wait_for(b"pulse-trace", begin)?;
    thread::sleep(SETTLING);
    let tool = terminal.tool(tool)?;
    let (cpu, since, resident) = (readings::cpu_ns(tool), Instant::now(), status(tool, "VmRSS:"));
    let paintings = terminal.read_for(scene.span) as f64 / scene.span.as_secs_f64();
    let share = (readings::cpu_ns(tool) - cpu) as f64 / since.elapsed().as_nanos() as f64;
    let resident = [resident, status(tool, "VmRSS:"), status(tool, "VmHWM:")];
    let mut answers = Vec::new();
    for _ in 0..KEYS {
        terminal.read_for(PAUSE);
        let begin = Instant::now();
        terminal.press(CTRL_L)?;
        answers.push(terminal.wait_for(CLEARED, begin)?);
    }
    answers.sort();
    terminal.press(b"w")?;
    let head = saved(dir)?;
    terminal.press(b"q")?;
    terminal.end()?;
    Ok(Outcome { scene, first, share, paintings, resident, answers, head, rate: rate(&json)? })
}

/// Has the whole screen painted anew.
const CTRL_L: &[u8] = b"\x0c";
/// First bytes of a screen that is painted anew.
const CLEARED: &[u8] = b"\x1b[2J";

/// A field of a process's status, bytes.
fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// The first lines of the screen that a key has saved; the file is taken away.
fn saved(dir: &Path) -> Result<Vec<String>> {
    let since = Instant::now();
    loop {
        let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
        let texts: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
        if let Some(path) = texts.first() {
            let text = fs::read_to_string(path)?;
            if text.lines().count() > 2 {
                fs::remove_file(path)?;
                return Ok(text.lines().take(2).map(str::to_owned).collect());
            }
        }
        anyhow::ensure!(since.elapsed() < terminal::PATIENCE, "the screen was not saved");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Calls counted per second of a session.
fn rate(json: &Path) -> Result<f64> {
    let session: serde_json::Value = serde_json::from_str(&fs::read_to_string(json)?)?;
    let counted = session["ledger"]["counted"].as_f64().context("no ledger in the JSON")?;
    let ns = session["session"]["duration_ns"].as_f64().context("no duration in the JSON")?;
    Ok(counted / ns * 1e9)
}
