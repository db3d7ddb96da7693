//! Starting `logagg`, and not waiting for it for ever.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pulse_trace_workloads::clean::unique_path;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything here takes on a loaded machine; a test that needs it has failed.
const DEADLINE: Duration = Duration::from_secs(40);

/// Names of all variants.
pub const VARIANTS: [&str; 10] =
    ["unixsock", "tcp", "unixgram", "udp", "fifo", "pipe", "seqpacket", "mqueue", "shm", "shm-futex"];

/// Output and status of a finished process.
#[derive(Debug)]
pub struct Done {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The last line of its output.
    pub fn truth(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A running process that is killed with the test.
pub struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts with these words, separated by blanks.
    pub fn start(words: &str) -> Self {
        Self::spawn(&mut logagg_command(words))
    }

    fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The place an aggregator with `--json` listens at.
    pub fn listening(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        line["listening"].as_str().unwrap().to_owned()
    }

    /// The processes of a run: the aggregator, then the producers.
    pub fn workers(&self) -> Vec<u32> {
        let pid = self.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.pid(), signal);
    }

    pub fn finish(mut self) -> Done {
        let mut stdout = self.stdout.take().unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        let out = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let err = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < DEADLINE, "it hangs");
            thread::sleep(Duration::from_millis(5));
        };
        Done { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that says when it is set up and waits for the go.
pub struct Held {
    pub running: Running,
    ready: File,
    go: Option<File>,
}

impl Held {
    /// Starts with both descriptors passed on.
    pub fn start(words: &str) -> Self {
        // Descriptors are inherited by every process that starts meanwhile: one at a time.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (ready, child_ready) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (child_go, go) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let numbers = format!("--ready-fd {} --go-fd {}", child_ready.as_raw_fd(), child_go.as_raw_fd());
        for fd in [&child_ready, &child_go] {
            fcntl_setfd(fd, FdFlags::empty()).unwrap();
        }
        let running = Running::start(&format!("{words} {numbers}"));
        Self { running, ready: File::from(ready), go: Some(File::from(go)) }
    }

    pub fn wait_ready(&mut self) {
        let mut said = [0; 6];
        self.ready.read_exact(&mut said).unwrap_or_else(|error| panic!("never ready: {error}"));
        assert_eq!(&said, b"ready\n");
    }

    pub fn go(&mut self) {
        self.go.take().unwrap().write_all(b"g").unwrap();
    }

    /// Closes without a go.
    pub fn leave(&mut self) {
        self.go = None;
    }

    /// Set up, told to go, and at work for a while.
    pub fn at_work(words: &str) -> Running {
        let mut held = Self::start(words);
        held.wait_ready();
        held.go();
        thread::sleep(Duration::from_millis(150));
        held.running
    }
}

/// The program with these words, separated by blanks.
fn logagg_command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command.args(words.split_whitespace());
    command
}

/// Runs to the end.
pub fn logagg(words: &str) -> Done {
    Running::start(words).finish()
}

/// Runs `logagg run --json` without an output file.
pub fn run(words: &str) -> Done {
    logagg(&format!("run --json --output none {words}"))
}

/// Starts an aggregator without an output file.
pub fn aggregator(variant: &str, at: &str, words: &str) -> Running {
    Running::start(&format!("aggregator --json --output none --variant {variant} --at {at} {words}"))
}

/// Starts a producer.
pub fn producer(variant: &str, at: &str, words: &str) -> Running {
    Running::start(&format!("producer --json --variant {variant} --at {at} {words}"))
}

pub fn signal_pid(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

pub fn number(truth: &Value, field: &str) -> u64 {
    truth[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {truth}"))
}

/// Waits until the condition holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub fn is_gone(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        // A zombie whose new parent has not looked yet is gone, too.
        Ok(stat) => stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')),
    }
}

/// Write calls of a process so far.
pub fn writes_of(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    line.parse().unwrap()
}

/// Names that runs of this process could have left, wherever they lie.
pub fn leftovers(pid: u32) -> Vec<String> {
    let ours = format!("pulse-trace.logagg.{pid}-");
    let places = ["/dev/shm".into(), "/dev/mqueue".into(), std::env::temp_dir()];
    let names = places.iter().filter_map(|place: &PathBuf| std::fs::read_dir(place).ok()).flatten().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(&ours))
        .collect()
}

/// A path of this test's own.
pub fn scratch() -> String {
    unique_path("logagg-test").display().to_string()
}

/// A place for an aggregator of a variant, of this test's own.
pub fn place(variant: &str) -> String {
    use pulse_trace_workloads::clean::unique_name;
    match variant {
        "tcp" | "udp" => "127.0.0.1:0".to_owned(),
        "mqueue" => format!("/{}", unique_name("logagg-test")),
        "shm" | "shm-futex" => format!("/dev/shm/{}", unique_name("logagg-test")),
        _ => scratch(),
    }
}
