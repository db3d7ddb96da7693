//! The dashboard's place in the commands: whether there is to be one, and what it is told.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
};

use kernel::target;
use model::session::{Header, Session};
use probes::{self, source::seating::Progress};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tui::{self, Dashboard, End, Facts, Look, Outside, Request};
use views::{export, record::Reader, report};

use super::{
    failure::Failure,
    options::{TraceOptions, ViewOptions},
};
use crate::session::Control;

/// Decision about a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is wanted, and there is a terminal for it.
    Yes,
    /// The report does.
    No,
}

/// Decides whether a session is to have a dashboard: asked for, or the default of its command.
pub fn wanted(options: &TraceOptions, default: bool) -> Wanted {
    let asked = options.tui || default && !options.plain && !options.quiet && !options.debug;
    if asked && usable(options.tui) { Wanted::Yes } else { Wanted::No }
}

/// True if there is a terminal that can show it; otherwise says why not, if it was asked for or standard error
/// is a terminal.
pub fn usable(asked: bool) -> bool {
    let why = match std::env::var("TERM").as_deref() {
        _ if !stdout().is_terminal() => "standard output is not a terminal",
        _ if !stdin().is_terminal() => "standard input is not a terminal",
        Ok("dumb" | "") | Err(_) => "TERM names no terminal that could show it",
        Ok(_) => return true,
    };
    if asked || stderr().is_terminal() {
        // Nothing is to be done about a terminal that is gone.
        let _ = writeln!(
            stderr().lock(),
            "pulse-trace: note: no dashboard: {why}; the report follows at the end"
        );
    }
    false
}

/// A dashboard and the channel of its requests.
pub struct Open {
    /// Requests of its user.
    pub controls: UnboundedReceiver<Control>,
    /// The dashboard on the screen.
    pub screen: Dashboard,
    stopped: Arc<AtomicBool>,
}

/// Opens it for a session that is about to begin.
pub fn open(options: &TraceOptions, header: &Header) -> Result<Open, Failure> {
    let (sender, controls) = unbounded_channel();
    let (answer, switched) = mpsc::channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&stopped);
    let request = move |request| {
        // A session that is over has no ears.
        let _ = sender.send(match request {
            Request::Stop => {
                said.store(true, Relaxed);
                Control::Stop
            }
            Request::Frame => Control::Frame,
            Request::Interval(interval) => Control::Interval(interval),
            Request::Probe(name, on) => Control::Probe { name, on, answer: answer.clone() },
        });
    };
    let outside = Outside {
        request: Box::new(request),
        json: Box::new(encode),
        findings: Box::new(report::findings),
        switched,
    };
    let facts =
        Facts { interval: Some(options.interval), preparing: Some("attaching".to_owned()), ..facts(header) };
    let look = Look::of_environment(options.view.wanted_colour());
    let screen = Dashboard::open(facts, look, outside).map_err(Failure::usage)?;
    Ok(Open { controls, screen, stopped })
}

/// Opens a dashboard as soon as threads are being followed: with thousands of them the session begins later.
pub struct Opening<'a> {
    options: &'a TraceOptions,
    header: &'a Header,
    wanted: Wanted,
    open: Option<Result<Open, Failure>>,
}

impl<'a> Opening<'a> {
    /// Nothing is open yet.
    pub fn new(options: &'a TraceOptions, header: &'a Header, wanted: Wanted) -> Self {
        Self { options, header, wanted, open: None }
    }

    /// Shows how far it has come. Tells whether to go on.
    pub fn hear(&mut self, progress: Progress) -> bool {
        if self.wanted == Wanted::No {
            return true;
        }
        let Ok(open) = self.open.get_or_insert_with(|| open(self.options, self.header)) else { return false };
        let Progress { doing, done, of } = progress;
        open.screen.prepare(format!("{doing}: {done} of {of} threads; q ends"));
        !open.stopped.load(Relaxed)
    }

    /// The dashboard, now that the session has begun or why it has not.
    pub fn begin<T>(self, begun: Result<T, Failure>) -> Result<(T, Option<Open>), Failure> {
        let open = match self.open {
            Some(opened) => Some(opened?),
            None if self.wanted == Wanted::Yes && begun.is_ok() => Some(open(self.options, self.header)?),
            None => None,
        };
        match (begun, open) {
            (Ok(it), open) => Ok((it, open)),
            (Err(failure), open) => {
                // The terminal is given back before anything is said on it.
                if let Some(Open { screen, .. }) = open {
                    screen.end(End::Close);
                    drop(screen.close());
                }
                Err(failure)
            }
        }
    }
}

/// Shows a recording.
pub fn replay(path: &Path, view: &ViewOptions) -> Result<(), Failure> {
    let mut reader = Reader::open(path).map_err(Failure::usage)?;
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().map_err(Failure::usage)? {
        frames.push(frame);
    }
    let switched = mpsc::channel().1;
    let outside = Outside {
        request: Box::new(|_| {}),
        json: Box::new(encode),
        findings: Box::new(report::findings),
        switched,
    };
    let look = Look::of_environment(view.wanted_colour());
    tui::replay(facts(reader.header()), look, frames, outside).map_err(Failure::usage)
}

/// True if the user can be asked which process is meant.
pub fn can_ask(options: &TraceOptions) -> bool {
    stdout().is_terminal() && wanted(options, true) == Wanted::Yes
}

/// Asks which process is meant.
pub fn ask(options: &TraceOptions) -> Result<Option<u32>, Failure> {
    let ns_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let list = || {
        let all = target::candidates().unwrap_or_default().into_iter();
        let entry = |one: target::Candidate| tui::Entry {
            pid: one.pid,
            comm: one.comm,
            threads: one.threads,
            cpu_ns: one.ticks * ns_per_tick,
        };
        all.map(entry).collect()
    };
    tui::pick(Look::of_environment(options.view.wanted_colour()), list).map_err(|cause| {
        Failure::usage(format!("cannot use the terminal: {cause}; name a process with -p PID"))
    })
}

fn facts(header: &Header) -> Facts {
    let probe = |spec: &model::probes::Spec| tui::ProbeFacts {
        name: spec.name.to_owned(),
        summary: spec.summary.to_owned(),
        cost: spec.cost.to_owned(),
        fixed: match probes::switch(spec.name) {
            probes::Switch::Fixed(why) => Some(why.to_owned()),
            _ => None,
        },
    };
    Facts {
        header: header.clone(),
        probes: model::probes::ALL.iter().map(probe).collect(),
        ..Facts::default()
    }
}

fn encode(session: &Session) -> Result<Vec<u8>, String> {
    export::json::encode(session)
        .map_err(|cause| format!("cannot write JSON: {cause}; read the report at the end"))
}
