//! A command that is started but held before its first instruction.
//!
//! The tool starts itself again as a second process; that process gives up the tool's privileges, stops, and replaces
//! itself by the command when it is continued.

use std::{
    cell::Cell,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};

use rustix::{
    fs::{Gid, Uid},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, set_parent_process_death_signal, waitid},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{Pinned, TargetError, user};

/// First argument of the holding process.
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

    /// Starts a command with redirected output and errors, and holds it.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_into(command: &[OsString], output: Stdio, errors: Stdio) -> Result<Self, TargetError> {
        Self::start_among(command, Stdio::inherit(), output, errors)
    }

    /// Starts a command with redirected input, output and errors, and holds it.
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

    /// The held process, as a target.
    #[must_use]
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Starts the held command.
    pub fn release(&self) {
        self.released.set(Some(Instant::now()));
        self.signal(Signal::CONT);
    }

    /// Time of the release; `None` before.
    #[must_use]
    pub fn released(&self) -> Option<Instant> {
        self.released.get()
    }

    /// Sends a signal to the command; without effect on a process that has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// When another thread or library of this process has waited for it.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Exit status of the command; `None` while it runs.
    ///
    /// # Errors
    /// When another thread or library of this process has waited for it.
    pub fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// Finds a command in `PATH` as a shell does.
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

/// Main function of the holding process: drops privileges, stops, and becomes the command. Returns only if that fails,
/// with the reason.
#[must_use]
pub fn hold_and_exec(arguments: &[OsString]) -> String {
    let [path, name, rest @ ..] = arguments else {
        return "cannot hold a command: none was given; this is not meant to be called by hand".to_owned();
    };
    if let Err(cause) = become_invoker() {
        return format!("cannot run {name:?} as the invoking user: {cause}; run it without sudo");
    }
    // If the tool dies now, no other process will continue this one.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    let _ = set_parent_process_death_signal(None);
    let cause = Command::new(path).arg0(name).args(rest).exec();
    format!("cannot run {name:?}: {cause}; check that it is a program for this machine")
}

/// Drops privileges of the tool that the command must not have: under sudo it runs as the invoking user, with that
/// user's groups; capabilities of the tool are never passed on.
fn become_invoker() -> io::Result<()> {
    clear_ambient_capability_set()?;
    if let Ok(held) = capabilities(None) {
        set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..held })?;
    }
    let Some((uid, gid)) = invoker(|name| env::var_os(name))? else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || uid.is_root() {
        return Ok(());
    }
    set_thread_groups(&user::groups(uid, gid)?)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The user that ran `sudo`, from its variables; `None` without sudo. An unreadable value is an error.
fn invoker(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Option<(Uid, Gid)>> {
    let id = |name: &str| {
        let text = variable(name);
        let number = text.as_ref().map(|text| text.to_str().and_then(|text| text.parse::<u32>().ok()));
        match number {
            None => Ok(None),
            // The largest number means "leave it as it is".
            Some(Some(id)) if id != u32::MAX => Ok(Some(id)),
            Some(_) => {
                Err(io::Error::other(format!("{name}={} is no id", text.unwrap_or_default().display())))
            }
        }
    };
    match (id("SUDO_UID")?, id("SUDO_GID")?) {
        (Some(uid), Some(gid)) => Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
        (None, None) => Ok(None),
        (uid, _) => {
            let (is, is_not) =
                if uid.is_some() { ("SUDO_UID", "SUDO_GID") } else { ("SUDO_GID", "SUDO_UID") };
            Err(io::Error::other(format!("{is} is set and {is_not} is not")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invoker_is_whom_sudo_names_and_nothing_else_will_do() {
        let of = |uid: Option<&str>, gid: Option<&str>| {
            let value = |name: &str| if name == "SUDO_UID" { uid } else { gid };
            let found = invoker(|name| value(name).map(OsString::from));
            found
                .map(|found| found.map(|(uid, gid)| (uid.as_raw(), gid.as_raw())))
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(None, None), Ok(None));
        assert_eq!(of(Some("1000"), Some("100")), Ok(Some((1000, 100))));
        for (uid, gid) in [
            (Some("1000"), None),
            (None, Some("100")),
            (Some("root"), Some("100")),
            (Some(""), Some("100")),
            (Some("-1"), Some("100")),
            (Some("4294967295"), Some("100")),
            (Some("1000"), Some("4294967296")),
        ] {
            assert!(of(uid, gid).is_err(), "{uid:?} {gid:?}");
        }
    }

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
