//! The loop: waits for keys, frames and signals, and draws when something has changed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use model::{session::Session, units};
use ratatui::{buffer::Buffer, layout::Rect};
use views::files;

use super::{
    app::{Action, App},
    decode::Decoder,
    mailbox::{End, Mailbox},
    palette::{Depth, Look},
    render,
    signals::{self, Signals, Wish},
    terminal::{self, Terminal},
    wait,
};

/// A request of the screen to the measuring part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// End the session.
    Stop,
    /// Read everything now.
    Frame,
    /// Read the counters in this rhythm.
    Interval(Duration),
    /// Switch a probe on or off.
    Probe(String, bool),
}

/// Writes a session as JSON, or says why it cannot.
pub type Encode = dyn Fn(&Session) -> Result<Vec<u8>, String> + Send;

/// Finds what stands out in a session, in sentences.
pub type Find = dyn Fn(&Session) -> Vec<String> + Send;

/// Channels from the screen to the rest of the program.
pub struct Outside {
    /// Receives the requests of the screen.
    pub request: Box<dyn Fn(Request) + Send>,
    /// Writes a session as JSON.
    pub json: Box<Encode>,
    /// Tells what stands out.
    pub findings: Box<Find>,
    /// Hears which probe is on or off now, or why it could not be switched.
    pub switched: Receiver<(String, Result<bool, String>)>,
}

/// Frames alone draw at most this often; keys draw at once.
const FRAME_PAUSE: Duration = Duration::from_millis(95);

/// Findings are computed at most this often: all locks of the session are gone through for it. Where there are very
/// many, the pause is as much longer as keeps it below a tenth of a percent of a CPU.
const FINDINGS_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_OF_COST: u32 = 1000;

/// Everything that the loop needs.
pub struct Screen {
    pub app: App,
    pub look: Look,
    pub terminal: Terminal,
    pub signals: Signals,
    pub decoder: Decoder,
    pub mailbox: Option<Arc<Mailbox>>,
    pub outside: Outside,
    /// Time at which findings may be computed again, and the number of events at the last time.
    pub found: Option<(Instant, u64)>,
}

/// Result of a step of the loop: true if it goes on.
type Goes = io::Result<bool>;

impl Screen {
    /// Runs until the user quits, or the terminal is gone.
    pub fn run(&mut self) -> io::Result<()> {
        let (mut dirty, mut urgent, mut drawn) = (true, true, Instant::now());
        loop {
            let due = urgent || drawn.elapsed() >= FRAME_PAUSE;
            if dirty && due && self.terminal.is_idle() {
                self.draw()?;
                (dirty, urgent, drawn) = (false, false, Instant::now());
            }
            let pause =
                (dirty && self.terminal.is_idle()).then(|| FRAME_PAUSE.saturating_sub(drawn.elapsed()));
            let ready = wait::wait(&self.terminal, &self.signals, self.mailbox.as_deref(), pause)?;
            if ready.writable {
                self.terminal.flush()?;
            }
            if !self.fetch_frames(&mut dirty)? {
                return Ok(());
            }
            if self.app.ended.is_none() && self.closing() {
                return Ok(());
            }
            let before = dirty;
            if ready.news && !self.heed_signals(&mut dirty)? {
                return Ok(());
            }
            if ready.keys && !self.take_keys(&mut dirty)? {
                return Ok(());
            }
            urgent |= dirty && !before;
            urgent |= ready.keys && dirty;
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let screen = self.picture();
        self.terminal.show(screen)
    }

    fn picture(&mut self) -> Buffer {
        let mut screen = Buffer::empty(self.terminal.size());
        self.find(screen.area);
        self.app.page = render::page(screen.area.height);
        self.app.prepare();
        render::draw(&self.app, self.look, &mut screen);
        screen
    }

    /// Looks for what stands out, where that is shown and there are new frames.
    fn find(&mut self, area: Rect) {
        let newest = self.app.history.newest_ns();
        let is_due = self.found.is_none_or(|(next, upto)| upto != newest && Instant::now() >= next);
        if !is_due || !render::has_findings(&self.app, area) {
            return;
        }
        let begin = Instant::now();
        self.app.findings = (self.outside.findings)(&self.app.history.outline());
        let pause = FINDINGS_PAUSE.max(begin.elapsed() * PAUSE_OF_COST);
        self.found = Some((begin + pause, newest));
    }

    /// Takes what has come.
    fn fetch_frames(&mut self, dirty: &mut bool) -> Goes {
        let Some(mailbox) = &self.mailbox else { return Ok(true) };
        let mail = mailbox.fetch();
        *dirty |= !mail.frames.is_empty() || mail.glance.is_some();
        if let Some(words) = mail.preparing {
            self.app.preparing = Some(words);
            *dirty = true;
        }
        if let Some(header) = mail.begun {
            self.app.begin(*header);
            *dirty = true;
        }
        for (name, done) in self.outside.switched.try_iter() {
            self.app.switched(name, done);
            *dirty = true;
        }
        mail.frames.into_iter().for_each(|frame| self.app.frame(frame));
        for action in self.app.make_up() {
            if !self.perform(action)? {
                return Ok(false);
            }
        }
        if let Some(glance) = mail.glance {
            self.app.glance(glance);
        }
        match mail.end {
            Some(End::Stay(why)) => {
                self.app.end(why);
                *dirty = true;
            }
            Some(End::Close) => self.mailbox = None,
            None => {}
        }
        Ok(true)
    }

    /// Reports whether a running session has ended without a last look being asked for.
    fn closing(&self) -> bool {
        self.mailbox.is_none() && self.app.facts.interval.is_some()
    }

    fn heed_signals(&mut self, dirty: &mut bool) -> Goes {
        for wish in self.signals.wishes() {
            *dirty = true;
            match wish {
                Wish::End => return Ok(false),
                Wish::Resize => self.terminal.forget(),
                Wish::Resume => self.terminal.enter()?,
                Wish::Suspend => {
                    self.terminal.leave();
                    signals::stop_here()?;
                    self.terminal.enter()?;
                }
            }
        }
        Ok(true)
    }

    fn take_keys(&mut self, dirty: &mut bool) -> Goes {
        for key in self.decoder.decode(&terminal::typed()?) {
            let action = self.app.key(key);
            *dirty |= action != Action::None;
            if !self.perform(action)? {
                return Ok(false);
            }
            // Several keys at once each find what the last one has left.
            self.app.prepare();
        }
        Ok(true)
    }

    fn perform(&mut self, action: Action) -> Goes {
        match action {
            Action::None | Action::Draw => {}
            Action::DrawAll => self.terminal.forget(),
            Action::Quit => return Ok(false),
            Action::Suspend => signals::suspend_job()?,
            Action::Frame => (self.outside.request)(Request::Frame),
            Action::Interval(interval) => (self.outside.request)(Request::Interval(interval)),
            Action::Probe(at, on) => {
                let name = self.app.facts.probes[at].name.clone();
                (self.outside.request)(Request::Probe(name, on));
            }
            Action::SaveText => self.save_text(),
            Action::SaveJson => self.save_json(),
        }
        Ok(true)
    }

    /// The screen as it is, without the answer to this key.
    fn save_text(&mut self) {
        let look = self.look;
        self.look = Look { depth: Depth::None, ascii: look.ascii };
        let text = render::plain_text(&self.picture());
        self.look = look;
        self.save("txt", text.as_bytes());
    }

    fn save_json(&mut self) {
        let encoded = (self.outside.json)(&self.app.history.session());
        match encoded {
            Ok(bytes) => self.save("json", &bytes),
            Err(why) => self.app.say(why),
        }
    }

    fn save(&mut self, kind: &str, bytes: &[u8]) {
        let header = &self.app.facts.header;
        let now = units::utc(header.start_unix_ns + self.app.history.newest_ns());
        let name = format!("pulse-trace-{}", now.trim_end_matches(" UTC").replace([' ', ':'], "-"));
        let path = unused(&name, kind);
        let written = files::create(&path).and_then(|mut file| file.put(bytes));
        match written {
            Ok(()) => self.app.say(format!("wrote {}", path.display())),
            Err(error) => self.app.say(error.to_string()),
        }
    }
}

/// A name that nothing has yet.
fn unused(name: &str, kind: &str) -> PathBuf {
    let numbered = |number: u32| match number {
        0 => PathBuf::from(format!("{name}.{kind}")),
        _ => PathBuf::from(format!("{name}-{number}.{kind}")),
    };
    let free = |path: &PathBuf| !Path::new(path).exists();
    (0..1000).map(numbered).find(free).unwrap_or_else(|| numbered(1000))
}
