//! Starting other programs: announced, checked, and as root only where that is asked for.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{say, workspace};

/// A command that runs in the root of the repository and finds what `cargo install` installed.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).env("PATH", search_path());
    command
}

/// Cargo, with its arguments.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = command("cargo");
    command.args(arguments);
    command
}

/// The caller's search path, and behind it the places that a shell of root or a bare shell lacks.
fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    if let Some(cargo) = cargo {
        path.push(":");
        path.push(cargo.join("bin"));
    }
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Path of a program, if it is installed.
pub fn which(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// True when the caller is root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Words that start a program as root: none for root itself, otherwise sudo, which passes on the variables that the
/// tests read.
pub fn as_root() -> Result<Vec<String>> {
    if is_root() {
        return Ok(Vec::new());
    }
    if which("sudo").is_none() {
        bail!("cannot load BPF programs: this needs root and there is no sudo; run the same command as root");
    }
    Ok(vec!["sudo".into(), "--preserve-env=PULSE_REQUIRE,RUST_BACKTRACE,NO_COLOR,CARGO_TARGET_DIR".into()])
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Announces a command, runs it and fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    say::note(format_args!("$ {}", shown(command)));
    quietly(command)
}

/// Runs a command unannounced; its output is shown as it is.
pub fn quietly(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Sends a signal by its name, by the shell's own `kill`: not every system has a program of that name.
pub fn signal(name: &str, pids: &[u32]) -> Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    let mut kill = command("sh");
    kill.args(["-c", "kill \"$@\"", "sh", &format!("-{name}")]);
    quietly(kill.args(pids.iter().map(u32::to_string)))
}

/// Standard output of a command that must succeed; its error output is part of the error when it does not.
pub fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}: {}", shown(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("a");
        command.args(["b c", "d'e", "--f=1"]);
        assert_eq!(shown(&command), r"a 'b c' 'd'\''e' --f=1");
    }

    #[test]
    fn failures_carry_the_cause() {
        let error = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        assert!(quietly(&mut Command::new("/nonexistent/program")).is_err());
        assert_eq!(capture(Command::new("echo").arg("x")).unwrap(), "x\n");
    }

    #[test]
    fn programs_are_found() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program-anywhere").is_none());
    }
}
