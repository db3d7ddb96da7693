//! One confined process: started, asked, and ended when it takes too long.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use binary::{
    channel::Channel,
    input::Identity,
    service::{Message, Reply, Request, ToService},
};
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};

use super::{SANDBOX, answers::Answers, confine::Confined};
use crate::process_cpu_ns;

/// CPU time that one file may take.
pub const CPU_TIME: Duration = Duration::from_secs(2);
/// CPU time that one request may take, however many files it leads to.
const CPU_TIME_OF_ALL: Duration = Duration::from_secs(20);
/// Time that one file may take on a busy machine.
const WALL_TIME: Duration = Duration::from_secs(30);
/// Time that one request may take on a busy machine.
const WALL_TIME_OF_ALL: Duration = Duration::from_secs(60);
/// Between two looks at the time.
const LOOK: Duration = Duration::from_millis(100);
/// Time in which a message is taken and a process is there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Room for messages that were not taken yet; the system may allow less.
const ROOM: usize = 512 << 10;

/// What is read: its name, which file it is, and of which process.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub name: String,
    pub file: Option<Identity>,
    pub pid: u32,
}

/// A process that reads files.
pub struct Process {
    channel: Channel,
    child: Child,
    pub confined: Confined,
    /// What it began to read last, of the request that it works on.
    pub reading: Option<Reading>,
}

/// Reason for which there is no reply.
pub enum Failure {
    /// It took longer than this.
    Slow(String),
    /// It has ended, or said what is not understood.
    Ended,
    /// The request cannot be sent at all.
    Unsent(io::Error),
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Starts this program instead of the one that runs: for tests, which are another one.
pub fn use_program(path: &Path) {
    let _ = PROGRAM.set(path.to_owned());
}

impl Process {
    /// Starts one whose modules are numbered from this on.
    pub fn start(first_module: u32) -> io::Result<Self> {
        let (mut channel, its) = Channel::pair()?;
        set_socket_timeout(&channel, Timeout::Send, Some(PATIENCE))?;
        let _ = set_socket_send_buffer_size(&channel, ROOM);
        let _ = set_socket_send_buffer_size(&its, ROOM);
        let mut command = Command::new(PROGRAM.get().map_or(Path::new("/proc/self/exe"), PathBuf::as_path));
        command.arg0("pulse-trace").arg(SANDBOX).arg(first_module.to_string()).env_clear();
        #[cfg(debug_assertions)]
        command.envs(std::env::vars().filter(|(name, _)| name == "PULSE_SANDBOX_FAULT"));
        let mut child = command.stdin(its).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // It holds the other end: without this, the end of the child would not be noticed.
        drop(command);
        match greeting(&mut channel) {
            Some(confined) => Ok(Self { channel, child, confined, reading: None }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other("it has ended at once"))
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that it has had, ns.
    pub fn cpu_ns(&self) -> u64 {
        process_cpu_ns(self.pid()).unwrap_or_default()
    }

    /// Says something that nothing is replied to; false where it is not taken.
    pub fn tell(&self, request: Request) -> bool {
        self.channel.send(&ToService::Request(request), &[]).is_ok()
    }

    /// Asks, and answers its questions meanwhile. One file may take so much CPU time.
    pub fn ask(
        &mut self,
        request: Request,
        files: &[File],
        answers: &mut Answers,
        cpu_time: Duration,
    ) -> Result<Reply, Failure> {
        self.reading = None;
        self.send(&ToService::Request(request), files)?;
        let mut watch = Watch::new(self.cpu_ns(), cpu_time);
        loop {
            let comes = self.channel.waits(LOOK).map_err(|_| Failure::Ended)?;
            if watch.is_due() {
                watch.look(self.cpu_ns())?;
            }
            if !comes {
                continue;
            }
            match self.channel.receive::<Message>() {
                Ok(Some((Message::Reply(reply), _))) => return Ok(reply),
                Ok(Some((Message::Reading { name, file, pid }, _))) => {
                    self.reading = Some(Reading { name: model::text::printable(&name), file, pid });
                    watch.next_file(self.cpu_ns());
                }
                Ok(Some((Message::Question(question), _))) => {
                    let (answer, files) = answers.to(question);
                    // Without its answer it would take the next request for it.
                    self.send(&ToService::Answer(answer), &files).map_err(|_| Failure::Ended)?;
                }
                _ => return Err(Failure::Ended),
            }
        }
    }

    fn send(&self, message: &ToService, files: &[File]) -> Result<(), Failure> {
        let files: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
        self.channel.send(message, &files).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                Failure::Slow(format!("took no message for {} s", PATIENCE.as_secs()))
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Failure::Ended,
            _ => Failure::Unsent(error),
        })
    }

    /// Ends it; in words, what became of it.
    pub fn end(mut self, failure: &Failure) -> String {
        let _ = self.child.kill();
        let status = self.child.wait().ok();
        let how = match failure {
            Failure::Slow(how) => how.clone(),
            Failure::Ended | Failure::Unsent(_) => match status.and_then(|status| status.signal()) {
                Some(signal) if signal != libc::SIGKILL => format!("was ended by signal {signal}"),
                _ => "failed".to_owned(),
            },
        };
        format!("the process that read it {how}")
    }
}

/// Walls around a process that has just been started; `None` where it has ended instead.
fn greeting(channel: &mut Channel) -> Option<Confined> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if channel.waits(LOOK).ok()? {
            return channel.receive().ok()?.map(|(confined, _)| confined);
        }
    }
    None
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time and CPU time of a request, and of the file that it is at.
struct Watch {
    cpu_time: Duration,
    looked: Instant,
    since: Instant,
    file_since: Instant,
    file_cpu_ns: u64,
    all_cpu_ns: u64,
}

impl Watch {
    fn new(cpu_ns: u64, cpu_time: Duration) -> Self {
        let now = Instant::now();
        Self { cpu_time, looked: now, since: now, file_since: now, file_cpu_ns: cpu_ns, all_cpu_ns: cpu_ns }
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= LOOK
    }

    fn next_file(&mut self, cpu_ns: u64) {
        (self.file_since, self.file_cpu_ns) = (Instant::now(), cpu_ns);
    }

    fn look(&mut self, cpu_ns: u64) -> Result<(), Failure> {
        self.looked = Instant::now();
        let spent = |since: u64| Duration::from_nanos(cpu_ns.saturating_sub(since));
        let over = |limit: Duration, of: &str| {
            Err(Failure::Slow(format!("took more than {} s{of}", limit.as_secs())))
        };
        if spent(self.file_cpu_ns) > self.cpu_time {
            return over(self.cpu_time, " of CPU time");
        }
        if spent(self.all_cpu_ns) > CPU_TIME_OF_ALL.max(self.cpu_time) {
            return over(CPU_TIME_OF_ALL, " of CPU time");
        }
        if self.file_since.elapsed() > WALL_TIME.max(self.cpu_time) {
            return over(WALL_TIME, "");
        }
        if self.since.elapsed() > WALL_TIME_OF_ALL {
            return over(WALL_TIME_OF_ALL, "");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn a_file_and_a_request_have_limits_that_no_message_resets() {
        let slow = |outcome: Result<(), Failure>| matches!(outcome, Err(Failure::Slow(_)));
        let mut watch = Watch::new(SECOND_NS, CPU_TIME);
        assert!(!slow(watch.look(3 * SECOND_NS)));
        assert!(slow(watch.look(3 * SECOND_NS + 1)));
        // Always another file, none of them above its own limit.
        let mut watch = Watch::new(0, CPU_TIME);
        let outcomes = (1..=20).map(|second| {
            watch.next_file(second * SECOND_NS);
            slow(watch.look(second * SECOND_NS + SECOND_NS))
        });
        let outcomes: Vec<bool> = outcomes.collect();
        assert_eq!(outcomes.iter().position(|slow| *slow), Some(19), "{outcomes:?}");
    }
}
