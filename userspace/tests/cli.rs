//! Bad input: the exact message and the exit code, and nothing left behind. None of these loads anything into the
//! kernel; the kernel tests have those that do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use model::synthetic::{self, Shape};
use pulse_trace_testing::need;
use views::record::Recorder;

const TOOL: &str = env!("CARGO_BIN_EXE_pulse-trace");
const UNPRIVILEGED: u32 = 65_534;

fn tool() -> Command {
    let mut command = Command::new(TOOL);
    command.env_remove("SUDO_UID").env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    tool().args(arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A refusal: code and message, to the letter; nothing on standard output.
fn refused(arguments: &[&str], code: i32, message: &str) {
    let output = run(arguments);
    let said = errors(&output);
    let first = said.lines().next().unwrap_or_default();
    assert_eq!((output.status.code(), first), (Some(code), message), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pulse-trace-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn targets_that_cannot_be_traced_are_refused_by_name() {
    refused(
        &["attach"],
        2,
        "pulse-trace: cannot attach: no target was given; name one with -p PID, -t TID or --comm NAME, or take --all",
    );
    refused(
        &["attach", "-p", "4194304"],
        2,
        "pulse-trace: cannot trace process 4194304: there is no such process; list processes with `ps -e`",
    );
    refused(
        &["attach", "-t", "4194304"],
        2,
        "pulse-trace: cannot trace thread 4194304: there is no such thread; list a process's threads with \
         `ls /proc/PID/task`",
    );
    refused(
        &["attach", "-p", "2"],
        2,
        "pulse-trace: cannot trace process 2: it is a kernel thread and makes no system calls; choose a user process",
    );
    refused(
        &["attach", "--comm", "no-such-name"],
        2,
        "pulse-trace: cannot trace processes named \"no-such-name\": there are none; names are those of \
         /proc/PID/comm, at most 15 characters",
    );
    refused(
        &["attach", "-p", "abc"],
        2,
        "error: invalid value 'abc' for '--pid <PID>': cannot read id \"abc\": it is not a number above zero; \
         `ps -e` lists processes, --comm takes names",
    );
}

#[test]
fn the_tool_does_not_trace_itself() {
    // The shell puts its own id on the command line and becomes the tool.
    let script = format!("exec {TOOL} attach -p $$ -d 1s");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("that is pulse-trace itself; choose another process"),
        "{}",
        errors(&output)
    );
}

#[test]
fn durations_are_understood_or_explained() {
    for (text, reason) in [
        (
            "0",
            "cannot use duration \"0\": it is zero; give a longer one, or leave it out to trace until Ctrl-C",
        ),
        ("-5", "cannot use duration \"-5\": it is negative; write it like 5s, 250ms or 1.5s"),
        (
            "abc",
            "cannot read duration \"abc\": it is not a number with a unit; write it like 5s, 250ms or 1.5s",
        ),
    ] {
        let message = format!("error: invalid value '{text}' for '--duration <DURATION>': {reason}");
        refused(&["attach", "-p", "1", "--duration", text], 2, &message);
    }
    refused(
        &["attach", "-p", "1", "-i", "1ms"],
        2,
        "pulse-trace: cannot use an interval below 10ms: reading the counters would disturb what they count; use \
         10ms or more",
    );
}

#[test]
fn options_of_a_probe_that_was_not_chosen_are_refused() {
    refused(
        &["attach", "-p", "1", "--mutex-total"],
        2,
        "pulse-trace: cannot use --mutex-total: the probe mutex was not asked for; add it, as with --probes auto,mutex",
    );
    refused(
        &["attach", "-p", "1", "--probes", "mutex", "--mutex-hold", "10"],
        2,
        "pulse-trace: cannot use --mutex-hold: only the probe futex tells when a wait for a mutex is over; add \
         it, as with --probes auto,mutex",
    );
    refused(
        &["attach", "-p", "1", "--probes", "auto,mutex", "--mutex-hold", "0"],
        2,
        "error: invalid value '0' for '--mutex-hold <N>': cannot read \"0\": it is no number from 1 to 1000; 1 is all of \
         the time, 10 a tenth of it",
    );
}

#[test]
fn slips_in_names_are_answered_with_the_nearest() {
    refused(
        &["attach", "-p", "1", "--probes", "sycalls"],
        2,
        "error: invalid value 'sycalls' for '--probes <NAMES>': cannot use probe \"sycalls\": there is no such \
         probe; did you mean \"syscalls\"? See `pulse-trace probes`",
    );
    refused(
        &["attach", "-p", "1", "--limit", "threads=many"],
        2,
        "error: invalid value 'threads=many' for '--limit <NAME=N>': cannot read limit \"threads=many\": \"many\" \
         is not a number; for example threads=4096",
    );
    for (limit, why) in [
        ("threads=0", "nothing would fit; give 1 or more"),
        ("threads=99999999999", "99999999999 is too large; for example threads=4096"),
    ] {
        let message = format!(
            "error: invalid value '{limit}' for '--limit <NAME=N>': cannot use limit \"{limit}\": {why}"
        );
        refused(&["attach", "-p", "1", "--limit", limit], 2, &message);
    }
    refused(
        &["attach", "-p", "1", "--interval", "0s"],
        2,
        "error: invalid value '0s' for '--interval <DURATION>': cannot use interval \"0s\": it is zero; use 10ms or more",
    );
    assert_eq!(run(&["atach"]).status.code(), Some(2));
}

#[test]
fn two_outputs_never_go_into_one_file() {
    let scratch = Scratch::new("same");
    let there = scratch.file("there", b"kept");
    let missing = there.replace("there", "missing");
    let roundabout = missing.replace("missing", "./missing");
    for (one, other) in [(&there, &there), (&missing, &roundabout)] {
        for (first, second) in [("--json", "--html"), ("--json", "--record"), ("--html", "--record")] {
            let message = format!(
                "pulse-trace: cannot write {second} to {other}: {first} goes there; name another file"
            );
            refused(&["run", first, one, second, other, "--", "true"], 2, &message);
        }
    }
    assert_eq!(std::fs::read(&there).unwrap(), b"kept");
    assert!(!std::path::Path::new(&missing).exists());
}

#[test]
fn commands_that_cannot_run_are_refused_before_anything_is_loaded() {
    let scratch = Scratch::new("run");
    let text = scratch.file("text", b"no program");
    for (command, message) in [
        ("/nonexistent", "there is no such file; check the path"),
        (text.as_str(), "it is not executable; set its x bit with `chmod +x`, or name its interpreter first"),
        ("/etc", "it is a directory; name a program"),
        ("no-such-command", "it is not in PATH; give its full path"),
    ] {
        refused(&["run", "--", command], 2, &format!("pulse-trace: cannot run {command:?}: {message}"));
    }
    assert_eq!(run(&["run"]).status.code(), Some(2));
}

#[test]
fn outputs_are_checked_first() {
    let scratch = Scratch::new("out");
    let directory = scratch.path("");
    for option in ["--json", "--record"] {
        refused(
            &["attach", "-p", "1", option, &directory],
            2,
            &format!("pulse-trace: cannot create {directory}: it is a directory; name a file in it"),
        );
    }
    let victim = scratch.file("victim", b"precious");
    let link = scratch.path("link");
    symlink(&victim, &link).unwrap();
    if is_root() {
        refused(
            &["attach", "-p", "1", "--json", &link],
            2,
            &format!(
                "pulse-trace: cannot create {link}: it is, or leads through, a symbolic link, and root follows none; \
                 name the file itself, or - for standard output"
            ),
        );
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
    refused(
        &["attach", "-p", "1", "--record", "-"],
        2,
        "pulse-trace: cannot record to standard output: the report goes there; name a file",
    );
}

#[test]
fn recordings_that_are_none_are_refused() {
    let scratch = Scratch::new("rec");
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty", b"", "it is empty"),
        ("noise", &[0xff, 0, 0x80, b'\n', 7, 0xfe], "it is not a recording of pulse-trace"),
        ("text", b"hello\nworld\n", "it is not a recording of pulse-trace"),
        ("future", b"{\"header\":{\"schema\":\"pulse-trace-recording/99\"}}\n", "pulse-trace-recording/99"),
    ];
    for (name, bytes, reason) in cases {
        let path = scratch.file(name, bytes);
        let output = run(&["report", &path]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(errors(&output).contains(reason), "{name}: {}", errors(&output));
    }
    assert_eq!(run(&["report", &scratch.path("missing")]).status.code(), Some(2));
}

#[test]
fn a_recording_is_exported_in_every_form() {
    let scratch = Scratch::new("export");
    let recording = scratch.path("session.rec");
    let shape = Shape::default();
    let file = views::files::create(Path::new(&recording)).unwrap();
    let mut recorder = Recorder::begin(file, &synthetic::header(shape)).unwrap();
    synthetic::frames(3, shape).iter().for_each(|frame| recorder.frame(frame).unwrap());
    recorder.finish().unwrap();
    let folded = run(&["export", &recording, "--to", "folded"]);
    assert_eq!(folded.status.code(), Some(0), "{}", errors(&folded));
    let shown = String::from_utf8(folded.stdout).unwrap();
    assert!(shown.lines().any(|line| line.starts_with("shm /q +0;main;producer;enqueue+0x2a;")), "{shown}");
    let file = scratch.path("locks.csv");
    let csv = run(&["export", &recording, "--to", "csv", "-o", &file]);
    assert!(csv.status.success() && csv.stdout.is_empty(), "{}", errors(&csv));
    assert!(fs::read_to_string(&file).unwrap().contains("\nlock,1000 1010,,shm /q +0,contention,"));
    let json = run(&["export", &recording, "--to", "json"]).stdout;
    assert_eq!(json, run(&["report", &recording, "--json"]).stdout);
    let bare = scratch.file("bare.rec", include_bytes!("../views/src/record/golden/syscalls-only.rec"));
    refused(
        &["export", &bare, "--to", "folded"],
        2,
        &format!(
            "pulse-trace: cannot export stacks of {bare}: it has none; record with --probes futex or mutex, and without \
             --no-stacks"
        ),
    );
}

#[test]
fn a_line_of_a_gigabyte_is_refused_quickly() {
    let scratch = Scratch::new("long");
    let path = scratch.path("line");
    // Sparse: a gigabyte of zero bytes without a line end.
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let shell = format!("ulimit -v 300000; exec {TOOL} report {path}");
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}

#[test]
fn without_privilege_the_capability_is_named() {
    need!(!is_root() || can_run_as_nobody(), "other users cannot run the tool where it was built");
    let mut command = tool();
    if is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let output = command.args(["run", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    assert_eq!(
        errors(&output),
        "pulse-trace: cannot load BPF programs: this user lacks CAP_BPF and CAP_PERFMON; run it with sudo; or, for a group \
         whose members may then read every process: `chgrp GROUP FILE; chmod 750 FILE; setcap \
         cap_bpf,cap_perfmon,cap_sys_ptrace+ep FILE`, FILE being the program\n"
    );
    let mut command = tool();
    if is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let output = command.args(["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let bpf = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == "CAP_BPF").unwrap();
    assert_eq!((bpf["verdict"].as_str(), bpf["finding"].as_str()), (Some("fault"), Some("missing")));
}

/// A build directory below a private home cannot be entered by others.
fn can_run_as_nobody() -> bool {
    let mut command = Command::new(TOOL);
    command.uid(UNPRIVILEGED).gid(UNPRIVILEGED).arg("--version");
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let script = format!("{TOOL} probes --help | head -1; {TOOL} doctor | head -1");
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().unwrap();
    assert!(errors(&output).is_empty(), "{}", errors(&output));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = tool().arg("probes").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        errors(&output),
        "pulse-trace: cannot write to standard output: No space left on device (os error 28); see where it leads\n"
    );
}

#[test]
fn help_is_the_documented_one() {
    for (arguments, golden) in [
        (&["--help"][..], "help.txt"),
        (&["attach", "--help"][..], "help-attach.txt"),
        (&["run", "--help"][..], "help-run.txt"),
        (&["bench", "--help"][..], "help-bench.txt"),
        (&["compare", "--help"][..], "help-compare.txt"),
        (&["report", "--help"][..], "help-report.txt"),
        (&["export", "--help"][..], "help-export.txt"),
        (&["doctor", "--help"][..], "help-doctor.txt"),
        (&["probes"][..], "probes.txt"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let shown = String::from_utf8(output.stdout).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(golden);
        if std::env::var_os("PULSE_ACCEPT").is_some() {
            fs::write(&path, &shown).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shown, expected, "{golden} is stale; PULSE_ACCEPT=1 cargo test --test cli writes it anew");
    }
}
