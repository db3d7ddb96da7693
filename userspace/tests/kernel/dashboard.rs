//! The dashboard in a real terminal: tmux is one, and shows what is on it.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tui::{Dashboard, Facts, Look, Outside};

use crate::{
    mutex::{left_behind, ping_pong},
    support::{Calls, export, installed, need, program, within},
};

/// A terminal of its own, with the tool in it; gone when dropped.
pub struct Terminal {
    socket: String,
    dir: tempfile::TempDir,
}

/// Long enough for a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Terminal {
    /// Starts the tool on a terminal, in a directory of its own, under a shell that tells how it ended.
    pub fn start(name: &str, (width, height): (u16, u16), arguments: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let terminal = Self { socket: format!("pulse-{name}-{}", std::process::id()), dir };
        let tool = env!("CARGO_BIN_EXE_pulse-trace");
        terminal.open((width, height), &format!("{tool} {arguments}"));
        terminal
    }

    /// Starts something else.
    pub fn start_other(name: &str, size: (u16, u16), command: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let terminal = Self { socket: format!("pulse-{name}-{}", std::process::id()), dir };
        terminal.open(size, command);
        terminal
    }

    fn open(&self, (width, height): (u16, u16), command: &str) {
        let terminal = self;
        let script = format!("cd {}; {command}; echo ended with $?", terminal.dir.path().display());
        let (width, height) = (width.to_string(), height.to_string());
        let mut tmux =
            terminal.tmux(&["-u", "-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height]);
        tmux.env("TERM", "tmux-256color").env("LC_ALL", "C.UTF-8");
        // A shell with job control: what is suspended comes back with `fg`.
        tmux.args(["bash", "--norc", "--noprofile", "-i"]);
        assert!(tmux.status().unwrap().success());
        terminal.type_in(&["-l", &script]);
        terminal.type_in(&["Enter"]);
    }

    pub fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.socket]).args(arguments).env_remove("TMUX").env_remove("NO_COLOR");
        tmux
    }

    pub fn type_in(&self, keys: &[&str]) {
        assert!(self.tmux(&["send-keys"]).args(keys).status().unwrap().success());
    }

    pub fn screen(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p"]).output().unwrap().stdout).unwrap()
    }

    /// Waits until the screen holds something; the screen then.
    pub fn shows(&self, what: &str) -> String {
        let mut screen = String::new();
        within(PATIENCE, &format!("{what:?} on the screen"), || {
            screen = self.screen();
            screen.contains(what)
        });
        screen
    }

    /// Presses a key and waits for what it brings.
    pub fn press(&self, key: &str, brings: &str) -> String {
        self.type_in(&[key]);
        self.shows(brings)
    }

    /// Files of a kind that the tool has written.
    fn written(&self, kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|it| it == kind)).collect()
    }

    /// The tool's process id, once it runs.
    fn tool(&self) -> u32 {
        let panes = self.tmux(&["list-panes", "-F", "#{pane_pid}"]).output().unwrap();
        let shell = String::from_utf8(panes.stdout).unwrap().trim().to_owned();
        let children = Path::new("/proc").join(&shell).join("task").join(&shell).join("children");
        let mut found = None;
        within(PATIENCE, "the tool to run", || {
            let text = fs::read_to_string(&children).unwrap();
            found = text.split_ascii_whitespace().next().and_then(|pid| pid.parse().ok());
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).status();
    }
}

/// The number in a column of a row that begins with a name.
fn cell(screen: &str, name: &str, column: usize) -> Option<u64> {
    let row = screen.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
    row.split_ascii_whitespace().nth(column)?.parse().ok()
}

#[test]
fn screens_hold_the_true_counts_and_so_does_the_json_saved_at_a_key() {
    need!(installed("tmux"), "tmux is not installed");
    let mut calls = Calls::start(&["--calls", "getppid,dup", "--count", "1009", "--rate", "200"]);
    let attach = format!("attach -p {} -i 100ms --probes syscalls --json end.json", calls.pid());
    let terminal = Terminal::start("counts", (120, 40), &attach);
    terminal.shows("LIVE");
    calls.go();
    terminal.press("2", "getppid");
    terminal.press("a", "A is");
    // Every view, on the live program.
    for (key, brings) in [
        ("1", "Top system calls"),
        ("3", "the scheduler probe does not run"),
        ("4", "no probe for locks"),
        ("5", "not marked yet: b"),
        ("6", "Threads of"),
        ("7", "Programs in the kernel"),
        ("?", "this help"),
        ("2", "syscall "),
    ] {
        terminal.press(key, brings);
    }
    terminal.press("Space", "HELD");
    terminal.press("Left", "HELD");
    terminal.press("End", "LIVE");
    terminal.press("b", "B is");
    terminal.press("5", "bars are shares");
    terminal.press("2", "syscall ");
    terminal.type_in(&["-l", "/dup"]);
    within(PATIENCE, "the filter to hide getppid", || !terminal.screen().contains("getppid"));
    terminal.press("Escape", "getppid");
    assert!(terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]).status().unwrap().success());
    within(PATIENCE, "a screen of 80 columns", || {
        terminal.screen().lines().nth(2).is_some_and(|it| it.len() <= 80)
    });

    let truth = calls.truth();
    terminal.shows("every target has ended");
    let screen = terminal.press("c", "SUMS");
    for (name, count) in &truth.calls {
        assert_eq!(cell(&screen, name, 1), Some(*count), "{name}:\n{screen}");
        let errors: u64 = truth.errors.get(name).map_or(0, |errors| errors.values().sum());
        assert_eq!(cell(&screen, name, 2), Some(errors), "{name}:\n{screen}");
    }
    terminal.press("w", "wrote");
    terminal.press("e", ".json");
    terminal.press("q", "ended with 0");
    let report = terminal.screen();
    assert!(report.contains("ledger: complete"), "{report}");

    let text = fs::read_to_string(&terminal.written("txt")[0]).unwrap();
    assert_eq!(cell(&text, "getppid", 1), Some(1009), "{text}");
    let saved = terminal.written("json");
    assert_eq!(saved.len(), 2);
    for path in saved {
        let process = &export(&path).processes[0];
        for (name, count) in &truth.calls {
            let call = process.syscalls.iter().find(|call| call.name == *name).unwrap();
            assert_eq!(call.count, *count, "{name} in {}", path.display());
        }
    }
}

#[test]
fn the_terminal_is_given_back_around_a_stop_and_at_the_end() {
    need!(installed("tmux"), "tmux is not installed");
    let calls = Calls::start(&["--calls", "getppid", "--count", "1"]);
    let attach = format!("attach -p {} -i 100ms --probes syscalls", calls.pid());
    let terminal = Terminal::start("stop", (100, 30), &attach);
    terminal.shows("LIVE");
    terminal.press("C-z", "Stopped");
    assert!(!terminal.screen().contains("LIVE"));
    terminal.type_in(&["-l", "stty -a | grep -o ' icanon'; fg"]);
    terminal.type_in(&["Enter"]);
    let screen = terminal.shows("LIVE");
    assert!(screen.starts_with("pulse-trace"), "{screen}");
    // SIGTERM ends the session as a key does.
    let tool = rustix::process::Pid::from_raw(terminal.tool() as i32).unwrap();
    rustix::process::kill_process(tool, rustix::process::Signal::TERM).unwrap();
    let screen = terminal.shows("ledger: complete");
    assert!(screen.contains("icanon") && !screen.contains("LIVE"), "{screen}");
}

#[test]
fn a_terminal_that_vanishes_ends_the_session_and_keeps_the_recording() {
    need!(installed("tmux"), "tmux is not installed");
    let mut calls = Calls::start(&["--calls", "getppid", "--count", "101"]);
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("session.rec");
    let attach =
        format!("attach -p {} -i 100ms --probes syscalls --record {}", calls.pid(), recording.display());
    let terminal = Terminal::start("vanish", (100, 30), &attach);
    terminal.shows("LIVE");
    let tool = PathBuf::from(format!("/proc/{}", terminal.tool()));
    calls.go();
    terminal.press("2", "getppid");
    drop(terminal);
    within(PATIENCE, "the tool to end", || !tool.exists());
    let report =
        Command::new(env!("CARGO_BIN_EXE_pulse-trace")).arg("report").arg(&recording).output().unwrap();
    assert_eq!(report.status.into_raw(), 0);
    let text = String::from_utf8(report.stdout).unwrap();
    assert_eq!(cell(&text, "getppid", 1), Some(101), "{text}");
    assert!(text.contains("ledger: complete"), "{text}");
}

#[test]
fn a_recording_is_replayed_with_the_numbers_of_its_report() {
    need!(installed("tmux"), "tmux is not installed");
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("session.rec");
    let record = Command::new(env!("CARGO_BIN_EXE_pulse-trace"))
        .args(["run", "--quiet", "--probes", "syscalls", "-i", "50ms", "--record"])
        .arg(&recording)
        .arg("--")
        .arg(program())
        .args(["--calls", "getppid,dup", "--count", "503"])
        .output()
        .unwrap();
    assert!(record.status.success());
    let terminal = Terminal::start("replay", (120, 40), &format!("report --tui {}", recording.display()));
    terminal.shows("REPLAY");
    let screen = terminal.press("2", "syscall ");
    assert_eq!((cell(&screen, "getppid", 1), cell(&screen, "dup", 2)), (Some(503), Some(503)), "{screen}");
    terminal.press("Left", "HELD");
    terminal.press("End", "REPLAY");
    terminal.press("q", "ended with 0");
}

/// Set in the process that is to panic.
const PANICS: &str = "PULSE_TEST_PANICS";

/// This test on a terminal of its own, as the program that panics.
fn panicking() {
    let outside = Outside {
        request: Box::new(|_| {}),
        json: Box::new(|_| panic!("on purpose")),
        findings: Box::new(views::report::findings),
        switched: std::sync::mpsc::channel().1,
    };
    let facts = Facts { interval: Some(Duration::from_secs(1)), ..Facts::default() };
    let dashboard = Dashboard::open(facts, Look::of_environment(None), outside).unwrap();
    let failed = dashboard.close().1.unwrap_err();
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, format!("then: {failed}\n").as_bytes()).unwrap();
}

#[test]
fn the_terminal_is_given_back_after_a_panic() {
    if std::env::var_os(PANICS).is_some() {
        return panicking();
    }
    need!(installed("tmux"), "tmux is not installed");
    let this = "dashboard::the_terminal_is_given_back_after_a_panic";
    let program = std::env::current_exe().unwrap();
    let command = format!("RUST_BACKTRACE=0 {PANICS}=1 {} --exact {this} --nocapture", program.display());
    let terminal = Terminal::start_other("panic", (100, 30), &command);
    terminal.shows("LIVE");
    terminal.press("e", "then: cannot show the dashboard any longer");
    terminal.type_in(&["-l", "echo $(stty -a | grep -c ' icanon')$((40 + 2))"]);
    let screen = terminal.press("Enter", "142");
    assert!(screen.contains("on purpose"), "{screen}");
    assert!(!screen.contains("LIVE"), "{screen}");
}

#[test]
fn a_terminal_that_can_show_nothing_gets_the_plain_report_and_is_told_so() {
    need!(installed("tmux"), "tmux is not installed");
    let calls = Calls::start(&["--calls", "getppid", "--count", "1"]);
    let tool = env!("CARGO_BIN_EXE_pulse-trace");
    let command = format!("TERM=dumb {tool} attach -p {} -d 300ms --probes syscalls", calls.pid());
    let terminal = Terminal::start_other("dumb", (120, 40), &command);
    let screen = terminal.shows("ended with 0");
    assert!(screen.contains("no dashboard: TERM names no terminal"), "{screen}");
    assert!(screen.contains("ledger: complete"), "{screen}");
}

#[test]
fn a_probe_is_detached_and_attached_at_a_key() {
    need!(installed("tmux"), "tmux is not installed");
    let calls = Calls::start(&["--calls", "getppid", "--count", "1"]);
    let attach = format!("attach -p {} -i 100ms --probes syscalls,sched", calls.pid());
    let terminal = Terminal::start("switch", (120, 40), &attach);
    terminal.shows("LIVE");
    terminal.press("7", "syscalls: t switches it off");
    terminal.press("t", "sched has to know which call a thread is in");
    terminal.press("Down", "sched: t switches");
    terminal.press("t", "sched is off");
    terminal.press("Up", "syscalls: t");
    terminal.press("t", "syscalls is off");
    terminal.press("Down", "sched: t");
    terminal.press("t", "switch syscalls on first");
    terminal.press("Up", "syscalls: t");
    terminal.press("t", "syscalls is on again");
    terminal.press("Down", "sched: t");
    terminal.press("t", "sched is on again");
    terminal.press("q", "ended with 0");
    terminal.type_in(&["-l", "clear; echo $((1 + 1)) done"]);
    terminal.press("Enter", "2 done");
}

#[test]
fn probes_in_the_code_of_a_target_are_taken_out_and_put_in_at_a_key() {
    need!(installed("tmux"), "tmux is not installed");
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (_program, pinned) = ping_pong("adaptive", "1000000");
    let pid = pinned[0].pid;
    let before = left_behind::bytes(pid);
    let attach = format!("attach -p {pid} -i 100ms --probes syscalls,mutex --json end.json");
    let terminal = Terminal::start("mutex", (120, 40), &attach);
    terminal.shows("LIVE");
    assert!(left_behind::is_probed(pid) && left_behind::bytes(pid) != before);
    terminal.press("7", "syscalls: t switches it off");
    for _ in 0..3 {
        terminal.type_in(&["Down"]);
    }
    terminal.shows("mutex: t switches it off");
    terminal.press("t", "mutex is off");
    assert_eq!(left_behind::bytes(pid), before);
    terminal.press("t", "mutex is on again");
    assert!(left_behind::is_probed(pid));
    let screen = terminal.press("Down", "counters: cannot be switched now");
    assert!(screen.contains("mutex: was switched off from"), "{screen}");
    terminal.press("q", "ended with 0");
    assert_eq!(left_behind::bytes(pid), before);
    let notes = export(&terminal.written("json")[0]).notes;
    assert!(notes.iter().any(|note| note.starts_with("mutex: was switched off from")), "{notes:?}");
}

#[test]
fn what_a_command_writes_beside_the_dashboard_is_there_afterwards_and_not_on_it() {
    need!(installed("tmux"), "tmux is not installed");
    let run =
        "run --tui --quiet -- sh -c 'echo to-out; echo to-err >&2; read it; echo read:$it:; sleep 1000'";
    let terminal = Terminal::start("beside", (100, 30), run);
    terminal.shows("LIVE");
    let screen = terminal.press("6", "sleep");
    assert!(!screen.contains("to-out") && !screen.contains("read:"), "{screen}");
    terminal.press("q", "to-err");
    // From here on the command has the terminal again.
    terminal.shows("read::");
    let screen = terminal.shows("meanwhile:");
    assert!(screen.contains("to-out"), "{screen}");
    terminal.type_in(&["C-c"]);
    terminal.shows("ended with");
}
