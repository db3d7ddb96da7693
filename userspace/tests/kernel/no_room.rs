//! A full disk, a limit of file sizes, a small stack: the command goes on, and so does the tool where it can.

use std::{fs, process::Command};

use crate::support::need;

/// Runs the tool from a shell that has set a limit.
fn under(limit: &str, words: &[&str]) -> std::process::Output {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_pulse-trace")]).args(words).output().unwrap()
}

/// Runs for a while, makes calls all the time, and says at the end that it got there.
const COMMAND: &str = "i=0; while [ $i -lt 40 ]; do head -c 1 /dev/zero >/dev/null; sleep 0.02; i=$((i+1)); done; echo done; exit 7";

#[test]
fn a_recording_that_finds_no_room_ends_and_the_command_does_not() {
    let shop = tempfile::tempdir().unwrap();
    let (recording, export) = (shop.path().join("recording"), shop.path().join("export.json"));
    // Blocks of 512 bytes: the first frames fit.
    let words =
        ["run", "--plain", "-i", "20ms", "--record", recording.to_str().unwrap(), "--", "sh", "-c", COMMAND];
    let output = under("-f 24", &words);
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{error}");
    assert!(said.starts_with("done\n"), "{said}");
    assert!(said.contains("the recording ends before"), "{said}");
    assert!(error.contains("cannot write"), "{error}");
    assert!(fs::metadata(&recording).unwrap().len() <= 24 * 512);
    // What was recorded can be read.
    let report =
        Command::new(env!("CARGO_BIN_EXE_pulse-trace")).arg("report").arg(&recording).output().unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let words = ["run", "--plain", "--json", export.to_str().unwrap(), "--", "sh", "-c", "echo done; exit 7"];
    let output = under("-f 1", &words);
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{error}");
    assert!(said.starts_with("done\n") && said.contains("ledger"), "{said}");
    assert!(error.contains("cannot write"), "{error}");
}

#[test]
fn a_small_stack_is_enough() {
    let words =
        ["run", "--plain", "--probes", "auto", "--", "sh", "-c", "head -c 1 /dev/zero >/dev/null; exit 7"];
    let output = under("-s 128", &words);
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ledger"));
}

#[test]
fn what_forbids_or_hinders_it_is_named_and_no_kernel_is_blamed() {
    let attach = ["attach", "--plain", "-d", "100ms", "-p", &std::process::id().to_string()];
    let few = under("-n 12", &attach);
    let error = String::from_utf8_lossy(&few.stderr).into_owned();
    assert!(!few.status.success() && error.contains("ulimit -n") && !error.contains("Linux 5.10"), "{error}");
    let can = Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    need!(can.is_ok_and(|output| output.status.success()), "this machine allows no user namespaces");
    // Root there, with every capability, and not of the machine.
    let inside = Command::new("unshare")
        .args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_pulse-trace")])
        .args(attach)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&inside.stderr).into_owned();
    assert_eq!(inside.status.code(), Some(3), "{error}");
    assert!(error.contains("user namespace") && !error.contains("Linux 5.10"), "{error}");
}
