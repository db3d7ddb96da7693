//! Stops every thread of a process.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use super::{
    InlineError,
    ptrace::{self, Event},
    resume::{self, Resumed},
};
use crate::target;

/// Longest wait for a thread that waits in the kernel to stop: in `vfork`, or for a disk.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest wait for a thread that only waits for a processor.
const LONG_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two polls.
const PAUSE: Duration = Duration::from_micros(30);

/// Stopped threads, until this is dropped.
pub struct Halted {
    pid: u32,
    /// Thread ids, with the signal that each was about to take.
    threads: BTreeMap<u32, i32>,
    since: Instant,
    /// Signals that came to a thread while it made calls, and are still to be delivered.
    late: Vec<(u32, i32)>,
    /// Number of calls with a time limit that were ended by the stop.
    cut_short: usize,
}

/// Effects of a stop on the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stood {
    /// Duration of the stop.
    pub time: Duration,
    /// Threads whose call with a time limit returned `EINTR` because of the stop.
    pub cut_short: usize,
}

impl Halted {
    /// Stops those of these threads that are still alive.
    pub fn only(pid: u32, threads: &[u32]) -> Result<Self, InlineError> {
        let mut halted = Self::none(pid);
        let seized = halted.seize(threads)?;
        halted.since = Instant::now();
        halted.stop(&seized)?;
        Ok(halted)
    }

    fn none(pid: u32) -> Self {
        Self { pid, threads: BTreeMap::new(), since: Instant::now(), late: Vec::new(), cut_short: 0 }
    }

    /// Stops every thread, including those born meanwhile.
    pub fn all(pid: u32) -> Result<Self, InlineError> {
        let mut halted = Self::none(pid);
        let mut first = true;
        loop {
            let new: Vec<u32> =
                target::threads(pid).into_iter().filter(|tid| !halted.threads.contains_key(tid)).collect();
            let seized = halted.seize(&new)?;
            if std::mem::take(&mut first) {
                // Before this moment no thread was stopped.
                halted.since = Instant::now();
            }
            if seized.is_empty() {
                break;
            }
            halted.stop(&seized)?;
        }
        if halted.threads.is_empty() { Err(InlineError::Gone(pid)) } else { Ok(halted) }
    }

    fn seize(&mut self, new: &[u32]) -> Result<Vec<u32>, InlineError> {
        let mut seized = Vec::with_capacity(new.len());
        for tid in new {
            match ptrace::seize(*tid) {
                Ok(()) => {
                    self.threads.insert(*tid, 0);
                    seized.push(*tid);
                }
                // The thread has ended, though it may still be listed.
                Err(_) if is_over(*tid) => {}
                Err(cause) => return Err(InlineError::Permission { pid: self.pid, cause }),
            }
        }
        Ok(seized)
    }

    fn stop(&mut self, seized: &[u32]) -> Result<(), InlineError> {
        for tid in seized {
            let _ = ptrace::interrupt(*tid);
        }
        self.await_all(seized)
    }

    fn await_all(&mut self, seized: &[u32]) -> Result<(), InlineError> {
        let since = Instant::now();
        for tid in seized {
            loop {
                match ptrace::poll(*tid) {
                    Event::Nothing if since.elapsed() < PATIENCE => thread::sleep(PAUSE),
                    Event::Nothing if since.elapsed() < LONG_PATIENCE && state(*tid) == Some('R') => {
                        thread::sleep(PAUSE);
                    }
                    Event::Nothing => {
                        let reason = format!("its thread {tid} does not stop (it waits in the kernel)");
                        return Err(InlineError::refused(self.pid, reason, "try again"));
                    }
                    Event::Halted | Event::Syscall | Event::Exec => break,
                    Event::Signal(signal) => {
                        self.threads.insert(*tid, signal);
                        break;
                    }
                    Event::Gone => {
                        self.threads.remove(tid);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Id of the process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ids of the stopped threads.
    pub fn threads(&self) -> impl Iterator<Item = u32> {
        self.threads.keys().copied()
    }

    /// Threads that can be made to execute calls: those that are not about to take a signal, which would be lost.
    pub fn helpers(&self) -> Vec<u32> {
        self.threads.iter().filter(|(_, signal)| **signal == 0).map(|(tid, _)| *tid).collect()
    }

    /// Notes that a signal came to a thread while it made calls.
    pub fn owes(&mut self, tid: u32, signal: i32) {
        self.late.push((tid, signal));
    }

    /// Resumes all threads.
    pub fn release(mut self) -> Stood {
        self.let_go();
        Stood { time: self.since.elapsed(), cut_short: self.cut_short }
    }

    fn let_go(&mut self) {
        for (tid, signal) in std::mem::take(&mut self.threads) {
            if signal == 0 && resume::resume(tid) == Resumed::CutShort {
                self.cut_short += 1;
            }
            if ptrace::detach(tid, signal).is_err() && ptrace::interrupt(tid).is_ok() {
                // The thread had not stopped yet: it can be resumed only once it has.
                let deadline = Instant::now() + PATIENCE;
                while ptrace::poll(tid) == Event::Nothing && Instant::now() < deadline {
                    thread::sleep(PAUSE);
                }
                let _ = ptrace::detach(tid, signal);
            }
        }
        for (tid, signal) in std::mem::take(&mut self.late) {
            let _ = ptrace::send(self.pid, tid, signal);
        }
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// True if a thread has ended, though it may still be listed.
pub fn is_over(tid: u32) -> bool {
    target::thread_stat(tid).is_none_or(|stat| stat.is_dead())
}

/// State letter of a thread in `/proc`; `None` when it is gone.
pub fn state(tid: u32) -> Option<char> {
    target::thread_stat(tid).map(|stat| stat.state)
}

/// Works on stopped threads from a thread of its own: when that thread ends, the kernel releases every thread that is
/// still traced, including one that did not stop or was killed.
pub fn apart<T: Send>(
    pid: u32,
    work: impl FnOnce() -> Result<T, InlineError> + Send,
) -> Result<T, InlineError> {
    thread::scope(|scope| {
        let started = thread::Builder::new().spawn_scoped(scope, work);
        let joined = started.map_err(InlineError::step(pid, "starting a thread of the tool"))?.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
