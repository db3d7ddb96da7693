//! Both sides of one cell, from their start to their reports. However one of them ends, this ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::{Handshake, Refusal, cannot, stopping};

use crate::args::Args;
use crate::plan::{Plan, Role};
use crate::report::Report;
use crate::side::{Said, Side};

/// Time between two looks of a wait at the stop flag.
const LOOK: Duration = Duration::from_millis(50);
/// Time that a side has to end of its own will, once it was asked to: it may be blocked in the lock of a dead one.
const GRACE: Duration = Duration::from_secs(1);

/// When to ask once more.
const SECOND_REQUEST: Duration = Duration::from_millis(200);

/// Result of a pair.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The server's truth.
    pub server: Option<Report>,
    /// The client's truth.
    pub client: Option<Report>,
    /// Reason why it is not the whole truth.
    pub failure: Option<anyhow::Error>,
}

/// Two running sides.
#[derive(Debug)]
pub struct Pair {
    server: Side,
    client: Side,
    events: Receiver<(Role, Said)>,
    outcome: Outcome,
    /// Sides that have not fallen silent yet.
    speaking: Vec<Role>,
}

/// Reason for a pair that ends before its work is done.
enum End {
    /// A stop was asked for.
    Asked,
    /// A side fell silent without a report.
    Lost,
    /// A side gave up, and says why.
    Early(Role, String),
    /// A side or the tracer refused.
    Refused(String),
}

impl Pair {
    /// Starts both sides.
    pub fn start(plan: &Plan, args: &Args) -> Result<Self, Refusal> {
        let (voice, events) = channel();
        let server = Side::start(Role::Server, plan, args, voice.clone())?;
        let client = Side::start(Role::Client, plan, args, voice)?;
        let speaking = vec![Role::Server, Role::Client];
        Ok(Self { server, client, events, outcome: Outcome::default(), speaking })
    }

    /// Lets them play, once the tracer (if there is one) says go; `tick` is called now and then meanwhile.
    pub fn play(mut self, handshake: &mut Handshake, tick: &mut dyn FnMut()) -> Outcome {
        if let Err(end) = self.played(handshake, tick) {
            self.wind_up(end);
        }
        self.outcome
    }

    fn played(&mut self, handshake: &mut Handshake, tick: &mut dyn FnMut()) -> Result<(), End> {
        let mut ready = 0;
        while ready < 2 {
            ready += usize::from(matches!(self.hear(tick)?, Said::Ready));
        }
        if !handshake.ready_then_go().map_err(|refusal| End::Refused(refusal.to_string()))? {
            return Err(End::Asked);
        }
        // The client starts the clock: the server must be in its loop by then.
        self.server.tell("go");
        while !matches!(self.hear(tick)?, Said::Started) {}
        self.client.tell("go");
        while self.outcome.server.is_none() || self.outcome.client.is_none() {
            self.hear(tick)?;
        }
        Ok(())
    }

    /// The next thing said; reports are put away on the spot.
    fn hear(&mut self, tick: &mut dyn FnMut()) -> Result<Said, End> {
        loop {
            if stopping() {
                return Err(End::Asked);
            }
            match self.events.recv_timeout(LOOK) {
                Ok((role, said)) => {
                    if let Some(said) = self.take(role, said)? {
                        return Ok(said);
                    }
                }
                Err(RecvTimeoutError::Timeout) => tick(),
                Err(RecvTimeoutError::Disconnected) => return Err(End::Asked),
            }
        }
    }

    /// Notes a report or a silence; returns the news for the caller, if there is any.
    fn take(&mut self, role: Role, said: Said) -> Result<Option<Said>, End> {
        match said {
            Said::Report(report) => {
                let early = report.stopped.clone();
                *self.report(role) = Some(*report);
                match early {
                    Some(_) if stopping() => Err(End::Asked),
                    Some(reason) => Err(End::Early(role, reason)),
                    // Put away: the caller looks whether both are in.
                    None => Ok(Some(Said::Silence)),
                }
            }
            Said::Silence => {
                self.speaking.retain(|other| *other != role);
                // With its report in, it may go.
                if self.report(role).is_some() { Ok(None) } else { Err(End::Lost) }
            }
            Said::Refused(reason) => Err(End::Refused(reason)),
            Said::Ready | Said::Started => Ok(Some(said)),
        }
    }

    fn report(&mut self, role: Role) -> &mut Option<Report> {
        match role {
            Role::Server => &mut self.outcome.server,
            Role::Client => &mut self.outcome.client,
        }
    }

    /// Asks both sides to end, collects what they still report, ends those that cannot, and says what happened.
    fn wind_up(&mut self, end: End) {
        self.server.ask_to_stop();
        self.client.ask_to_stop();
        self.last_words(SECOND_REQUEST);
        if !self.speaking.is_empty() {
            // The first signal may have come just before it went to sleep in a lock of ours; this one wakes it.
            self.server.wake();
            self.client.wake();
            self.last_words(GRACE);
        }
        self.outcome.failure = match end {
            End::Asked => None,
            End::Refused(reason) => Some(anyhow::Error::msg(reason)),
            End::Lost => Some(unfinished(&self.fates())),
            End::Early(role, reason) => {
                let fates = self.fates();
                let gave_up = format!("the {} gave up, because {reason}", role.name());
                Some(unfinished(if fates.is_empty() { &gave_up } else { &fates }))
            }
        };
    }

    /// Collects what is still said, until both are silent or the time is over.
    fn last_words(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while !self.speaking.is_empty() {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((role, Said::Report(report))) => *self.report(role) = Some(*report),
                Ok((role, Said::Silence)) => self.speaking.retain(|other| *other != role),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Describes the end of both sides, where not of their own will. A stuck side has no other way to end than this.
    fn fates(&mut self) -> String {
        let stuck = &self.speaking;
        let fate = |side: &mut Side| {
            let (name, pid) = (side.role.name(), side.pid());
            if stuck.contains(&side.role) {
                side.kill();
                return Some(format!(
                    "the {name} (process {pid}) was blocked in its lock and had to be killed"
                ));
            }
            side.fate().map(|fate| format!("the {name} (process {pid}) {fate}"))
        };
        [&mut self.server, &mut self.client].into_iter().filter_map(fate).collect::<Vec<_>>().join(", ")
    }
}

fn unfinished(cause: &str) -> anyhow::Error {
    let remedy = "run it again, with --mutex robust to survive the death of an owner, or a larger --timeout where the \
                  machine is slow";
    cannot("finish the ping-pong", cause, remedy).into()
}
