//! The terminal: taken over, and given back at every kind of end; written to without ever waiting for it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::OpenOptionsExt as _,
    },
    sync::{Arc, Mutex, Once, PoisonError},
    time::{Duration, Instant},
};

use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::Buffer,
    crossterm::{
        cursor::{Hide, Show},
        queue,
        style::{ResetColor, force_color_output},
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
        },
    },
    layout::Rect,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
    termios::tcgetwinsize,
};

/// The terminal that is to be given back, while one is taken over.
static TAKEN: Mutex<Option<Arc<File>>> = Mutex::new(None);
/// Longest wait for a terminal that takes nothing, when it is given back.
const PATIENCE: Duration = Duration::from_millis(300);

/// A terminal that is taken over; it is given back when dropped.
#[derive(Debug)]
pub struct Terminal {
    file: Arc<File>,
    /// Bytes that it has not taken yet.
    pending: Vec<u8>,
    /// The screen that it shows; `None` when that is not known.
    shown: Option<Buffer>,
}

impl Terminal {
    /// Takes over the terminal of standard output.
    ///
    /// # Errors
    /// If it cannot be opened or switched.
    pub fn take_over(colour: bool) -> io::Result<Self> {
        // An open file description of its own: non-blocking mode then affects no other process.
        let own = OpenOptions::new()
            .write(true)
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
            .open("/proc/self/fd/1");
        let file = match own {
            Ok(file) => file,
            Err(_) => File::from(io::stdout().as_fd().try_clone_to_owned()?),
        };
        force_color_output(colour);
        let mut terminal = Self { file: Arc::new(file), pending: Vec::new(), shown: None };
        hook_panics();
        terminal.enter()?;
        Ok(terminal)
    }

    /// Takes it over again, after it was given back or another process had it.
    ///
    /// # Errors
    /// If it cannot be switched.
    pub fn enter(&mut self) -> io::Result<()> {
        disable_raw_mode()?;
        enable_raw_mode()?;
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&self.file));
        self.shown = None;
        self.pending.clear();
        queue!(self.pending, EnterAlternateScreen, Hide)?;
        self.flush()
    }

    /// Gives it back for a while.
    pub fn leave(&mut self) {
        restore();
    }

    /// Size of the terminal.
    #[must_use]
    pub fn size(&self) -> Rect {
        let size = tcgetwinsize(&*self.file).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Rect::new(0, 0, 80, 24), |size| Rect::new(0, 0, size.ws_col, size.ws_row))
    }

    /// The next drawing covers everything.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// Reports whether it has taken everything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// A descriptor that becomes ready when it can take more.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Shows a screen: only what has changed is written.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn show(&mut self, screen: Buffer) -> io::Result<()> {
        let known = self.shown.take().filter(|shown| shown.area == screen.area);
        let known = match known {
            Some(known) => known,
            None => {
                queue!(self.pending, ResetColor, Clear(ClearType::All))?;
                Buffer::empty(screen.area)
            }
        };
        let changes = known.diff(&screen);
        CrosstermBackend::new(&mut self.pending).draw(changes.into_iter())?;
        self.shown = Some(screen);
        self.flush()
    }

    /// Writes as much as it takes now.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match (&*self.file).write(&self.pending) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if one is taken over. May be called at any time, from any thread, any number of times.
pub fn restore() {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(file) = taken else { return };
    let mut bytes: Vec<u8> = Vec::new();
    // Writing into memory cannot fail, and nothing is to be done about a terminal that is gone.
    let _ = queue!(bytes, ResetColor, LeaveAlternateScreen, Show);
    patiently(&file, &bytes);
    let _ = disable_raw_mode();
}

/// Writes to a terminal that may be slow, but not for ever.
fn patiently(file: &File, mut bytes: &[u8]) {
    let end = Instant::now() + PATIENCE;
    while !bytes.is_empty() && Instant::now() < end {
        match (&*file).write(bytes) {
            Ok(written) if written > 0 => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let wait = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&wait));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// A panic gives the terminal back before it speaks.
fn hook_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            previous(info);
        }));
    });
}

/// Reads the input so far; to be called when there is some.
///
/// # Errors
/// If the terminal is gone.
pub fn typed() -> io::Result<Vec<u8>> {
    let mut bytes = [0; 1024];
    match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(bytes[..count].to_vec()),
        Err(Errno::INTR | Errno::AGAIN) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
