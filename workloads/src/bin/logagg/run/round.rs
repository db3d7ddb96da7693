//! One round: an aggregator and its producers, from their start to the last word of each.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::clean::Removal;
use pulse_trace_workloads::contract::{Handshake, Progress, Refusal, cannot, stopping};
use pulse_trace_workloads::sys::signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::de::DeserializeOwned;

use super::super::aggregator::{AggregatorTruth, Listening};
use super::super::options::RunArgs;
use super::super::producer::Sent;
use super::super::transport::guard;
use super::arguments;
use super::child::{ControlFlag, Worker};

/// Time a process has to get ready, beside the producers' patience.
const SET_UP: Duration = Duration::from_secs(10);
/// Time a process has to report once it was told to end.
const WIND_UP: Duration = Duration::from_secs(15);
/// Time between two updates of the progress, on a terminal only.
const TICK: Duration = Duration::from_millis(200);

/// Results reported by the processes of a round.
#[derive(Debug)]
pub struct Round {
    /// The producers took longer than they were given.
    pub timed_out: bool,
    /// The aggregator's word.
    pub aggregator: AggregatorTruth,
    /// Each producer's process and how it ended, with its word unless it was killed.
    pub producers: Vec<(u32, ExitStatus, Option<Sent>)>,
}

/// Plays one round; `handshake` is asked before the first message. None when a stop came before it.
pub fn play(args: &RunArgs, handshake: &mut Handshake) -> Result<Option<Round>> {
    let setup = Setup::new(args).and_then(Setup::wait_ready);
    let Setup { mut aggregator, mut producers, name, .. } = match setup {
        Err(_) if stopping() => return Ok(None),
        setup => setup?,
    };
    // Everybody has it open: from here on not even SIGKILL leaves anything behind.
    drop(name);
    if !handshake.ready_then_go()? {
        return Ok(None);
    }
    for producer in &mut producers {
        // One that has just died cannot hear it; its end is reported below.
        let _ = producer.go();
    }
    let timed_out = watch(args, &mut aggregator, &mut producers);
    let mut words = Vec::new();
    for producer in &mut producers {
        let (status, text) = producer.finish(Instant::now() + WIND_UP)?;
        words.push((producer.pid(), status, word(&text)));
    }
    aggregator.close_control();
    let (status, text) = aggregator.finish(Instant::now() + WIND_UP)?;
    let aggregator = word(&text).ok_or_else(|| {
        let cause = format!("the aggregator ended with {status} and no report");
        cannot("count what was received", cause, "read what it says above, and run again")
    })?;
    Ok(Some(Round { timed_out, aggregator, producers: words }))
}

struct Setup {
    aggregator: Worker,
    producers: Vec<Worker>,
    name: Option<Removal>,
    deadline: Instant,
}

impl Setup {
    fn new(args: &RunArgs) -> Result<Self, Refusal> {
        let deadline = Instant::now() + SET_UP + args.link.patience;
        let private = args.link.variant.private_address();
        let name = guard(&private, args.link.variant.name());
        let pipe = (args.link.variant.name() == "pipe").then(anonymous_pipe).transpose()?;
        let (reading, writing) = match &pipe {
            Some((reading, writing)) => (Some(reading.as_fd()), Some(writing.as_fd())),
            None => (None, None),
        };
        let words = arguments::aggregator(args, &private, reading);
        let mut aggregator = Worker::start("the aggregator".to_owned(), words, ControlFlag::Stop, reading)?;
        let address = serde_json::from_str::<Listening>(&aggregator.first_line(deadline)?)
            .map_err(|error| cannot("understand the aggregator", error, "run one version of logagg only"))?
            .listening;
        let producers = (0..args.producers)
            .map(|id| {
                let words = arguments::producer(args, &address, id, writing);
                Worker::start(format!("producer {id}"), words, ControlFlag::Go, writing)
            })
            .collect::<Result<_, _>>()?;
        // Our own ends of the pipe close here: a reader must see the end, and a writer that there is no reader.
        Ok(Self { aggregator, producers, name, deadline })
    }

    fn wait_ready(mut self) -> Result<Self, Refusal> {
        for producer in &mut self.producers {
            producer.wait_ready(self.deadline)?;
        }
        self.aggregator.wait_ready(self.deadline)?;
        Ok(self)
    }
}

fn anonymous_pipe() -> Result<(OwnedFd, OwnedFd), Refusal> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|error| cannot("make a pipe", error, "look at `ulimit -n`"))
}

/// Waits until all producers have ended; a stop, a dead aggregator and the time-out make them end early. Answers
/// whether it was the time-out.
fn watch(args: &RunArgs, aggregator: &mut Worker, producers: &mut [Worker]) -> bool {
    let expected = args.load.interval().map(|interval| interval.mul_f64(args.load.messages as f64));
    let begun = Instant::now();
    let mut deadline = begun + args.timeout.unwrap_or_else(|| usual_timeout(args, expected));
    let mut progress = Progress::new();
    let (mut told, mut timed_out) = (false, false);
    while producers.iter_mut().any(|producer| !producer.has_ended()) {
        let late = Instant::now() >= deadline;
        if late && told {
            // They do not listen; `Worker::finish` kills them.
            break;
        }
        if !told && (late || stopping() || aggregator.has_ended()) {
            (told, timed_out) = (true, late);
            deadline = Instant::now() + WIND_UP;
            producers.iter().for_each(Worker::terminate);
        }
        match expected {
            Some(expected) => progress.show("ms", as_ms(begun.elapsed()), as_ms(expected)),
            None => progress.show("producers done", count_ended(producers), args.producers),
        }
        let tick = if progress.is_visible() { TICK } else { WIND_UP };
        let left = deadline.saturating_duration_since(Instant::now());
        sleep(aggregator, producers, told, left.min(tick));
    }
    timed_out
}

/// Sleeps until one of the processes ends, a stop is asked for (unless that is known), or the time is over.
fn sleep(aggregator: &Worker, producers: &mut [Worker], told: bool, time: Duration) {
    let mut fds: Vec<_> =
        producers.iter_mut().filter_map(|worker| (!worker.has_ended()).then(|| worker.pidfd())).collect();
    if !told {
        fds.push(aggregator.pidfd());
        fds.extend(signal::bell());
    }
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    // The caller checks every process, so the reason for the wake-up does not matter.
    let _ = poll(&mut polled, Some(&time));
}

/// The time that the load should take, and a minute; a flood is trusted with 5,000 messages a second.
fn usual_timeout(args: &RunArgs, expected: Option<Duration>) -> Duration {
    let flood = || Duration::from_secs(args.load.messages.saturating_mul(args.producers) / 5000);
    Duration::from_secs(60) + expected.unwrap_or_else(flood)
}

fn count_ended(producers: &mut [Worker]) -> u64 {
    producers.iter_mut().map(|producer| u64::from(producer.has_ended())).sum()
}

fn as_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The last line of a process, as the truth it is; none when it was killed before it could say it.
fn word<D: DeserializeOwned>(text: &str) -> Option<D> {
    serde_json::from_str(text.lines().last()?).ok()
}
