//! One round of one variant.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use kernel::{
    target::{self, Held, Pinned},
    watch,
};
use model::{
    frame::Frame,
    probes::ProbeSet,
    session::{Header, Session},
};
use probes::source::{
    host,
    live::{Live, Target},
};
use views::{
    compare::{
        self, Measure, Sample, Selection,
        json::{Section, Unit},
    },
    export::json::Export,
};

use super::{
    BenchError, anatomy,
    process::Workload,
    said::Said,
    suite::{Job, Suite},
    truth::{self, Outcome},
    wall::Wall,
};
use crate::session::{self, Ending, Request, Scope, Sink, kernel_setup};

/// Tracing of a round, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing<'a> {
    /// With these probes.
    Probes(&'a [String]),
    /// Not at all.
    Off,
}

/// Adds up what a session sees.
struct Sum(Session);

impl Sink for Sum {
    fn take(&mut self, frame: Frame) -> Result<(), String> {
        self.0.add(&frame);
        Ok(())
    }
}

/// Runs a round; `None` when it was interrupted.
pub async fn play(job: &Job, tracing: Tracing<'_>) -> Result<Option<Sample>, BenchError> {
    match job.suite {
        Some(suite) => play_suite(job, suite, tracing).await,
        None => play_command(job, tracing).await,
    }
}

async fn play_suite(job: &Job, suite: Suite, tracing: Tracing<'_>) -> Result<Option<Sample>, BenchError> {
    let failed = |cause: String| program_error(job, cause);
    let mut workload = Workload::start(&job.command).map_err(failed)?;
    let start_unix_ns = host::unix_ns();
    let told = |error: std::io::Error| failed(error.to_string());
    let (session, ended, (wall, begun)) = match tracing {
        Tracing::Off => {
            let pinned = Pinned::process(workload.pid())?;
            let (wall, begun) = (Wall::of(&pinned).map_err(told)?, Instant::now());
            workload.go().map_err(failed)?;
            (None, until_gone(&pinned).await?, (wall, begun))
        }
        Tracing::Probes(probes) => {
            let family = target::family(workload.pid());
            let pinned: Vec<Pinned> = family.into_iter().map(Pinned::process).collect::<Result<_, _>>()?;
            let targets: Vec<&Pinned> = pinned.iter().collect();
            let (live, header) = load(probes, &targets, false)?;
            let (wall, begun) = (Wall::of(&Pinned::process(workload.pid())?).map_err(told)?, Instant::now());
            workload.go().map_err(failed)?;
            let (session, ended) = trace(live, header, None).await?;
            (Some(session), ended, (wall, begun))
        }
    };
    if !ended {
        workload.stop();
    }
    let (status, output) = workload.finish().map_err(failed)?;
    if !ended {
        return Ok(None);
    }
    let wall_ns = wall.since(begun).map_err(told)?.as_nanos() as u64;
    if !status.success() {
        return Err(failed(format!("it ended with {status}{}", workload.complaint())));
    }
    let truth = truth::read(&output).map_err(failed)?;
    let mut outcome = suite.outcome(&truth);
    if let (Suite::Ipc, Some(session)) = (suite, &session) {
        outcome.measures.extend(anatomy::measures(&truth, &Export::from(session)));
    }
    let sample = Sample { start_unix_ns, wall_ns, status: code(status), ..Sample::default() };
    Ok(Some(assemble(sample, outcome, session.as_ref(), job.by_name).map_err(failed)?))
}

async fn play_command(job: &Job, tracing: Tracing<'_>) -> Result<Option<Sample>, BenchError> {
    let failed = |cause: String| program_error(job, cause);
    let told = |error: std::io::Error| failed(error.to_string());
    let mut errors = Said::create().map_err(told)?;
    let mut held = Held::start_into(&job.command, Stdio::null(), errors.stdio().map_err(told)?)?;
    let start_unix_ns = host::unix_ns();
    let wall = Wall::of(held.pinned()).map_err(told)?;
    let (session, ended) = match tracing {
        Tracing::Off => {
            held.release();
            (None, until_gone(held.pinned()).await?)
        }
        Tracing::Probes(probes) => {
            let (live, header) = load(probes, &[held.pinned()], true)?;
            let (session, ended) = trace(live, header, Some(&mut held)).await?;
            (Some(session), ended)
        }
    };
    if !ended {
        held.signal(rustix::process::Signal::TERM);
    }
    let status = held.wait().map_err(told)?;
    let (true, Some(begun)) = (ended, held.released()) else { return Ok(None) };
    let wall_ns = wall.since(begun).map_err(told)?.as_nanos() as u64;
    if !status.success() && !job.may_fail {
        return Err(failed(format!("it ended with {status}{}", errors.complaint())));
    }
    let mut outcome = Outcome::default();
    let wall = Measure::exact("wall", "wall-clock time", Section::Throughput, wall_ns as f64);
    outcome.measures.push(wall.in_unit(Unit::Ns));
    let sample = Sample { start_unix_ns, wall_ns, status: code(status), ..Sample::default() };
    Ok(Some(assemble(sample, outcome, session.as_ref(), job.by_name).map_err(failed)?))
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

fn program_error(job: &Job, cause: String) -> BenchError {
    let command: Vec<_> = job.command.iter().map(|word| word.to_string_lossy()).collect();
    BenchError::Program { label: job.label.clone(), cause, command: command.join(" ") }
}

/// Loads the kernel side. Frames are only added up, so what they are called is of no interest.
fn load(probes: &[String], targets: &[&Pinned], held: bool) -> Result<(Live, Header), BenchError> {
    let request = Request {
        scope: Scope::Children,
        per_thread: false,
        probes: probes.to_vec(),
        // Walking stacks is dearer than what is measured here.
        stacks: false,
        limits: Vec::new(),
        debug: false,
    };
    let setup = kernel_setup(&request, targets).map_err(BenchError::Setup)?;
    let chosen: Vec<Target<'_>> = targets.iter().map(|pinned| Target { pinned, held }).collect();
    let live = Live::start(&setup, &chosen)?;
    let header = Header {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        arch: host::arch(),
        targets: targets.iter().map(|pinned| pinned.pid).collect(),
        start_mono_ns: live.start_ns(),
        probes: ProbeSet::chosen(probes).names().into_iter().map(str::to_owned).collect(),
        ..Header::default()
    };
    Ok((live, header))
}

/// Runs the session; whether it came to its end.
async fn trace(live: Live, header: Header, held: Option<&mut Held>) -> Result<(Session, bool), BenchError> {
    let second = Duration::from_secs(1);
    let plan = session::Plan { duration: None, interval: second, longest: second };
    let mut sum = Sum(Session::new(header));
    let ending = session::run(live, plan, held, None, &mut sum).await?;
    sum.0.finished = true;
    Ok((sum.0, ending != Ending::Interrupted))
}

/// Waits for the end of a process; whether it came before an interrupt did.
async fn until_gone(pinned: &Pinned) -> Result<bool, BenchError> {
    let gone = watch(pinned.descriptor()).map_err(BenchError::Events)?;
    tokio::select! {
        _ = gone.readable() => Ok(true),
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| false).map_err(BenchError::Events),
    }
}

fn assemble(
    sample: Sample,
    outcome: Outcome,
    session: Option<&Session>,
    by_name: bool,
) -> Result<Sample, String> {
    let Outcome { per, mut measures, mut distributions, notes } = outcome;
    let mut sample = Sample { notes, ..sample };
    if let Some(session) = session {
        let export = Export::from(session);
        let of = |selection: Selection<'_>| {
            compare::measures(&export, selection).map_err(|error| error.to_string())
        };
        let (traced, theirs) = of(Selection { per, ..Selection::default() })?;
        // Where the program and the tracer both know a number, the program's own is first and stays.
        let known = |key: &str, measures: &[Measure]| measures.iter().any(|measure| measure.key == key);
        for measure in traced {
            if !known(&measure.key, &measures) {
                measures.push(measure);
            }
        }
        distributions.extend(theirs);
        let comms = export.processes.iter().filter(|_| by_name).map(|process| &process.comm);
        for comm in comms.collect::<BTreeSet<&String>>() {
            let (comms, prefix) = (std::slice::from_ref(comm), format!("{comm}:"));
            let (of_name, theirs) =
                of(Selection { comms: Some(comms), prefix: &prefix, per, ..Selection::default() })?;
            measures.extend(of_name);
            distributions.extend(theirs);
        }
        sample.ledger = Some(session.ledger.clone());
        sample.tracer_cpu_percent = export.overhead.cpu_percent;
        sample.notes.extend(session.notes.iter().cloned());
    }
    Ok(Sample { measures, distributions, ..sample })
}
