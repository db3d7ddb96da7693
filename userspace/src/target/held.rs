//! A command that is started but held before its first instruction.
//!
//! The tool starts itself once more; that process gives up the tool's privileges, stops, and replaces itself by the
//! command when it is told to go on.

use std::{
    cell::Cell,
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};

use rustix::{
    fs::{Gid, Uid},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, set_parent_process_death_signal, waitid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use super::{Pinned, TargetError};

/// First argument of the process that holds.
pub const HOLD: &str = "__hold";

/// A command that waits for [`Held::release`].
#[derive(Debug)]
pub struct Held {
    child: Child,
    pinned: Pinned,
    released: Cell<Option<Instant>>,
}

impl Held {
    /// Starts a command and holds it.
    ///
    /// # Errors
    /// When there is no such command or it cannot be started.
    pub fn start(command: &[OsString]) -> Result<Self, TargetError> {
        Self::start_into(command, Stdio::inherit(), Stdio::inherit())
    }

    /// The same with its output and its errors going elsewhere.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_into(command: &[OsString], output: Stdio, errors: Stdio) -> Result<Self, TargetError> {
        Self::start_among(command, Stdio::inherit(), output, errors)
    }

    /// The same with its input coming from elsewhere, too.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_among(
        command: &[OsString],
        input: Stdio,
        output: Stdio,
        errors: Stdio,
    ) -> Result<Self, TargetError> {
        super::select::in_initial_namespace()?;
        let name = command.first().map(OsString::as_os_str).unwrap_or_default();
        let path = find(name)?;
        let failed = |cause: std::io::Error| TargetError::Command {
            command: name.to_string_lossy().into_owned(),
            cause: cause.to_string(),
            remedy: "see whether the machine is out of processes or memory",
        };
        let mut holder = Command::new("/proc/self/exe");
        holder.arg0("pulse-trace").arg(HOLD).arg(path).args(command);
        holder.stdin(input).stdout(output).stderr(errors);
        let child = holder.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        let stopped =
            waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .map_err(|errno| failed(errno.into()))?;
        if !stopped.is_some_and(|status| status.stopped()) {
            return Err(failed(std::io::Error::other("it ended before it began")));
        }
        let pinned = Pinned::process(child.id())?;
        Ok(Self { child, pinned, released: Cell::new(None) })
    }

    /// The process, to be traced.
    #[must_use]
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Lets the command begin.
    pub fn release(&self) {
        self.released.set(Some(Instant::now()));
        self.signal(Signal::CONT);
    }

    /// When that was.
    #[must_use]
    pub fn released(&self) -> Option<Instant> {
        self.released.get()
    }

    /// Sends it a signal; a process that has ended already needs none.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When somebody else has waited for it.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// When somebody else has waited for it.
    pub fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// Finds a command as a shell would.
fn find(name: &OsStr) -> Result<PathBuf, TargetError> {
    let fail = |cause: &str, remedy| TargetError::Command {
        command: name.to_string_lossy().into_owned(),
        cause: cause.to_owned(),
        remedy,
    };
    let is_path = name.as_encoded_bytes().contains(&b'/');
    let candidates: Vec<PathBuf> = if is_path {
        vec![PathBuf::from(name)]
    } else {
        let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        env::split_paths(&path).map(|directory| directory.join(name)).collect()
    };
    if let Some(found) = candidates.iter().find(|path| is_executable(path)) {
        return Ok(found.clone());
    }
    match candidates.iter().find_map(|path| fs::metadata(path).ok()) {
        Some(metadata) if metadata.is_dir() => Err(fail("it is a directory", "name a program")),
        Some(_) => {
            Err(fail("it is not executable", "set its x bit with `chmod +x`, or name its interpreter first"))
        }
        None if is_path => Err(fail("there is no such file", "check the path")),
        None => Err(fail("it is not in PATH", "give its full path")),
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The holding process: drops privileges, stops, and becomes the command. Returns only if that fails, with a sentence
/// that says why.
#[must_use]
pub fn hold_and_exec(arguments: &[OsString]) -> String {
    let [path, name, rest @ ..] = arguments else {
        return "cannot hold a command: none was given; this is not meant to be called by hand".to_owned();
    };
    if let Err(cause) = become_invoker() {
        return format!("cannot run {name:?} as the invoking user: {cause}; run it without sudo");
    }
    // Should the tool die now, nobody would ever continue this process.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    let _ = set_parent_process_death_signal(None);
    let cause = Command::new(path).arg0(name).args(rest).exec();
    format!("cannot run {name:?}: {cause}; check that it is a program for this machine")
}

/// Under sudo, the command is to run as the user who typed it.
fn become_invoker() -> std::io::Result<()> {
    let id = |name| env::var(name).ok().and_then(|id: String| id.parse::<u32>().ok());
    let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || uid == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&groups_of_invoker(gid))?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn groups_of_invoker(primary: Gid) -> Vec<Gid> {
    let user = env::var("SUDO_USER").unwrap_or_default();
    let database = fs::read_to_string("/etc/group").unwrap_or_default();
    let mut groups = vec![primary];
    for line in database.lines() {
        let mut fields = line.split(':');
        let (Some(id), Some(members)) = (fields.nth(2), fields.next()) else { continue };
        if members.split(',').any(|member| member == user) {
            groups.extend(id.parse().ok().map(Gid::from_raw));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_or_refused_by_name() {
        assert!(find("sh".as_ref()).is_ok());
        let refused = |name: &str| find(name.as_ref()).unwrap_err().to_string();
        assert!(refused("/nonexistent").contains("there is no such file"));
        assert!(refused("no-such-command-anywhere").contains("not in PATH"));
        assert!(refused("/etc/passwd").contains("not executable"));
        assert!(refused("/etc").contains("is a directory"));
    }
}
