//! Files of others are read by a process without any rights: the tool, started once more, which gives up all that it may do
//! and then answers over a socket. What it needs, this side opens for it. If it dies or takes too long, names are missing
//! and nothing else.

mod answers;
mod confine;
mod names;

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    slice,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use binary::{
    channel::Channel,
    files::Origin,
    input::{self, Identity},
    locate::{plan::Planned, replaceable::Offer},
    service::{Message, Reply, Request, ToService, serve as obey},
};

use self::{answers::Answers, confine::confine};
pub use self::{confine::Confined, names::Names};
use crate::{process_cpu_ns, target};

/// First argument of that process.
pub const SANDBOX: &str = "__sandbox";

/// What is said where it cannot be had.
const LOST: &str = "the process that reads files of others is lost";

/// CPU time that one file may take.
const CPU_TIME: Duration = Duration::from_secs(2);
/// Time that one step may take, on a machine however busy.
const WALL_TIME: Duration = Duration::from_secs(30);
/// Between two looks at how long it takes.
const LOOK: Duration = Duration::from_millis(100);
/// So often it is started anew.
const MOST_FAILURES: u32 = 8;
/// Numbers of modules for each of them.
const MODULES: u32 = 1 << 24;

/// The confined process, as the tool sees it.
#[derive(Default)]
struct Sandbox {
    process: Option<Process>,
    answers: Answers,
    failures: u32,
    /// CPU time of those that have ended.
    spent_ns: u64,
    notes: Vec<String>,
}

struct Process {
    channel: Channel,
    child: Child,
    confined: Confined,
    reading: Option<Reading>,
}

/// What is read, and which file that is.
type Reading = (String, Option<Identity>);

/// Why there is no reply.
enum Failure {
    /// It took too long.
    Slow,
    /// It has ended, or said what is not understood.
    Ended,
}

/// The one of this process.
fn shared() -> MutexGuard<'static, Sandbox> {
    static SHARED: OnceLock<Mutex<Sandbox>> = OnceLock::new();
    SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Starts this program instead of the one that runs: for tests, which are another one.
pub fn use_program(path: &Path) {
    let _ = PROGRAM.set(path.to_owned());
}

/// Starts the process, so that it is there when it is needed.
pub fn start() {
    shared().start();
}

/// What holds it; `None` where there is none.
#[must_use]
pub fn confined() -> Option<Confined> {
    let mut sandbox = shared();
    sandbox.start();
    sandbox.process.as_ref().map(|process| process.confined)
}

/// CPU time that it has had, ns.
#[must_use]
pub fn cpu_ns() -> u64 {
    let sandbox = shared();
    sandbox.spent_ns + sandbox.process.as_ref().map_or(0, Process::cpu_ns)
}

/// Its resident memory, bytes.
#[must_use]
pub fn bytes() -> u64 {
    shared().process.as_ref().map_or(0, |process| target::resident_bytes(process.child.id()))
}

/// Sentences about what could not be read since the last call.
#[must_use]
pub fn take_notes() -> Vec<String> {
    std::mem::take(&mut shared().notes)
}

/// Places to probe in a file.
///
/// # Errors
/// When it cannot be read.
pub fn plan(file: &File, origin: Origin) -> io::Result<Planned> {
    let mut sandbox = shared();
    sandbox.answers.handed_over(&origin);
    match sandbox.ask(Request::Plan(origin), slice::from_ref(file)) {
        Ok(Reply::Plan(planned)) => planned.map_err(Into::into),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(why) => Err(io::Error::other(why)),
    }
}

/// Instructions to replace in a file.
///
/// # Errors
/// When it cannot be read.
pub fn offer(file: &File, path: &Path) -> io::Result<Offer> {
    match shared().ask(Request::Offer(path.to_owned()), slice::from_ref(file)) {
        Ok(Reply::Offer(offer)) => offer.map_err(Into::into),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(why) => Err(io::Error::other(why)),
    }
}

/// What identifies the build of a file.
#[must_use]
pub fn build_id(file: &File) -> Option<String> {
    match shared().ask(Request::BuildId, slice::from_ref(file)) {
        Ok(Reply::BuildId(id)) => id,
        _ => None,
    }
}

impl Sandbox {
    fn start(&mut self) {
        if self.process.is_some() || self.failures == MOST_FAILURES {
            return;
        }
        match Process::start(self.failures * MODULES) {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                self.failures += 1;
                self.notes.push(format!(
                    "cannot read files of targets: no process could be started for it ({error}); functions have no names, \
                     and locks are not probed"
                ));
            }
        }
    }

    /// Says something that nothing is replied to. If the process has ended, the next request finds out.
    fn tell(&mut self, request: Request) {
        if let Some(process) = &self.process {
            let _ = process.channel.send(&ToService::Request(request), &[]);
        }
    }

    /// Asks, and answers what is asked meanwhile.
    ///
    /// # Errors
    /// Why there is no reply. Of a request without a file that is in a note already.
    fn ask(&mut self, request: Request, files: &[File]) -> Result<Reply, String> {
        self.start();
        let process = self.process.as_mut().ok_or(LOST)?;
        let about_process = matches!(request, Request::Observe { .. });
        let failure = match process.ask(request, files, &mut self.answers) {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        let (mut reading, why) = self.bury(&failure).ok_or(LOST)?;
        if let (Some(file), false) = (files.first(), about_process) {
            // Whoever asked says it.
            reading.1 = input::identity(file).ok();
        } else {
            self.notes.push(format!("cannot read {}: {why}; its functions have no names", reading.0));
        }
        self.answers.excluded.extend(reading.1);
        Err(why)
    }

    /// Ends the process; what it read, and what became of it.
    fn bury(&mut self, failure: &Failure) -> Option<(Reading, String)> {
        let mut process = self.process.take()?;
        self.answers.start_anew();
        self.failures += 1;
        self.spent_ns += process.cpu_ns();
        let _ = process.child.kill();
        let status = process.child.wait().ok();
        let how = match failure {
            Failure::Slow => format!("took more than {} s of CPU time", CPU_TIME.as_secs()),
            Failure::Ended => match status.and_then(|status| status.signal()) {
                Some(signal) if signal != libc::SIGKILL => format!("was ended by signal {signal}"),
                _ => "failed".to_owned(),
            },
        };
        let again = if self.failures < MOST_FAILURES { "" } else { ", and no more files are read" };
        let reading = process.reading.take().unwrap_or_else(|| ("a file of a target".to_owned(), None));
        Some((reading, format!("the process that read it {how}{again}")))
    }
}

impl Process {
    fn start(first_module: u32) -> io::Result<Self> {
        let (mut channel, its) = Channel::pair()?;
        let mut command = Command::new(PROGRAM.get().map_or(Path::new("/proc/self/exe"), PathBuf::as_path));
        command.arg0("pulse-trace").arg(SANDBOX).arg(first_module.to_string()).env_clear();
        #[cfg(debug_assertions)]
        command.envs(std::env::vars().filter(|(name, _)| name == "PULSE_SANDBOX_FAULT"));
        let mut child = command.stdin(its).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // It holds the other end: without this, the end of the child would not be noticed.
        drop(command);
        let confined =
            match channel.waits(WALL_TIME).map(|comes| comes.then(|| channel.receive::<Confined>())) {
                Ok(Some(Ok(Some((confined, _))))) => confined,
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(io::Error::other("it has ended at once"));
                }
            };
        Ok(Self { channel, child, confined, reading: None })
    }

    fn cpu_ns(&self) -> u64 {
        process_cpu_ns(self.child.id()).unwrap_or_default()
    }

    fn ask(&mut self, request: Request, files: &[File], answers: &mut Answers) -> Result<Reply, Failure> {
        let files: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
        self.channel.send(&ToService::Request(request), &files).map_err(|_| Failure::Ended)?;
        let (mut since, mut spent) = (Instant::now(), None);
        loop {
            if !self.channel.waits(LOOK).map_err(|_| Failure::Ended)? {
                let used = self.cpu_ns();
                let first = *spent.get_or_insert(used);
                if used.saturating_sub(first) > CPU_TIME.as_nanos() as u64 || since.elapsed() > WALL_TIME {
                    return Err(Failure::Slow);
                }
                continue;
            }
            match self.channel.receive::<Message>() {
                Ok(Some((Message::Reply(reply), _))) => return Ok(reply),
                Ok(Some((Message::Reading { name, file }, _))) => {
                    self.reading = Some((model::text::printable(&name), file));
                    (since, spent) = (Instant::now(), None);
                }
                Ok(Some((Message::Question(question), _))) => {
                    let (answer, files) = answers.to(question);
                    let files: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
                    self.channel.send(&ToService::Answer(answer), &files).map_err(|_| Failure::Ended)?;
                }
                _ => return Err(Failure::Ended),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// That process: gives up its rights, then obeys until the tool ends.
#[must_use]
pub fn serve(first_module: Option<&str>) -> u8 {
    close_inherited();
    let _ = rustix::thread::set_name(c"pulse-reader");
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let channel = Channel::over(socket);
    let confined = confine();
    if channel.send(&confined, &[]).is_err() {
        return 1;
    }
    let first_module = first_module.and_then(|number| number.parse().ok()).unwrap_or_default();
    u8::from(obey(channel, first_module).is_err())
}

/// Descriptors that the tool has, or was given, are none of its business.
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process has opened a descriptor yet but the three that stay.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
    }
}
