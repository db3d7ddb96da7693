//! Runs the program with a deadline, one test at a time: two spinning processes on two CPUs disturb each other enough.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Generous, for a machine that does much else: only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Held for the length of a test.
pub fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has poisoned it, which says nothing about the next one.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Output and status of a finished run.
pub struct Done {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Done {
    /// The truth on the last line.
    pub fn truth(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_else(|| panic!("no truth; {}", self.err));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}; {}", self.err))
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A started program; killed when a failed test drops it.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn new(mut command: Command) -> Self {
        Self {
            child: command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// The two sides, once both are there.
    pub fn sides(&self) -> Vec<i32> {
        let list = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = || {
            let text = std::fs::read_to_string(&list).unwrap_or_default();
            text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<i32>>()
        };
        wait_until("both sides run", || children().len() == 2);
        children()
    }

    /// Waits for its end.
    pub fn done(mut self) -> Done {
        let drain = |pipe: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut text = String::new();
                pipe.unwrap().read_to_string(&mut text).unwrap();
                text
            })
        };
        let out = drain(self.child.stdout.take().map(|pipe| Box::new(pipe) as _));
        let err = drain(self.child.stderr.take().map(|pipe| Box::new(pipe) as _));
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it hangs");
            thread::sleep(Duration::from_millis(5));
        };
        Done { status, out: out.join().unwrap(), err: err.join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with these words; blanks separate them.
pub fn shmemq(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shmemq"));
    command.args(words.split_whitespace());
    command
}

/// Runs it to its end.
pub fn run(words: &str) -> Done {
    Running::new(shmemq(words)).done()
}

/// Runs it, and insists that its truth holds.
pub fn truth(words: &str) -> Value {
    let done = run(&format!("{words} --json"));
    assert_eq!(done.code(), Some(0), "{words}: {}{}", done.out, done.err);
    let truth = done.truth();
    assert_eq!(truth["holds"], true, "{words}: {truth}");
    truth
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Polls a condition that must come true.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reports whether a process is there and not yet dead.
pub fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

pub fn send(pid: i32, signal: i32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Names in `/dev/shm` that this test process is to blame for.
pub fn leftovers() -> Vec<String> {
    let names = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.contains("shmemq"))
        .collect()
}

/// Two different CPUs of those this process may use, as `--pin` wants them; none where there is one only.
pub fn two_cpus() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let range = |part: &str| -> (usize, usize) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        (first.parse().unwrap(), last.parse().unwrap())
    };
    let mut cpus = list.trim().split(',').map(range).flat_map(|(first, last)| first..=last);
    Some(format!("{},{}", cpus.next()?, cpus.next()?))
}
