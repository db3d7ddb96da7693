//! The event loop of a session.

use std::{
    io,
    ops::ControlFlow,
    os::fd::{BorrowedFd, OwnedFd},
    sync::mpsc::Sender,
    time::Duration,
};

use kernel::{target::Held, watch};
use model::{frame::Frame, glance::Glance};
use probes::source::{host, live::Live};
use rustix::process::Signal;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal as Signals, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
    time::{Instant, interval_at, sleep_until},
};

use super::{
    harvest::Harvest,
    looks::Looks,
    rhythm::{Rhythm, Turn, ticks},
};

/// Duration of a session and length of its frames.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Its longest duration; without one it ends with its targets or by a signal.
    pub duration: Option<Duration>,
    /// Length of a frame.
    pub interval: Duration,
    /// Length to which it may grow while a dashboard is open, where shorter frames would cost too much.
    pub longest: Duration,
}

/// Request to a running session.
#[derive(Clone, Debug)]
pub enum Control {
    /// End the session.
    Stop,
    /// End a frame now.
    Frame,
    /// Change the length of a frame.
    Interval(Duration),
    /// Switch a probe on or off, and say whether that is done.
    Probe {
        /// Name of the probe.
        name: String,
        /// True to switch it on.
        on: bool,
        /// Hears about it.
        answer: Sender<Answer>,
    },
}

/// Result of switching a probe: its name, and whether it is on now or why it cannot be.
pub type Answer = (String, Result<bool, String>);

/// Reason for which a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its time was over.
    Duration,
    /// No target was left.
    TargetsGone,
    /// A signal or the user interrupted it.
    Interrupted,
}

/// Reason for the failure of a session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The event loop cannot work.
    #[error("cannot wait for events: {0}; see whether the limit of open files is reached (`ulimit -n`)")]
    Events(#[source] io::Error),
    /// A sink cannot take a frame.
    #[error("{0}")]
    Sink(String),
}

/// Takes the frames of a session.
pub trait Sink {
    /// Takes one frame.
    ///
    /// # Errors
    /// A sentence, when the frame cannot be kept; the session ends then.
    fn take(&mut self, frame: Frame) -> Result<(), String>;

    /// Takes what has happened since the last frame, which the next one will have too.
    fn glance(&mut self, _glance: Glance) {}
}

/// Length of the stretches in which the programs' own cost is measured: one at the start of each second.
const COST_SAMPLE: Duration = Duration::from_millis(100);
const COST_PERIOD: Duration = Duration::from_secs(1);

/// Time between looks at the cost of probes in the targets' code.
const WATCH: Duration = Duration::from_millis(25);

/// Signals that end a session.
struct Stops {
    interrupt: Signals,
    terminate: Signals,
    hangup: Signals,
}

impl Stops {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }
}

/// Runs a session to its end. A held command is released once everything is in place.
///
/// # Errors
/// When events cannot be waited for or a sink fails.
pub async fn run(
    mut live: Live,
    plan: Plan,
    mut command: Option<&mut Held>,
    mut controls: Option<UnboundedReceiver<Control>>,
    sink: &mut dyn Sink,
) -> Result<Ending, SessionError> {
    let finished = awaited(live.finished_fd())?;
    let mut stops = Stops::listen().map_err(SessionError::Events)?;
    let now = Instant::now();
    // A session's time is counted from when it began, as everything in it.
    let begin = now.checked_sub(live.age()).unwrap_or(now);
    let end = plan.duration.map(|duration| begin + duration);
    let mut frames = Rhythm::new(plan.interval, controls.as_ref().map(|_| plan.longest));
    let mut sampling = interval_at(now + COST_PERIOD, COST_PERIOD);
    let mut sample_end = Some(now + COST_SAMPLE);
    let mut harvest = Harvest::default();
    let mut watching = ticks(WATCH);
    let mut looks = Looks::begin();
    live.measure_costs(true);
    let gone = command.as_ref().map(|command| awaited(command.pinned().descriptor())).transpose()?;
    if let Some(command) = &command {
        command.release();
    }
    let ending = loop {
        tokio::select! {
            stop = stops.next() => {
                pass_on(stop, command.as_mut());
                break Ending::Interrupted;
            }
            () = at(end) => break Ending::Duration,
            control = asked(&mut controls) => {
                if obey(control, &mut live, &mut frames, plan.longest, sink)?.is_break() {
                    break Ending::Interrupted;
                }
            }
            _ = frames.tick() => {
                read(&mut live, frames.turn(host::own_cpu_ns()), sink)?;
                if live.is_over() {
                    break Ending::TargetsGone;
                }
            }
            _ = watching.tick(), if live.is_probing() => live.watch(),
            () = looks.due(), if live.has_mutexes() => looks.look(&mut live),
            _ = sampling.tick() => {
                live.measure_costs(true);
                sample_end = Some(Instant::now() + COST_SAMPLE);
            }
            () = at(sample_end) => {
                live.measure_costs(false);
                sample_end = None;
            }
            called = harvest.next(&finished, live.is_probing()) => {
                harvest.turn(called.map_err(SessionError::Events)?, &mut live);
                if live.is_over() {
                    break Ending::TargetsGone;
                }
            }
            // A command's session ends with the command, even if processes of it still run.
            () = readable(gone.as_ref()) => break Ending::TargetsGone,
        }
    };
    sink.take(live.finish()).map_err(SessionError::Sink)?;
    Ok(ending)
}

/// Does what is asked of a session, unless that is to end.
fn obey(
    control: Control,
    live: &mut Live,
    frames: &mut Rhythm,
    longest: Duration,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>, SessionError> {
    match control {
        Control::Stop => return Ok(ControlFlow::Break(())),
        Control::Frame => read(live, frames.cut(), sink)?,
        Control::Interval(interval) => *frames = Rhythm::new(interval, Some(longest)),
        Control::Probe { name, on, answer } => {
            switch(live, name, on, &answer, sink)?;
            // What that cost is no part of a reading.
            frames.cut();
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Reads what a turn is for.
fn read(live: &mut Live, turn: Turn, sink: &mut dyn Sink) -> Result<(), SessionError> {
    match turn {
        Turn::Frame => sink.take(live.frame()).map_err(SessionError::Sink),
        Turn::Glance => {
            if let Some(glance) = live.calls_since() {
                sink.glance(glance);
            }
            Ok(())
        }
    }
}

/// Switches a probe; a frame ends there, so that what comes before and what comes after are apart.
fn switch(
    live: &mut Live,
    name: String,
    on: bool,
    answer: &Sender<Answer>,
    sink: &mut dyn Sink,
) -> Result<(), SessionError> {
    let done = live.switch(&name, on).map(|()| on);
    // The dashboard that asked may be gone.
    let _ = answer.send((name, done));
    sink.take(live.frame()).map_err(SessionError::Sink)
}

/// The terminal has interrupted the command too; other signals are passed on.
fn pass_on(stop: Signal, command: Option<&mut &mut Held>) {
    if let Some(command) = command.filter(|_| stop != Signal::INT) {
        command.signal(stop);
    }
}

fn awaited(descriptor: BorrowedFd<'_>) -> Result<AsyncFd<OwnedFd>, SessionError> {
    watch(descriptor).map_err(SessionError::Events)
}

async fn readable(descriptor: Option<&AsyncFd<OwnedFd>>) {
    match descriptor {
        Some(descriptor) => drop(descriptor.readable().await),
        None => std::future::pending().await,
    }
}

async fn asked(controls: &mut Option<UnboundedReceiver<Control>>) -> Control {
    match controls {
        Some(receiver) => match receiver.recv().await {
            Some(control) => control,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
