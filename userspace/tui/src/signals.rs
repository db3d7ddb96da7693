//! Signals that concern a screen, as something to wait for.

use std::{
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
};

use signal_hook::{
    SigId,
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH},
    low_level::{emulate_default_handler, pipe, unregister},
};

/// Request that a signal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The window has another size.
    Resize,
    /// Stop until further notice.
    Suspend,
    /// The process continues, and the terminal may have changed in the meantime.
    Resume,
    /// End the session.
    End,
}

const SIGNALS: [(i32, Wish); 6] = [
    (SIGWINCH, Wish::Resize),
    (SIGTSTP, Wish::Suspend),
    (SIGCONT, Wish::Resume),
    (SIGTERM, Wish::End),
    (SIGHUP, Wish::End),
    (SIGINT, Wish::End),
];

/// Signals that are listened to; until dropped.
#[derive(Debug)]
pub struct Signals {
    heard: Vec<(UnixStream, SigId, Wish)>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn listen() -> io::Result<Self> {
        let mut heard = Vec::new();
        for (signal, wish) in SIGNALS {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            heard.push((ours, pipe::register(signal, theirs)?, wish));
        }
        Ok(Self { heard })
    }

    /// Descriptors that become readable when a signal has come.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.heard.iter().map(|(stream, ..)| stream.as_fd())
    }

    /// Requests of the signals that have come, each once.
    pub fn wishes(&mut self) -> Vec<Wish> {
        let came = |(stream, _, wish): &mut (UnixStream, SigId, Wish)| {
            let mut some = [0; 64];
            matches!(stream.read(&mut some), Ok(1..)).then_some(*wish)
        };
        self.heard.iter_mut().filter_map(came).collect()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (_, id, _) in &self.heard {
            unregister(*id);
        }
    }
}

/// Asks for a stop: all of a job stop together, as if the terminal had seen to it.
///
/// # Errors
/// If the system refuses.
pub fn suspend_job() -> io::Result<()> {
    Ok(rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?)
}

/// Stops this process; returns when it goes on.
///
/// # Errors
/// If the system refuses.
pub fn stop_here() -> io::Result<()> {
    emulate_default_handler(SIGTSTP)
}
