//! The program `calls`, whose truth is known.

use std::{
    collections::BTreeMap,
    fs,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    pipe::pipe,
};
use serde::Deserialize;

use super::hidden;

/// Numbers that `calls` counts of itself.
#[derive(Debug, Deserialize)]
pub struct Truth {
    pub pid: u32,
    pub holds: bool,
    pub calls: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, BTreeMap<String, u64>>,
    pub naps_ns: Vec<u64>,
    pub reads_ns: Vec<u64>,
    pub usage: Usage,
}

/// Results of `getrusage` for it, from the go on.
#[derive(Debug, Deserialize)]
pub struct Usage {
    pub user_ns: u64,
    pub system_ns: u64,
}

impl Truth {
    /// Reads the truth on the last line of an output.
    pub fn read(output: &str) -> Self {
        let line = output.lines().rfind(|line| line.starts_with('{'));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no truth in {output:?}"))).unwrap()
    }
}

/// The program, built once if it is not.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("calls"))
}

/// Another of the bundled programs: cargo knows binaries of other packages only when it is asked for them.
pub fn built(name: &str) -> PathBuf {
    let tool = PathBuf::from(env!("CARGO_BIN_EXE_pulse-trace"));
    let profile = tool.parent().unwrap();
    let program = profile.join(name);
    // Under sudo the files that cargo writes would belong to root; there the binaries were built before.
    if std::env::var_os("SUDO_UID").is_none() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--bin", name, "--target-dir"]).arg(profile.parent().unwrap());
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "cannot build the workload");
    }
    assert!(program.is_file(), "{} is missing; build it with `cargo build --bin {name}`", program.display());
    program
}

/// A started workload; killed when dropped.
pub struct Calls {
    child: Option<Child>,
    pid: u32,
    ready: File,
    go: File,
}

impl Calls {
    /// Starts it and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_under(&[], arguments)
    }

    /// The same as an argument of another command, which becomes it or has it as its child.
    pub fn start_under(wrapper: &[&str], arguments: &[&str]) -> Self {
        Self::start_program(wrapper, program(), arguments)
    }

    /// The same with any program that keeps the contract of the bundled ones.
    pub fn start_program(wrapper: &[&str], program: &Path, arguments: &[&str]) -> Self {
        super::reads_by_the_tool();
        hidden::begin();
        let words: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).collect();
        let ours = program.to_string_lossy().into_owned();
        let words: Vec<String> =
            words.into_iter().chain([ours]).chain(arguments.iter().map(|word| (*word).to_owned())).collect();
        let (ready, theirs) = pipe().unwrap();
        let (go, told) = pipe().unwrap();
        // Only the other ends are for the child.
        for mine in [&ready, &told] {
            fcntl_setfd(mine, FdFlags::CLOEXEC).unwrap();
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("--json");
        command.arg("--ready-fd").arg(theirs.as_raw_fd().to_string());
        command.arg("--go-fd").arg(go.as_raw_fd().to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        drop((theirs, go));
        let mut calls = Self { pid: child.id(), child: Some(child), ready: ready.into(), go: told.into() };
        let mut said = [0; 6];
        calls.ready.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready\n");
        if !wrapper.is_empty() {
            calls.pid = child_of(calls.pid).unwrap_or(calls.pid);
        }
        calls
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process that was started, wrapper or not.
    pub fn outermost(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn go(&mut self) {
        self.go.write_all(b"g").unwrap();
    }

    /// Waits for so many workers of a sealed stretch to say that they are done.
    pub fn done(&mut self, workers: usize) {
        self.ready.read_exact(&mut vec![0; workers]).unwrap();
    }

    /// True if it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub fn kill(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap()
    }

    /// Waits for its end; what it says.
    pub fn output(mut self) -> String {
        let mut child = self.child.take().unwrap();
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "the workload itself went wrong, {status}: {output}");
        output
    }

    /// Waits for its end; its truth.
    pub fn truth(self) -> Truth {
        let output = self.output();
        let truth = Truth::read(&output);
        assert!(truth.holds, "the workload itself went wrong: {output}");
        truth
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn child_of(pid: u32) -> Option<u32> {
    children_of(pid).first().copied()
}

/// Processes that a process has started.
pub fn children_of(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The number of the call that a thread sleeps in; `None` while it runs.
pub fn in_call(pid: u32, tid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Waits until so many threads of a process sleep in calls, all of them in this one.
pub fn blocked_in(pid: u32, nr: libc::c_long, threads: usize) {
    within(Duration::from_secs(10), "all threads to block", || {
        let tids = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let tids: Vec<u32> = tids.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect();
        tids.len() == threads && tids.iter().all(|tid| in_call(pid, *tid) == Some(nr as u32))
    });
}

/// Waits for something to become true.
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
