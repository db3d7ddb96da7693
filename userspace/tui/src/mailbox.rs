//! Frames on their way to the screen. The sender never waits: frames that the screen has not fetched are merged.

use std::{
    collections::VecDeque,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{frame::Frame, glance::Glance, session::Header};
use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, read, write},
};

/// Frames that wait side by side; more are merged into the last one.
const ROOM: usize = 8;

/// End of the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The screen stays until the user has seen this message.
    Stay(String),
    /// The screen goes.
    Close,
}

/// Frames and messages that wait for the screen.
#[derive(Debug, Default)]
pub struct Mail {
    /// Frames in their order.
    pub frames: VecDeque<Frame>,
    /// Calls since the last of them.
    pub glance: Option<Glance>,
    /// Nothing comes after them.
    pub end: Option<End>,
    /// Progress of the preparation.
    pub preparing: Option<String>,
    /// The session has begun, with this header.
    pub begun: Option<Box<Header>>,
}

/// Queue between the session and the screen.
#[derive(Debug)]
pub struct Mailbox {
    mail: Mutex<Mail>,
    bell: OwnedFd,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn new() -> Result<Self, Errno> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { mail: Mutex::default(), bell })
    }

    /// Puts a frame in.
    pub fn put(&self, frame: Frame) {
        let mut mail = self.lock();
        mail.glance = None;
        let full = mail.frames.len() >= ROOM;
        match mail.frames.back_mut().filter(|_| full) {
            Some(last) => last.absorb(frame),
            None => mail.frames.push_back(frame),
        }
        drop(mail);
        self.ring();
    }

    /// Puts in what has happened since the last frame.
    pub fn glance(&self, glance: Glance) {
        self.lock().glance = Some(glance);
        self.ring();
    }

    /// Says that nothing more will come.
    pub fn end(&self, end: End) {
        self.lock().end = Some(end);
        self.ring();
    }

    /// Says how far getting ready has come.
    pub fn prepare(&self, words: String) {
        self.lock().preparing = Some(words);
        self.ring();
    }

    /// Says that the session has begun.
    pub fn begin(&self, header: Header) {
        self.lock().begun = Some(Box::new(header));
        self.ring();
    }

    /// Everything that waits.
    pub fn fetch(&self) -> Mail {
        let mut count = [0; 8];
        // It only tells whether there is anything, which the mail tells too.
        let _ = read(&self.bell, &mut count);
        let mut mail = self.lock();
        std::mem::take(&mut *mail)
    }

    /// A descriptor that becomes readable when something waits.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // It cannot overflow before the end of the universe.
        let _ = write(&self.bell, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use model::{
        session::Session,
        synthetic::{self, Shape},
    };

    use super::*;

    #[test]
    fn a_reader_who_sleeps_loses_resolution_and_no_count() {
        let shape = Shape { frames: 100, ..Shape::default() };
        let mailbox = Mailbox::new().unwrap();
        synthetic::frames(9, shape).into_iter().for_each(|frame| mailbox.put(frame));
        mailbox.end(End::Close);
        let mail = mailbox.fetch();
        assert_eq!((mail.frames.len(), mail.end), (ROOM, Some(End::Close)));
        let mut session = Session::new(synthetic::header(shape));
        mail.frames.iter().for_each(|frame| session.add(frame));
        session.finished = true;
        assert_eq!(session, synthetic::session(9, shape));
        assert!(mailbox.fetch().frames.is_empty());
    }

    #[test]
    fn a_glance_is_worth_nothing_beside_a_later_one_or_a_frame() {
        let mailbox = Mailbox::new().unwrap();
        let glance = |at_ns| Glance { at_ns, ..Glance::default() };
        mailbox.glance(glance(1));
        mailbox.glance(glance(2));
        assert_eq!(mailbox.fetch().glance, Some(glance(2)));
        mailbox.glance(glance(3));
        mailbox.put(Frame::default());
        assert_eq!(mailbox.fetch().glance, None);
    }
}
