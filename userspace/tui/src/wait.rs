//! Waits for the first of several events: keys, room on the terminal, signals, mail.

use std::{io, os::fd::BorrowedFd, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{mailbox::Mailbox, signals::Signals, terminal::Terminal};

/// Events that are ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Something was typed.
    pub keys: bool,
    /// The terminal takes more.
    pub writable: bool,
    /// A signal or mail has come.
    pub news: bool,
}

/// Waits, at most for so long.
///
/// # Errors
/// If the terminal is gone.
pub fn wait(
    terminal: &Terminal,
    signals: &Signals,
    mailbox: Option<&Mailbox>,
    pause: Option<Duration>,
) -> io::Result<Ready> {
    let out = if terminal.is_idle() { PollFlags::empty() } else { PollFlags::OUT };
    let mut waited: Vec<(BorrowedFd<'_>, PollFlags)> =
        vec![(rustix::stdio::stdin(), PollFlags::IN), (terminal.descriptor(), out)];
    waited.extend(signals.descriptors().map(|signal| (signal, PollFlags::IN)));
    waited.extend(mailbox.map(|mailbox| (mailbox.descriptor(), PollFlags::IN)));
    let mut waited: Vec<PollFd<'_>> = waited.iter().map(|(fd, flags)| PollFd::new(fd, *flags)).collect();
    let pause = pause
        .map(|pause| Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) });
    match poll(&mut waited, pause.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let came: Vec<PollFlags> = waited.iter().map(PollFd::revents).collect();
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    if came[..2].iter().any(|came| came.intersects(gone)) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(Ready {
        keys: came[0].contains(PollFlags::IN),
        writable: came[1].contains(PollFlags::OUT),
        news: came[2..].iter().any(|came| came.contains(PollFlags::IN)),
    })
}
