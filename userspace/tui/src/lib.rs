//! The dashboard: the only part that needs a terminal.
//!
//! A thread of its own reads keys and draws. It owns what it shows; frames come to it through a [`mailbox`] that never
//! makes the sender wait, and it never waits for the terminal. So a slow terminal cannot delay the reading of counters,
//! and the reading of counters cannot delay a key.
#![forbid(unsafe_code)]

mod app;
mod decode;
mod heat;
mod history;
mod joined;
pub mod keys;
mod mailbox;
mod palette;
mod picker;
mod render;
mod rows;
mod screen;
mod shown;
mod signals;
mod sums;
mod tables;
mod terminal;
mod wait;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use app::App;
pub use app::{Facts, ProbeFacts};
use decode::Decoder;
use history::{History, Limits};
pub use mailbox::End;
use mailbox::Mailbox;
use model::{
    frame::Frame,
    glance::Glance,
    session::{Header, Session},
};
use palette::Depth;
pub use palette::Look;
pub use picker::{Entry, pick};
use screen::Screen;
pub use screen::{Find, Outside, Request};
use signals::Signals;
use terminal::Terminal;

/// Reason why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal refuses.
    #[error("cannot use the terminal: {0}; --plain does without")]
    Terminal(#[from] io::Error),
    /// It has panicked.
    #[error("cannot show the dashboard any longer: it has failed, see above; --plain does without")]
    Failed,
}

/// A dashboard on its own thread.
#[derive(Debug)]
pub struct Dashboard {
    mailbox: Arc<Mailbox>,
    session: Arc<Mutex<Session>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Dashboard {
    /// Takes over the terminal and shows a session that has just begun.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub fn open(facts: Facts, look: Look, outside: Outside) -> Result<Self, TuiError> {
        let mailbox = Arc::new(Mailbox::new().map_err(io::Error::from)?);
        let session = Arc::new(Mutex::new(Session::new(facts.header.clone())));
        let app = App::new(facts, History::new(Arc::clone(&session), Limits::LIVE));
        let mut screen = screen(app, look, outside, Some(Arc::clone(&mailbox)))?;
        let run = move || {
            // For every end, a panic included: the session must not go on unseen.
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| screen.run()));
            (screen.outside.request)(Request::Stop);
            drop(screen);
            ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let thread = std::thread::Builder::new().name("dashboard".to_owned()).spawn(run)?;
        Ok(Self { mailbox, session, thread })
    }

    /// Says how far getting ready for the session has come.
    pub fn prepare(&self, words: String) {
        self.mailbox.prepare(words);
    }

    /// Says that the session has begun.
    pub fn begin(&self, header: &Header) {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).header = header.clone();
        self.mailbox.begin(header.clone());
    }

    /// Hands a frame over.
    pub fn take(&self, frame: Frame) {
        self.mailbox.put(frame);
    }

    /// Hands over what has happened since the last frame.
    pub fn glance(&self, glance: Glance) {
        self.mailbox.glance(glance);
    }

    /// Says that nothing more will come.
    pub fn end(&self, end: End) {
        self.mailbox.end(end);
    }

    /// Waits until the screen is closed; the session as all frames together make it.
    ///
    /// # Errors
    /// If it has failed; the session is whole all the same.
    pub fn close(self) -> (Session, Result<(), TuiError>) {
        let ended = match self.thread.join() {
            // A terminal that is gone has ended the session, as it should.
            Ok(_) => Ok(()),
            Err(_) => Err(TuiError::Failed),
        };
        let mut session = std::mem::take(&mut *self.session.lock().unwrap_or_else(PoisonError::into_inner));
        self.mailbox.fetch().frames.iter().for_each(|frame| session.add(frame));
        (session, ended)
    }
}

fn screen(app: App, look: Look, outside: Outside, mailbox: Option<Arc<Mailbox>>) -> Result<Screen, TuiError> {
    let signals = Signals::listen()?;
    let terminal = Terminal::take_over(look.depth != Depth::None)?;
    Ok(Screen { app, look, terminal, signals, decoder: Decoder::default(), mailbox, outside, found: None })
}

/// Shows a recording until the user quits.
///
/// # Errors
/// If the terminal cannot be used.
pub fn replay(
    facts: Facts,
    look: Look,
    frames: impl IntoIterator<Item = Frame>,
    outside: Outside,
) -> Result<(), TuiError> {
    let session = Arc::new(Mutex::new(Session::new(facts.header.clone())));
    let mut app = App::new(facts, History::new(session, Limits::REPLAY));
    frames.into_iter().for_each(|frame| app.frame(frame));
    screen(app, look, outside, None)?.run()?;
    Ok(())
}
