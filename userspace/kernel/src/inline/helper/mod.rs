//! The process that puts counters in and removes them, so that removal does not depend on the life of the tool.
//!
//! The helper is the same executable, started again in a session of its own: no key of the terminal reaches it, and the
//! signals that end or stop the tool do not stop it half-way. When the tool ends, in any way, the socket between them
//! is closed, and the helper removes the counters that are still in. When the helper is killed, the tool removes them.

mod wire;

use std::{
    fs::File,
    io,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::Duration,
};

use binary::channel::Channel;
use signal_hook::consts::{FORBIDDEN, signal};
use wire::{Reply, Request};

use super::{Detail, InlineError, Patch, Removal, fault, owner};
use crate::{sandbox, target};

/// First argument of the helper process.
pub const HELPER: &str = "__counters";

/// The helper process, as the tool sees it. It ends when this is dropped.
#[derive(Debug)]
pub struct Helper {
    channel: Mutex<Channel>,
    child: Mutex<Child>,
    /// Process id of the helper.
    pub pid: u32,
}

impl Helper {
    /// Starts the helper; `pid` is the target that an error names.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(pid: u32) -> Result<Arc<Self>, InlineError> {
        let failed = InlineError::step(pid, "starting a helper process");
        let (mine, its) = Channel::pair().map_err(&failed)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("pulse-trace").arg(HELPER);
        let child = command.stdin(its).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
        let pid = child.id();
        Ok(Arc::new(Self { channel: Mutex::new(mine), child: Mutex::new(child), pid }))
    }

    /// Has counters put into a process; `loaded`: into a program that has just begun, once its C library is mapped.
    ///
    /// # Errors
    /// As for [`Patch::put_in`].
    pub fn put_in(self: &Arc<Self>, pid: u32, detail: Detail, loaded: bool) -> Result<Patch, InlineError> {
        match self.ask(&Request::PutIn { pid, detail, loaded }) {
            Ok((Reply::PutIn(about), Some(counters))) => Patch::of_helper(about, counters, Arc::clone(self)),
            // As a parent the tool may trace what another process of the same user may not.
            Ok((Reply::Failed(failed), _)) => match failed.into_error(pid) {
                InlineError::Permission { .. } => put_in(pid, detail, loaded),
                error => Err(error),
            },
            // The helper has been killed, maybe half-way: what it has left is found and removed first.
            _ => put_in(pid, detail, loaded),
        }
    }

    /// Has the counters removed; `None` where there is no helper any more.
    pub(super) fn remove(&self, pid: u32, base: u64) -> Option<Result<Removal, InlineError>> {
        match self.ask(&Request::Remove { pid, base }) {
            Ok((Reply::Removed(removal), _)) => Some(Ok(removal)),
            Ok((Reply::Failed(failed), _)) => Some(Err(failed.into_error(pid))),
            _ => None,
        }
    }

    fn ask(&self, request: &Request) -> io::Result<(Reply, Option<File>)> {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = channel.send(request, &[]).and_then(|()| channel.receive());
        if !matches!(answer, Ok(Some(_))) {
            // Until the helper has been reaped it may still hold threads of a target.
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = child.kill();
            let _ = child.wait();
        }
        let (reply, mut files) = answer?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((reply, files.pop()))
    }
}

/// Signals that keep their default action in the helper: its own faults, and those that do nothing by default.
const LEFT: [i32; 8] = [
    signal::SIGILL,
    signal::SIGBUS,
    signal::SIGFPE,
    signal::SIGSEGV,
    signal::SIGCHLD,
    signal::SIGCONT,
    signal::SIGURG,
    signal::SIGWINCH,
];
/// The largest number of a signal.
const LAST_SIGNAL: i32 = 64;

/// Main function of the helper process: executes requests until the tool ends, then removes the counters that are left.
#[must_use]
pub fn serve() -> u8 {
    fault::in_helper();
    sandbox::close_inherited();
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let mut channel = Channel::over(socket);
    let _ = rustix::process::setsid();
    let heard = Arc::new(AtomicBool::new(false));
    // SIGKILL, SIGSTOP and the signals of the C library cannot be handled.
    for number in (1..=LAST_SIGNAL).filter(|number| !LEFT.contains(number) && !FORBIDDEN.contains(number)) {
        let _ = signal_hook::flag::register(number, Arc::clone(&heard));
    }
    // The helper must not keep the tool's directory in use.
    let _ = rustix::process::chdir("/");
    owner::act_for_parent();
    let mut patches: Vec<Patch> = Vec::new();
    while let Ok(Some((request, _))) = channel.receive::<Request>() {
        let (reply, counters) = obey(request, &mut patches);
        let files: Vec<_> = counters.iter().map(|file| file.as_fd()).collect();
        if channel.send(&reply, &files).is_err() {
            break;
        }
    }
    clear(patches);
    0
}

/// Puts counters in from this process.
fn put_in(pid: u32, detail: Detail, loaded: bool) -> Result<Patch, InlineError> {
    if loaded { Patch::put_in_loaded(pid, detail) } else { Patch::put_in(pid, detail) }
}

fn obey(request: Request, patches: &mut Vec<Patch>) -> (Reply, Option<File>) {
    match request {
        Request::PutIn { pid, detail, loaded } => {
            let done = put_in(pid, detail, loaded).and_then(|patch| {
                let counters = patch.counters_file().map_err(InlineError::step(pid, "sharing counters"))?;
                Ok((patch, counters))
            });
            match done {
                Ok((patch, counters)) => {
                    let about = patch.about.clone();
                    patches.push(patch);
                    (Reply::PutIn(about), Some(counters))
                }
                Err(error) => (Reply::Failed((&error).into()), None),
            }
        }
        Request::Remove { pid, base } => {
            let Some(at) = patches.iter().position(|patch| patch.about.is_at(pid, base)) else {
                return (Reply::Removed(Removal::default()), None);
            };
            let done = patches[at].remove();
            if matches!(done, Ok(Removal { memory_left: false, .. }) | Err(InlineError::Gone(_))) {
                patches.remove(at);
            }
            let reply = match done {
                Ok(removal) => Reply::Removed(removal),
                Err(error) => Reply::Failed((&error).into()),
            };
            (reply, None)
        }
    }
}

/// First pause between two tries; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Tries for failures other than a process that waits in the kernel.
const TRIES: u32 = 20;

/// Removes all counters. A process that waits in the kernel cannot be stopped, so it is left alone for as long as it
/// waits. Other failures are retried at growing intervals.
fn clear(mut patches: Vec<Patch>) {
    let (mut tries, mut pause) = (0, PAUSE);
    loop {
        let mut tried = false;
        patches.retain_mut(|patch| {
            let pid = patch.about.pid;
            if waits_in_kernel(pid) {
                return true;
            }
            tried = true;
            match patch.remove() {
                Ok(removal) => removal.memory_left && tries < TRIES,
                Err(InlineError::Gone(_)) => false,
                Err(_) => tries < TRIES && target::living(pid).is_some(),
            }
        });
        if patches.is_empty() {
            return;
        }
        tries += u32::from(tried);
        thread::sleep(pause);
        pause = if tried { (2 * pause).min(LONGEST_PAUSE) } else { PAUSE };
    }
}

/// True if a thread of a process can now be neither stopped nor ended.
fn waits_in_kernel(pid: u32) -> bool {
    let waits = |tid: u32| target::thread_stat(tid).is_some_and(|stat| stat.state == 'D');
    target::threads(pid).into_iter().any(waits)
}
