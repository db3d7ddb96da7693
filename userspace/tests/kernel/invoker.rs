//! Rights of the command of `run`: those of the user who typed it, and none that only the tool was lent.

use std::{collections::BTreeSet, process::Command};

use crate::support::{installed, need};

/// Runs a command under the tool, in an environment; its exit code and what both said.
fn run(environment: &[(&str, &str)], wrapper: &[&str], command: &[&str]) -> (Option<i32>, String, String) {
    let tool = [env!("CARGO_BIN_EXE_pulse-trace"), "run", "--quiet", "--probes", "syscalls", "--"];
    let words: Vec<&str> = wrapper.iter().chain(&tool).chain(command).copied().collect();
    let mut run = Command::new(words[0]);
    run.args(&words[1..]).env_remove("SUDO_UID").env_remove("SUDO_GID").env_remove("SUDO_USER");
    let output = run.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn groups(text: &str) -> BTreeSet<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn a_command_has_the_groups_that_the_user_database_names_and_no_others() {
    // With and without a name that sudo tells: the name is not believed.
    for name in [None, Some("root"), Some("")] {
        let ids = [("SUDO_UID", "65534"), ("SUDO_GID", "65534")];
        let environment: Vec<_> = ids.into_iter().chain(name.map(|name| ("SUDO_USER", name))).collect();
        let (code, said, error) = run(&environment, &[], &["id", "-G"]);
        assert_eq!(code, Some(0), "{error}");
        let expected = Command::new("id").args(["-G", "nobody"]).output().unwrap();
        assert_eq!(groups(&said), groups(&String::from_utf8(expected.stdout).unwrap()), "{name:?}");
    }
    let unknown = [("SUDO_UID", "3999999991"), ("SUDO_GID", "77")];
    assert_eq!(groups(&run(&unknown, &[], &["id", "-G"]).1), BTreeSet::from([77]));
}

#[test]
fn an_invoker_that_cannot_be_told_runs_nothing() {
    for environment in [
        vec![("SUDO_UID", "65534")],
        vec![("SUDO_GID", "65534")],
        vec![("SUDO_UID", "nobody"), ("SUDO_GID", "65534")],
        vec![("SUDO_UID", "-1"), ("SUDO_GID", "65534")],
    ] {
        let (code, said, error) = run(&environment, &[], &["id", "-u"]);
        assert_ne!(code, Some(0), "{environment:?}");
        assert_eq!(said, "", "{environment:?}");
        assert!(error.contains("as the invoking user"), "{error}");
    }
}

#[test]
fn capabilities_that_the_tool_was_lent_do_not_reach_the_command() {
    need!(installed("setpriv"), "setpriv is not installed");
    let lent = ["setpriv", "--inh-caps", "+net_raw,+bpf", "--ambient-caps", "+net_raw,+bpf"];
    let (code, said, error) = run(&[], &lent, &["grep", "-E", "CapAmb|CapInh", "/proc/self/status"]);
    assert_eq!(code, Some(0), "{error}");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["CapInh:", "0000000000000000", "CapAmb:", "0000000000000000"]);
}
