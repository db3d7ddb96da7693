//! `logagg producer`: composes messages on a schedule and sends them.

mod delivery;
mod on_threads;
mod on_tokio;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::Result;
use pulse_trace_workloads::contract::{
    Handshake, Refusal, Truth, cannot, cpu_ns, name_this_process, now_ns, stopping, tie_to_parent,
};
use pulse_trace_workloads::hist::LatencyHist;
use rustix::net::sockopt::socket_error;
use serde::{Deserialize, Serialize};

use super::message::Composer;
use super::options::{LinkArgs, ProducerArgs, warmup};
use super::pace::Pace;
use super::report;
use super::stages::Sending;
use super::transport::{Outlet, Role};
use delivery::{Delivery, Step};

/// Time between two attempts to find a missing aggregator.
const RETRY: Duration = Duration::from_millis(20);

/// A producer's record of its own work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Number of the producer (`--id`).
    pub producer: u32,
    /// Process id of the producer.
    pub pid: u32,
    /// Messages it was asked to send.
    pub planned: u64,
    /// Messages the link took.
    pub sent: u64,
    /// Messages thrown away because the link was full.
    pub dropped: u64,
    /// Bytes the link took, warm-up apart.
    pub bytes: u64,
    /// Successful send calls, warm-up included.
    pub writes: u64,
    /// Times the link was full.
    pub full: u64,
    /// Times a datagram was refused because no receiver was there.
    pub refused: u64,
    /// Times the connection had to be made anew.
    pub reconnects: u64,
    /// Warm-up messages the link took.
    pub warmups: u64,
    /// From the first moment of the schedule to the end of the last send.
    pub elapsed_ns: u64,
    /// CPU time of the process since the go.
    pub cpu_ns: u64,
    /// Time in the send call, waiting for room included.
    pub send: LatencyHist,
    /// Delay of the composing of messages against the schedule; empty when flooding.
    pub lag: LatencyHist,
    /// Reason for an early end.
    pub error: Option<String>,
    /// Every send, where they were to be noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sendings: Vec<Sending>,
}

/// One producer with everything it needs; the two runtimes drive it.
struct Producer {
    link: LinkArgs,
    address: String,
    drop_when_full: bool,
    batch: u64,
    planned: u64,
    interval: Option<Duration>,
    jitter: u8,
    seed: u64,
    warmups: u64,
    composer: Composer,
    delivery: Delivery,
    buffer: Vec<u8>,
    handshake: Handshake,
    cpu_at_go: u64,
    sent: Sent,
}

/// Runs the subcommand; answers whether everything planned was sent or dropped on purpose.
pub fn run(args: &ProducerArgs) -> Result<bool> {
    name_this_process("logagg-producer");
    if let Some(parent) = args.parent {
        tie_to_parent(parent);
    }
    args.load.check(&args.link, args.producers)?;
    if let Some(cpus) = &args.common.pin {
        cpus.pin(0)?;
    }
    let producer = Producer::new(args)?;
    let mut producer = if args.link.blocking { on_threads::run(producer)? } else { on_tokio::run(producer)? };
    producer.sent.cpu_ns = cpu_ns() - producer.cpu_at_go;
    let sent = producer.sent;
    // A stop cuts the plan short, and that is no fault.
    let holds = sent.error.is_none() && (stopping() || sent.sent + sent.dropped == sent.planned);
    // On standard output are the messages themselves when that is the pipe.
    let on_stderr = args.link.address(Role::Producer) == "fd:1";
    let error = sent.error.clone();
    let truth = Truth::new("logagg-producer", args.link.variant.name(), holds, sent);
    report::producer(&truth, args.common.json, on_stderr)?;
    match error {
        Some(cause) => {
            let remedy = format!(
                "start `logagg aggregator --variant {}`, or give more --patience",
                args.link.variant.name()
            );
            Err(cannot("send every message", cause, remedy).into())
        }
        None => Ok(holds),
    }
}

impl Producer {
    fn new(args: &ProducerArgs) -> Result<Self> {
        let (link, load) = (args.link.clone(), &args.load);
        Ok(Self {
            address: link.address(Role::Producer),
            drop_when_full: load.drop_when_full,
            batch: load.batch,
            planned: load.messages,
            interval: load.interval(),
            jitter: load.jitter,
            // Producers that share a seed must not share their jitter.
            seed: args.common.seed.wrapping_add(u64::from(args.id)),
            warmups: warmup(&args.common)?,
            composer: Composer::new(args.id, load.messages, load.size),
            delivery: Delivery::new(link.patience, load.drop_when_full, link.variant.lossy()),
            buffer: Vec::new(),
            handshake: Handshake::new(&args.common)?,
            cpu_at_go: 0,
            sent: Sent {
                producer: args.id,
                pid: std::process::id(),
                planned: load.messages,
                ..Sent::default()
            },
            link,
        })
    }

    /// Says ready and waits; false when a stop came first.
    fn wait_for_go(&mut self) -> Result<bool, Refusal> {
        let go = self.handshake.ready_then_go();
        self.cpu_at_go = cpu_ns();
        go
    }

    /// Opens the link once.
    fn connect(&self) -> io::Result<Outlet> {
        self.link.variant.connect(&self.address, &self.link.tuning(self.sent.producer, self.drop_when_full))
    }

    /// The schedule, beginning now.
    fn pace(&self) -> Pace {
        Pace::new(now_ns(), self.interval, self.jitter, self.seed)
    }

    /// Appends message `seq` to the write in the making.
    fn compose(&mut self, seq: u64, due_ns: Option<u64>) {
        let now = now_ns();
        if let Some(due) = due_ns {
            self.sent.lag.record(now.saturating_sub(due));
        }
        self.composer.line(&mut self.buffer, seq, now);
    }

    /// True when the write in the making is full, or its last message in.
    fn is_ready(&self, seq: u64) -> bool {
        (seq + 1).is_multiple_of(self.batch) || seq + 1 == self.planned
    }

    /// Sends what is left of the write once.
    fn attempt(&mut self, send: impl FnOnce(&[u8]) -> io::Result<usize>) -> Step {
        self.delivery.attempt(send, &self.buffer, &mut self.sent)
    }

    /// Books a write that is on its way.
    fn book(&mut self, messages: u64, begun_ns: u64) {
        let now = now_ns();
        self.sent.send.record(now - begun_ns);
        if self.link.stages {
            self.sent.sendings.push((begun_ns, now));
        }
        self.sent.sent += messages;
        self.sent.bytes += self.buffer.len() as u64;
    }

    /// Before a new connection: what is left begins with a whole line again.
    fn keep_whole_lines(&mut self) {
        self.delivery.whole_lines(&self.buffer);
    }

    /// Books the part of a batch that went before the link failed.
    fn book_part(&mut self) {
        let lines = self.delivery.whole_lines(&self.buffer);
        self.sent.sent += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.sent.bytes += lines.len() as u64;
    }

    /// A datagram into nowhere is told by the next one; ask for what the last one has still to tell.
    fn conclude(&mut self, fd: Option<BorrowedFd>) {
        let pending = || fd.is_some_and(|fd| socket_error(fd).is_ok_and(|outcome| outcome.is_err()));
        if self.link.variant.lossy() && self.sent.error.is_none() && (self.delivery.in_trouble() || pending())
        {
            self.sent.error = Some("no process receives there".to_owned());
        }
    }
}

/// Error for a missing aggregator that was waited for in vain.
fn missing(address: &str, error: &io::Error, link: &LinkArgs) -> anyhow::Error {
    let remedy =
        format!("start `logagg aggregator --variant {}` first, or give more --patience", link.variant.name());
    cannot(format_args!("reach an aggregator at {address}"), error, remedy).into()
}
