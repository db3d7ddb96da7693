//! Common parts of `attach` and `run`: outputs first, then the kernel, then the loop, then the report.

use std::io::{IsTerminal as _, Write as _};

use kernel::{
    inline::{Detail, Hands},
    target::{Held, Pinned},
};
use model::{probes::ProbeSet, session::Header};
use probes::source::{
    host,
    live::{Live, Target},
    seating::Onlooker,
};
use rustix::process::Signal;

use super::{
    dashboard::{self, Opening, Wanted},
    failure::Failure,
    options::TraceOptions,
    output::Outputs,
};
use crate::session::{self, Scope, kernel_setup};

/// Traces processes that run already.
pub fn trace_targets(
    options: &TraceOptions,
    scope: Scope,
    targets: &[Pinned],
    inline: Option<Detail>,
) -> Result<(), Failure> {
    let targets: Vec<&Pinned> = targets.iter().collect();
    trace(options, scope, &targets, None, inline, dashboard::wanted(options, true))
}

/// Traces a command that is held.
pub fn trace_command(
    options: &TraceOptions,
    scope: Scope,
    held: &mut Held,
    inline: Option<Detail>,
    wanted: Wanted,
) -> Result<(), Failure> {
    trace(options, scope, &[], Some(held), inline, wanted)
}

/// Checks that counters inside of the targets go with the probes that were chosen.
pub fn validate_inline(options: &TraceOptions, inline: Option<Detail>) -> Result<(), Failure> {
    match inline.is_some() && ProbeSet::chosen(&options.probes).has("mutex") {
        true => Err(Failure::usage(
            "cannot use --inline with the probe mutex: both change the same instructions; take one of them",
        )),
        false => Ok(()),
    }
}

/// Checks that something of what was chosen can be had of every process.
fn validate_scope(options: &TraceOptions, scope: Scope) -> Result<(), Failure> {
    match chosen(options, scope).is_empty() {
        true => Err(Failure::usage(format!(
            "cannot trace every process with --probes {} alone: it is set up for each target; name targets with -p or --comm, or add \
             a probe, as with --probes auto",
            options.probes.join(",")
        ))),
        false => Ok(()),
    }
}

/// The probes that run.
fn chosen(options: &TraceOptions, scope: Scope) -> Vec<&'static str> {
    // Those are not opened then; a note of the session says why.
    let left_out = |probe: &&str| ["counters", "mutex"].contains(probe) && scope == Scope::Everybody;
    ProbeSet::chosen(&options.probes).names().into_iter().filter(|probe| !left_out(probe)).collect()
}

fn trace(
    options: &TraceOptions,
    scope: Scope,
    targets: &[&Pinned],
    held: Option<&mut Held>,
    inline: Option<Detail>,
    wanted: Wanted,
) -> Result<(), Failure> {
    validate_scope(options, scope)?;
    // Created first: a slip in a path must not cost a long session.
    let mut outputs = Outputs::create(options)?;
    let pids = held
        .as_ref()
        .map_or_else(|| targets.iter().map(|target| target.pid).collect(), |held| vec![held.pinned().pid]);
    let mut header = header(options, scope, pids);
    let mut opening = Opening::new(options, &header, wanted);
    let mut onlooker = |progress| opening.hear(progress);
    let started = match &held {
        // It may wait for its first instruction, with no process left to let it go on.
        Some(held) => start(options, scope, &[held.pinned()], true, inline, &mut onlooker)
            .inspect_err(|_| held.signal(Signal::KILL)),
        None => start(options, scope, targets, false, inline, &mut onlooker),
    };
    let (live, open) = opening.begin(started)?;
    set_start(&mut header, live.start_ns());
    if !live.is_probing() {
        // This kernel has no such probes; a note says so.
        header.probes.retain(|probe| probe != "mutex");
    }
    let (controls, screen) = open.map_or((None, None), |open| (Some(open.controls), Some(open.screen)));
    if let Some(screen) = &screen {
        screen.begin(&header);
    }
    let watched = screen.is_some();
    outputs.begin(header, screen)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Failure::usage(format!(
            "cannot start the event loop: {cause}; see whether the limit of open files is reached"
        ))
    })?;
    if !watched {
        announce(options, targets.len(), scope);
    }
    let ran = runtime.block_on(session::run(live, options.plan(), held, controls, &mut outputs));
    // What was seen before a failure is shown all the same.
    let shown = outputs.finish(options, &ran);
    ran.map(drop)?;
    shown
}

/// Tells the user at the terminal that it works, and how to end it. A command speaks for itself.
fn announce(options: &TraceOptions, targets: usize, scope: Scope) {
    let whom = match (scope, targets) {
        (Scope::Everybody, _) => "every process".to_owned(),
        (_, 0) => return,
        (_, 1) => "1 process".to_owned(),
        (_, many) => format!("{many} processes"),
    };
    let time = options.duration.map_or_else(String::new, |duration| format!(" for {duration:?}"));
    if std::io::stderr().is_terminal() && !options.quiet {
        // Nothing is to be done about a terminal that is gone.
        let _ =
            writeln!(std::io::stderr().lock(), "tracing {whom}{time}; Ctrl-C ends it and prints the report");
    }
}

fn start(
    options: &TraceOptions,
    scope: Scope,
    targets: &[&Pinned],
    held: bool,
    inline: Option<Detail>,
    onlooker: &mut Onlooker<'_>,
) -> Result<Live, Failure> {
    let setup = kernel_setup(&options.request(scope), targets)
        .map_err(|cause| Failure::usage(format!("cannot use --limit: {cause}")))?;
    let targets: Vec<Target<'_>> = targets.iter().map(|pinned| Target { pinned, held }).collect();
    let mut live = Live::start_watched(&setup, options.wish(), &targets, onlooker)?;
    if let Some(detail) = inline {
        live.count_inline(&targets, (detail, Hands::Helper))?;
    }
    Ok(live)
}

/// Notes when the session began, on the monotonic clock and on the wall.
fn set_start(header: &mut Header, start_mono_ns: u64) {
    header.start_unix_ns = host::unix_ns() - (host::monotonic_ns() - start_mono_ns);
    header.start_mono_ns = start_mono_ns;
}

/// Header of a session, as far as it is known before the session begins.
fn header(options: &TraceOptions, scope: Scope, targets: Vec<u32>) -> Header {
    Header {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: host::kernel(),
        arch: host::arch(),
        cpus: host::cpus(),
        clock: host::clock(),
        command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        targets,
        start_unix_ns: host::unix_ns(),
        start_mono_ns: host::monotonic_ns(),
        probes: chosen(options, scope).into_iter().map(str::to_owned).collect(),
        per_thread: options.threads,
    }
}
