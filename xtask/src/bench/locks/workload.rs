//! Programs that fight for locks, or do not: they wait for the go of the benchmark and time themselves.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    process::{self, command},
    workspace,
};

/// Path of the C library on x86-64 Debian systems.
const LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";
/// In C, each with the file that it is made of.
const SOURCES: [(&str, &str); 3] = [
    ("uncontended", "xtask/src/bench/locks/uncontended.c"),
    ("floor", "xtask/src/bench/locks/floor.c"),
    ("shards", "userspace/tests/kernel/programs/shards.c"),
];

/// A program and what it is started with.
pub struct Workload {
    /// Its name in tables.
    pub name: &'static str,
    /// The program, by its name in the directory of programs, and its arguments; how often is the last.
    words: &'static [&'static str],
    /// Number of rounds of its loop where nothing slows it.
    pub count: u64,
}

/// Each side has a CPU: on one of them they would not fight.
const PING_PONG: [&str; 11] =
    ["shmemq", "--json", "--ready-fd", "8", "--go-fd", "9", "--pin", "0,1", "--size", "256", "--mutex"];

/// The watched programs: each loop takes more than a second alone, so that probes which the budget detaches cover only
/// a part of it.
pub const WORKLOADS: [Workload; 3] = [
    Workload { name: "adaptive", words: &words("adaptive"), count: 3_000_000 },
    Workload { name: "plain", words: &words("plain"), count: 750_000 },
    Workload { name: "uncontended", words: &["uncontended"], count: 100_000_000 },
];

/// The same fight for adaptive locks that the program makes itself, and whose spins it counts.
pub const RESTATED: Workload =
    Workload { name: "restated", words: &words("adaptive-restated-2.36"), count: 300_000 };

/// Two threads that seldom meet; its count is milliseconds.
pub const SHARDS: Workload = Workload { name: "shards", words: &["shards"], count: 1_000 };

const fn words(mutex: &'static str) -> [&'static str; 13] {
    let mut all = [""; 13];
    let mut at = 0;
    while at < PING_PONG.len() {
        all[at] = PING_PONG[at];
        at += 1;
    }
    all[11] = mutex;
    all[12] = "--repetitions";
    all
}

/// Programs and the C library that they alone use: probes of other tools are in a file, for everybody who maps it.
pub struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// Builds what is not built.
    pub fn set(dir: &Path, programs: &Path) -> Result<Self> {
        fs::copy(LIBRARY, dir.join("libc.so.6")).context("cannot copy the C library")?;
        fs::copy(programs.join("shmemq"), dir.join("shmemq")).context("cannot copy shmemq")?;
        for (name, source) in SOURCES {
            let source = workspace::root().join(source);
            process::run(command("cc").args(["-O2", "-pthread", "-o"]).arg(dir.join(name)).arg(source))?;
        }
        Ok(Self { dir: dir.to_path_buf() })
    }

    /// The copy of the C library.
    pub fn library(&self) -> PathBuf {
        self.dir.join("libc.so.6")
    }

    /// The copy for those who need names for places in it.
    pub fn named_library(&self) -> PathBuf {
        self.dir.join("named/libc.so.6")
    }

    /// Directory of its programs.
    pub fn programs(&self) -> &Path {
        &self.dir
    }

    /// Starts a workload and waits until it is ready.
    pub fn start(&self, workload: &Workload, count: u64) -> Result<Started> {
        self.start_with(workload, count, &self.library())
    }

    /// The same with another copy of the C library.
    pub fn start_with(&self, workload: &Workload, count: u64, library: &Path) -> Result<Started> {
        let pipe = |name: &str| -> Result<(PathBuf, File)> {
            let path = self.dir.join(name);
            let _ = fs::remove_file(&path);
            process::run(command("mkfifo").arg(&path))?;
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            Ok((path, file))
        };
        let ((ready_path, mut ready), (go_path, go)) = (pipe("ready")?, pipe("go")?);
        let (program, arguments) = workload.words.split_first().context("no program")?;
        let child = command("sh")
            .args(["-c", "r=$1 g=$2; shift 2; exec \"$@\" 8<>\"$r\" 9<>\"$g\"", "sh"])
            .args([&ready_path, &go_path])
            .arg(self.dir.join(program))
            .args(arguments)
            .arg(count.to_string())
            .env(
                "LD_LIBRARY_PATH",
                library
                    .parent()
                    .context("cannot run with the C library: its path has no directory; give a whole one")?,
            )
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let started = Started { child, go };
        let mut said = [0; 6];
        ready.read_exact(&mut said)?;
        Ok(started)
    }
}

/// A workload that waits for its go. It ends when this is dropped.
pub struct Started {
    child: Child,
    go: File,
}

/// A workload's own report.
pub struct Truth {
    /// By its own clock.
    pub elapsed_ns: f64,
    /// When it was let go, since 1970.
    pub go_unix_ns: f64,
    /// All that it said.
    pub said: Value,
}

impl Started {
    /// The processes that use locks: the two sides, or the program itself.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let pids: Vec<u32> = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() { vec![own] } else { pids }
    }

    /// Lets it go and waits for its end.
    pub fn run(mut self) -> Result<Truth> {
        let go_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64;
        self.go.write_all(b"g")?;
        let mut text = String::new();
        self.child.stdout.take().context("no output")?.read_to_string(&mut text)?;
        let line = text.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        let said: Value = serde_json::from_str(line).context("cannot read its truth")?;
        match said["cells"][0]["elapsed_ns"].as_f64() {
            Some(elapsed_ns) => Ok(Truth { elapsed_ns, go_unix_ns, said }),
            None => bail!("it does not say how long it took: {text}"),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
