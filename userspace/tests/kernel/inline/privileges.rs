//! Capabilities, and not root as such, allow counting inside of processes of other users.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    code,
    kin::obey,
    mappings,
    program::{Compiled, Program},
};
use crate::support::{export, installed, need, within};

const UNPRIVILEGED: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
/// Capabilities that every session needs.
const SESSION: &str = "+bpf,+perfmon";

/// Opens a file or directory to all users: its owner has to read and write there.
fn opened(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Starts a program as this user, or by a command that changes the user.
fn program(owner: &[&str]) -> Program {
    let compiled = Compiled::of("kin.c", &["-pthread"]);
    opened(compiled.path().parent().unwrap());
    let mut program = match owner {
        [] => compiled.start(&[]),
        owner => compiled.start_by(owner, &[]),
    };
    obey(&mut program, None);
    program
}

/// The tool as an unprivileged user, with some capabilities.
fn tool(capabilities: &str, json: &Path, pid: u32) -> Command {
    let set = format!("-all,{capabilities}");
    let mut command = Command::new(UNPRIVILEGED[0]);
    command.args(&UNPRIVILEGED[1..]).args(["--inh-caps", &set, "--ambient-caps", &set]);
    command.arg(env!("CARGO_BIN_EXE_pulse-trace")).args(["attach", "--inline", "--probes", "syscalls"]);
    command.arg("--json").arg(json).args(["-p", &pid.to_string()]).current_dir("/");
    command
}

/// True if this user's tool can be started at all.
fn can_start() -> bool {
    let mut command = Command::new(UNPRIVILEGED[0]);
    command.args(&UNPRIVILEGED[1..]).args([env!("CARGO_BIN_EXE_pulse-trace"), "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn counts(capabilities: &str, owner: &[&str]) {
    let shop = tempfile::tempdir().unwrap();
    opened(shop.path());
    let json = shop.path().join("json");
    let mut program = program(owner);
    let pid = program.pid();
    let before = code(pid);
    let mut tool = tool(capabilities, &json, pid).stderr(Stdio::piped()).spawn().unwrap();
    within(Duration::from_secs(60), "the counters to be in", || {
        if tool.try_wait().unwrap().is_some() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut tool.stderr.take().unwrap(), &mut said).unwrap();
            panic!("with {capabilities}: {said}");
        }
        code(pid) != before
    });
    within(Duration::from_secs(60), "the tool to listen", || {
        let status = fs::read_to_string(format!("/proc/{}/status", tool.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> (Signal::HUP.as_raw() - 1) & 1 != 0
    });
    let truth = obey(&mut program, Some("fork 1 503"))[0];
    kill_process(Pid::from_child(&tool), Signal::INT).unwrap();
    assert!(tool.wait().unwrap().success());
    let export = export(&json);
    let process = export.processes.iter().find(|process| process.pid == pid).unwrap();
    assert_eq!((process.inline[0].acquisitions, process.inline[0].contended), (truth.1, truth.2));
    assert_eq!(mappings(pid), Vec::<String>::new());
    assert!(code(pid) == before);
    assert!(program.end().success());
}

#[test]
fn a_user_counts_in_processes_of_its_own() {
    need!(installed("gcc") && installed("setpriv"), "gcc or setpriv is not installed");
    need!(can_start(), "others cannot read the tool where it lies");
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    need!(yama.trim().is_empty() || yama.trim() == "0", "kernel.yama.ptrace_scope is not 0");
    counts(SESSION, &UNPRIVILEGED);
}

#[test]
fn a_user_counts_with_the_capability_in_processes_of_others() {
    need!(installed("gcc") && installed("setpriv"), "gcc or setpriv is not installed");
    need!(can_start(), "others cannot read the tool where it lies");
    counts("+bpf,+perfmon,+sys_ptrace", &[]);
}

#[test]
fn others_processes_are_refused_by_name_without_the_capability() {
    need!(installed("gcc") && installed("setpriv"), "gcc or setpriv is not installed");
    need!(can_start(), "others cannot read the tool where it lies");
    let program = program(&[]);
    let before = code(program.pid());
    let output = tool(SESSION, Path::new("/dev/null"), program.pid()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("CAP_SYS_PTRACE"), "{said}");
    assert!(said.contains(&format!("cannot count inside of process {}", program.pid())), "{said}");
    assert!(code(program.pid()) == before && mappings(program.pid()).is_empty());
    assert!(program.end().success());
}
