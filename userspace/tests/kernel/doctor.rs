//! `doctor -p`: what can be seen of a target, and who else looks.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Running, Tool, installed, need, within};

/// A tracer; interrupted when dropped.
struct Tracer(Child);

impl Tracer {
    fn new(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It is asked, so that it takes its probes out again.
        let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
        let _ = self.0.wait();
    }
}

/// Verdict and finding about one subject.
pub fn finding(pid: u32, subject: &str) -> (String, String) {
    let (_, said, _) = Tool::start(["doctor", "--json", "-p", &pid.to_string()]).end();
    let findings: Value = serde_json::from_str(&said).unwrap();
    let about = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == subject);
    let about = about.unwrap_or_else(|| panic!("nothing about {subject}: {said}"));
    let text = |field: &str| about[field].as_str().unwrap().to_owned();
    (text("verdict"), text("finding"))
}

#[test]
fn other_probes_in_the_library_of_a_target_are_noticed() {
    need!(installed("bpftrace"), "bpftrace is not installed");
    let target = Running::start("sleep", &["1000"]);
    let pid = target.pid();
    within(Duration::from_secs(10), "the C library", || {
        std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("libc.so.6"))
    });
    assert_eq!(finding(pid, "other tracers").0, "ok");
    assert_eq!(finding(pid, "stacks").0, "ok");
    let (verdict, locks) = finding(pid, "locks");
    assert!(verdict == "note" || locks.contains("glibc"), "{locks}");

    let script = "uprobe:libc:pthread_mutex_lock { @ = count() }";
    let foreign = Tracer::new(Command::new("bpftrace").args(["-p", &pid.to_string(), "-e", script]));
    within(Duration::from_secs(30), "the foreign probe to be noticed", || {
        let (verdict, found) = finding(pid, "other tracers");
        verdict == "note" && found.contains("changed in 1 place") && found.contains("pthread_mutex_lock")
    });
    drop(foreign);
    within(Duration::from_secs(10), "the code to be restored", || finding(pid, "other tracers").0 == "ok");
}

#[test]
fn what_the_kernel_is_locked_down_to_is_what_it_says_itself() {
    // For this command only, the file system is mounted where it belongs.
    let mounted = "mount -t securityfs none /sys/kernel/security && cat /sys/kernel/security/lockdown";
    let oracle = Command::new("unshare").args(["-m", "sh", "-c", mounted]).output().unwrap();
    let levels = String::from_utf8(oracle.stdout).unwrap();
    let (verdict, found) = finding(std::process::id(), "lockdown");
    match levels.split(['[', ']']).nth(1) {
        Some(level) => assert_eq!(found, level),
        None => assert!(found.starts_with("not "), "{found}"),
    }
    assert_eq!(verdict == "fault", levels.contains("[confidentiality]"));
}
