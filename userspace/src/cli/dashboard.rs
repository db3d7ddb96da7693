//! The dashboard's place in the commands: whether there is to be one, and what it is told.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
    path::Path,
    sync::mpsc,
};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    failure::Failure,
    options::{TraceOptions, ViewOptions},
};
use crate::{
    export,
    model::session::{Header, Session},
    probes,
    record::Reader,
    session::Control,
    target,
    tui::{self, Dashboard, Facts, Look, Outside, Request},
};

/// Whether there is to be a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is wanted, and there is a terminal for it.
    Yes,
    /// The report does.
    No,
}

/// Whether a session is to have a dashboard: asked for, or the default of its command.
pub fn wanted(options: &TraceOptions, default: bool) -> Wanted {
    let asked = options.tui || default && !options.plain && !options.quiet && !options.debug;
    if asked && usable(options.tui) { Wanted::Yes } else { Wanted::No }
}

/// Whether there is a terminal that can show it; says why not to whoever asked for it or can read it.
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

/// Opens it for a session that begins.
pub fn open(
    options: &TraceOptions,
    header: &Header,
) -> Result<(UnboundedReceiver<Control>, Dashboard), Failure> {
    let (sender, controls) = unbounded_channel();
    let (answer, switched) = mpsc::channel();
    let request = move |request| {
        // A session that is over has no ears.
        let _ = sender.send(match request {
            Request::Stop => Control::Stop,
            Request::Interval(interval) => Control::Interval(interval),
            Request::Probe(name, on) => Control::Probe { name, on, answer: answer.clone() },
        });
    };
    let outside = Outside { request: Box::new(request), json: Box::new(encode), switched };
    let facts = Facts { interval: Some(options.interval), ..facts(header) };
    let look = Look::of_environment(options.view.wanted_colour());
    Ok((controls, Dashboard::open(facts, look, outside).map_err(Failure::usage)?))
}

/// Shows a recording.
pub fn replay(path: &Path, view: &ViewOptions) -> Result<(), Failure> {
    let mut reader = Reader::open(path).map_err(Failure::usage)?;
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().map_err(Failure::usage)? {
        frames.push(frame);
    }
    let switched = mpsc::channel().1;
    let outside = Outside { request: Box::new(|_| {}), json: Box::new(encode), switched };
    let look = Look::of_environment(view.wanted_colour());
    tui::replay(facts(reader.header()), look, frames, outside).map_err(Failure::usage)
}

/// Whether somebody can be asked which process is meant.
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
    let probe = |spec: &crate::model::spec::Spec| tui::ProbeFacts {
        name: spec.name.to_owned(),
        summary: spec.summary.to_owned(),
        cost: spec.cost.to_owned(),
        fixed: match probes::switch(spec.name) {
            probes::Switch::Fixed(why) => Some(why.to_owned()),
            probes::Switch::Sched => None,
        },
    };
    Facts { header: header.clone(), probes: probes::ALL.iter().map(probe).collect(), interval: None }
}

fn encode(session: &Session) -> Result<Vec<u8>, String> {
    export::json::encode(session)
        .map_err(|cause| format!("cannot write JSON: {cause}; read the report at the end"))
}
