//! The dashboard where names are hostile, windows tiny and threads many.

use std::{
    fs,
    io::Write as _,
    process::{Child, Command, Stdio},
};

use model::text::{of_comm, printable};

use crate::{
    dashboard::{PATIENCE, Terminal},
    support::{Calls, installed, need, within},
};

/// Sets a window's title, ends in what is no UTF-8.
const NAME: &[u8] = b"\x1b]2;owned\x07\xff\xc2";

/// A process with a hostile name; killed when dropped.
struct Hostile(Child);

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell that names itself so, and makes system calls until it is killed.
fn hostile(dir: &std::path::Path) -> Hostile {
    let name = dir.join("name");
    fs::write(&name, NAME).unwrap();
    let script = "mkfifo \"$0/pipe\"; exec 9<>\"$0/pipe\" 8>\"/proc/$$/comm\"; \
                  printf '%s' \"$(cat \"$0/name\")\" >&8; while :; do read -r -t 0.02 -u 9 _; done";
    let child = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", script])
        .arg(dir)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let hostile = Hostile(child);
    let comm = format!("/proc/{}/comm", hostile.0.id());
    let named = || fs::read(&comm).is_ok_and(|comm| comm.strip_suffix(b"\n") == Some(NAME));
    within(PATIENCE, "the shell to take its name", named);
    hostile
}

/// Output of the tool to a terminal is kept as it is, byte for byte.
#[test]
fn what_a_name_would_have_a_terminal_do_never_reaches_it() {
    need!(installed("script"), "script is not installed");
    let dir = tempfile::tempdir().unwrap();
    let target = hostile(dir.path());
    let typescript = dir.path().join("typescript");
    let tool = env!("CARGO_BIN_EXE_pulse-trace");
    let command =
        format!("stty rows 30 cols 100; exec {tool} attach -p {} -i 100ms --probes syscalls", target.0.id());
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &command])
        .arg(&typescript)
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut keys = script.stdin.take().unwrap();
    let written = || fs::read(&typescript).unwrap_or_default();
    let contains = |what: &[u8]| written().windows(what.len()).any(|some| some == what);
    within(PATIENCE, "the first numbers", || contains(b"LIVE"));
    let shown = printable(&of_comm(NAME));
    within(PATIENCE, "the name, spelled out", || contains(shown.as_bytes()));
    // It stands in every view that names processes, and in the report below the prompt.
    for key in *b"23456781" {
        keys.write_all(&[key]).unwrap();
        let before = written().len();
        within(PATIENCE, "an answer", || written().len() > before);
    }
    keys.write_all(b"q").unwrap();
    within(PATIENCE, "the tool to end", || script.try_wait().unwrap().is_some());
    let bytes = written();
    assert!(contains(b"ledger: "), "{}", String::from_utf8_lossy(&bytes).escape_debug());
    assert!(!contains(b"\x1b]"), "a title was set");
    assert!(!bytes.contains(&0xff) && !bytes.contains(&0x07), "a raw byte of the name came through");
    let all = bytes.split(|byte| *byte == b'\n').all(|line| std::str::from_utf8(line).is_ok());
    assert!(all, "what is no UTF-8 came through");
}

#[test]
fn a_window_too_small_says_so_and_one_that_grows_shows_all() {
    need!(installed("tmux"), "tmux is not installed");
    let calls = Calls::start(&["--calls", "getppid", "--count", "1"]);
    let attach = format!("attach -p {} -i 100ms --probes syscalls", calls.pid());
    let terminal = Terminal::start("tiny", (60, 20), &attach);
    terminal.shows("LIVE");
    assert!(terminal.tmux(&["resize-window", "-x", "10", "-y", "3"]).status().unwrap().success());
    terminal.shows("too small");
    for key in ["2", "3", "4", "5", "6", "7", "?", "Space", "1"] {
        terminal.type_in(&[key]);
    }
    assert!(terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]).status().unwrap().success());
    let screen = terminal.shows("HELD");
    assert!(screen.contains("Top system calls"), "{screen}");
    terminal.press("Space", "LIVE");
    terminal.press("q", "ended with 0");
}

#[test]
fn ten_thousand_threads_are_followed_and_a_key_ends_it_at_any_time() {
    need!(installed("tmux"), "tmux is not installed");
    let calls = Calls::start(&["--calls", "getppid", "--count", "1", "--threads", "10000", "--sealed"]);
    let attach = format!("attach -p {} -i 200ms --probes syscalls,sched", calls.pid());
    let early = Terminal::start("early", (100, 30), &attach);
    within(PATIENCE, "the first screen", || {
        let screen = early.screen();
        screen.contains("ATTACHING") || screen.contains("LIVE")
    });
    early.type_in(&["q"]);
    within(PATIENCE, "the tool to end", || {
        let screen = early.screen();
        // On a fast machine the session may have begun.
        screen.contains("cannot trace: it was ended before") || screen.contains("ledger: ")
    });
    drop(early);
    let terminal = Terminal::start("many", (100, 30), &attach);
    terminal.shows("LIVE");
    terminal.shows("10001 threads");
    terminal.press("6", "Threads of");
    terminal.press("q", "ended with 0");
}

/// A column of the row of a call.
fn cell(screen: &str, name: &str, column: &str) -> Option<String> {
    let words = |first: &str| {
        let line = screen.lines().find(|line| line.split_ascii_whitespace().next() == Some(first))?;
        Some(line.split_ascii_whitespace().collect::<Vec<_>>())
    };
    let at = words("syscall")?.iter().position(|title| *title == column)?;
    words(name)?.get(at).map(|cell| (*cell).to_owned())
}

/// One wait of 700 ms, then waits of 2 ms for ever: the kernel side keeps the 700 ms, the window must not.
#[test]
fn a_maximum_is_that_of_the_window_and_not_of_the_session() {
    need!(installed("tmux"), "tmux is not installed");
    let dir = tempfile::tempdir().unwrap();
    let script = "mkfifo \"$0/pipe\"; exec 9<>\"$0/pipe\"; echo ready; read -r _; read -r -t 0.7 -u 9 _; \
                  while :; do read -r -t 0.002 -u 9 _; done";
    let mut child = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", script])
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut ready)
        .unwrap();
    let mut target = Hostile(child);
    let attach = format!("attach -p {} -i 100ms --probes syscalls", target.0.id());
    let terminal = Terminal::start("maxima", (120, 40), &attach);
    terminal.shows("LIVE");
    terminal.press("2", "syscall ");
    for _ in 0..2 {
        terminal.type_in(&["-"]);
    }
    terminal.shows("window 2.00s");
    target.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let longest = || cell(&terminal.screen(), "pselect6", "max");
    let is_long = |cell: &String| {
        let ms = cell.strip_suffix("ms").and_then(|ms| ms.parse::<f64>().ok());
        ms.is_some_and(|ms| ms >= 699.0)
    };
    within(PATIENCE, "the long wait", || longest().is_some_and(|cell| is_long(&cell)));
    within(PATIENCE, "the window without it", || longest().is_some_and(|cell| !is_long(&cell)));
    // All of the session has it still.
    terminal.press("c", "SUMS");
    assert!(is_long(&longest().unwrap()), "{}", terminal.screen());
}
