//! Programs that fight for locks, or do not: ready when somebody watches, timed by themselves.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, command};

/// Where systems have their C library.
const LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// A program and what it is started with.
pub struct Workload {
    /// Its name in tables.
    pub name: &'static str,
    /// The program, by its name in the directory of programs, and its arguments.
    pub words: &'static [&'static str],
}

/// What is watched.
pub const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "adaptive",
        words: &[
            "shmemq",
            "--mutex",
            "adaptive",
            "--size",
            "256",
            "--repetitions",
            "400000",
            "--json",
            "--ready-fd",
            "8",
            "--go-fd",
            "9",
        ],
    },
    Workload {
        name: "plain",
        words: &[
            "shmemq",
            "--mutex",
            "plain",
            "--size",
            "256",
            "--repetitions",
            "150000",
            "--json",
            "--ready-fd",
            "8",
            "--go-fd",
            "9",
        ],
    },
    Workload { name: "uncontended", words: &["uncontended", "50000000"] },
];

/// Programs and the C library that they alone use: probes of other tools are in a file, for everybody who maps it.
pub struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// Builds what is not built.
    pub fn set(dir: &Path, programs: &Path) -> Result<Self> {
        fs::copy(LIBRARY, dir.join("libc.so.6")).context("cannot copy the C library")?;
        fs::copy(programs.join("shmemq"), dir.join("shmemq")).context("cannot copy shmemq")?;
        let source = dir.join("uncontended.c");
        fs::write(&source, include_str!("uncontended.c"))?;
        process::run(command("cc").args(["-O2", "-o"]).arg(dir.join("uncontended")).arg(&source))?;
        Ok(Self { dir: dir.to_path_buf() })
    }

    /// The copy of the C library.
    pub fn library(&self) -> PathBuf {
        self.dir.join("libc.so.6")
    }

    /// Starts a workload and waits until it is ready.
    pub fn start(&self, workload: &Workload) -> Result<Started> {
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
            .env("LD_LIBRARY_PATH", &self.dir)
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

impl Started {
    /// The processes that use locks: the two sides, or the program itself.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let pids: Vec<u32> = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() { vec![own] } else { pids }
    }

    /// Lets it go: how long it took, ns.
    pub fn run(mut self) -> Result<f64> {
        self.go.write_all(b"g")?;
        let mut said = String::new();
        self.child.stdout.take().context("no output")?.read_to_string(&mut said)?;
        let line = said.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        let truth: serde_json::Value = serde_json::from_str(line).context("cannot read its truth")?;
        match truth["cells"][0]["elapsed_ns"].as_f64() {
            Some(ns) => Ok(ns),
            None => bail!("it does not say how long it took: {said}"),
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
