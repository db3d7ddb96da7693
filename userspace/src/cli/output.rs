//! Outputs of a session: a recording as frames come, JSON and the report at the end.

use std::path::Path;

use model::{
    frame::Frame,
    glance::Glance,
    inline::LEFT_INSIDE,
    session::{Header, Session},
    text, units,
};
use tui::{Dashboard, End};
use views::{
    export,
    files::{self, OutputFile},
    record::Recorder,
    report,
};

use super::{failure::Failure, options::TraceOptions, page::Page, print};
use crate::session::{Ending, SessionError, Sink};

/// The sinks of one session.
pub struct Outputs {
    session: Session,
    json: Option<Json>,
    page: Option<Page>,
    unopened: Option<OutputFile>,
    recorder: Option<Recorder>,
    /// Reason for which the recording has ended before the session.
    unrecorded: Option<String>,
    dashboard: Option<Dashboard>,
}

/// Message of a dashboard at the end of its targets.
const GONE: &str = "every target has ended: this is the final state; q closes";

enum Json {
    StandardOutput,
    File(OutputFile),
}

impl Outputs {
    /// Creates all files: a slip in a path must not cost a session.
    pub fn create(options: &TraceOptions) -> Result<Self, Failure> {
        let json = match &options.json {
            Some(path) if path.as_os_str() == "-" => Some(Json::StandardOutput),
            Some(path) => Some(Json::File(files::create(path).map_err(Failure::usage)?)),
            None => None,
        };
        let unopened = match &options.record {
            Some(path) => Some(files::create(path).map_err(Failure::usage)?),
            None => None,
        };
        let page = options.html.as_deref().map(Page::create).transpose()?;
        Ok(Self {
            session: Session::default(),
            json,
            page,
            unopened,
            recorder: None,
            unrecorded: None,
            dashboard: None,
        })
    }

    /// Notes what is known at the start.
    pub fn begin(&mut self, header: Header, dashboard: Option<Dashboard>) -> Result<(), Failure> {
        self.dashboard = dashboard;
        if let Some(file) = self.unopened.take() {
            self.recorder = Some(Recorder::begin(file, &header).map_err(Failure::usage)?);
        }
        self.session = Session::new(header);
        Ok(())
    }

    /// Writes what is written at the end. A dashboard whose targets have gone stays until the user closes it.
    pub fn finish(
        mut self,
        options: &TraceOptions,
        ran: &Result<Ending, SessionError>,
    ) -> Result<(), Failure> {
        let recorded = match self.unrecorded {
            Some(cause) => Err(Failure::usage(cause)),
            None => self.recorder.map_or(Ok(()), Recorder::finish).map_err(Failure::usage),
        };
        let mut watched = Ok(());
        if let Some(dashboard) = self.dashboard {
            dashboard.end(match ran {
                Ok(Ending::TargetsGone) => End::Stay(GONE.to_owned()),
                _ => End::Close,
            });
            (self.session, watched) = dashboard.close();
        }
        self.session.finished = true;
        let shown = self.page.map_or(Ok(()), |page| page.write(&self.session));
        let exported = self.json.map_or(Ok(false), |json| json.write(&self.session));
        // A full disk is no reason to keep the numbers from the one who waits for them.
        if !options.quiet && !matches!(exported, Ok(true)) {
            print(&report::render(&self.session, &options.view.report(options.threads)))?;
        } else {
            // What is left in a target is said, even where no report was asked for.
            let left = self.session.notes.iter().filter(|note| note.starts_with(LEFT_INSIDE));
            left.for_each(|note| {
                super::say(note, 0);
            });
        }
        recorded.and(exported.map(drop)).and(shown).and(watched.map_err(Failure::usage))
    }
}

impl Json {
    /// Writes the session; whether standard output is taken by it.
    fn write(self, session: &Session) -> Result<bool, Failure> {
        let text = encode(session)?;
        match self {
            Self::StandardOutput => print(&text).map(|()| true),
            Self::File(mut file) => file.put(text.as_bytes()).map_err(Failure::usage).map(|()| false),
        }
    }
}

/// A session as JSON.
pub fn encode(session: &Session) -> Result<String, Failure> {
    let failed = |cause: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot write JSON: {cause}; leave --json out and read the report"))
    };
    let bytes = export::json::encode(session).map_err(|cause| failed(&cause))?;
    String::from_utf8(bytes).map(text::quiet_json).map_err(|cause| failed(&cause))
}

/// Reads a recording as the session that it was.
pub fn replay(path: &Path) -> Result<views::record::Replay, Failure> {
    views::record::Reader::open(path).and_then(views::record::Reader::replay).map_err(Failure::usage)
}

impl Sink for Outputs {
    fn take(&mut self, mut frame: Frame) -> Result<(), String> {
        if let Some(Err(error)) = self.recorder.as_mut().map(|recorder| recorder.frame(&frame)) {
            // A full disk ends the recording, and neither what is traced nor the other outputs.
            frame.notes.push(format!("the recording ends before {}: {error}", units::time(frame.at_ns)));
            self.unrecorded = Some(error.to_string());
            self.recorder = None;
        }
        match &self.dashboard {
            // It adds up itself: twice would be twice the work.
            Some(dashboard) => dashboard.take(frame),
            None => self.session.add(&frame),
        }
        Ok(())
    }

    fn glance(&mut self, glance: Glance) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.glance(glance);
        }
    }
}
