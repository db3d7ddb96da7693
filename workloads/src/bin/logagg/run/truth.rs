//! The fate of every message, from the reports of all processes.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;

use pulse_trace_workloads::hist::LatencyHist;
use serde::Serialize;

use super::super::ledger::Seen;
use super::super::options::RunArgs;
use super::super::producer::Sent;
use super::super::stages::{Sending, Stages};
use super::round::Round;

/// The family's own part of the truth.
#[derive(Debug, Default, Serialize)]
pub struct RunTruth {
    /// `tokio` or `blocking`.
    pub runtime: &'static str,
    /// Producers per round.
    pub producers: u64,
    /// Messages planned per producer.
    pub messages: u64,
    /// Payload bytes of a message.
    pub size: usize,
    /// Messages per write.
    pub batch: u64,
    /// Messages per second and producer; null when flooding.
    pub rate: Option<f64>,
    /// Seed of the jitter.
    pub seed: u64,
    /// The sums over all rounds.
    #[serde(flatten)]
    pub sums: Sums,
    /// The producers of a round took longer than `--timeout` and were stopped.
    pub timed_out: bool,
    /// Time of the messages by stage, with `--stages`; null where that was not noted.
    pub stages: Option<Stages>,
    /// The aggregator's process in each round.
    pub aggregators: Vec<u32>,
    /// Each round for itself.
    pub rounds: Vec<RoundTruth>,
    /// Each producer process.
    pub processes: Vec<ProcessTruth>,
}

/// Sums over all rounds.
#[derive(Debug, Default, Serialize)]
pub struct Sums {
    /// Messages asked for.
    pub planned: u64,
    /// Messages the link took. Of a producer that was killed: those that arrived, since no more is known.
    pub sent: u64,
    /// Distinct messages received.
    pub received: u64,
    /// Sent and not received.
    pub lost: u64,
    /// Thrown away by their producer because the link was full.
    pub dropped: u64,
    /// Messages received again.
    pub duplicated: u64,
    /// Overtaken by a later message of their producer.
    pub reordered: u64,
    /// Lines that are no messages.
    pub malformed: u64,
    /// Messages with another payload than was sent.
    pub corrupt: u64,
    /// Lines cut off in their middle.
    pub truncated: u64,
    /// Datagrams the kernel says it threw away (udp), warm-up included.
    pub kernel_drops: Option<u64>,
    /// Producers that ended without a word.
    pub producers_killed: u64,
    /// Warm-up messages sent.
    pub warmups_sent: u64,
    /// Warm-up messages received.
    pub warmups_received: u64,
    /// Bytes sent, warm-up apart.
    pub bytes_sent: u64,
    /// Bytes received, warm-up apart.
    pub bytes_received: u64,
    /// Successful send calls, warm-up included.
    pub writes: u64,
    /// Successful receive calls, warm-up included.
    pub reads: u64,
    /// Times a send found the link full.
    pub full: u64,
    /// Times a datagram was refused because no receiver was there.
    pub refused: u64,
    /// Times the connection had to be made anew.
    pub reconnects: u64,
    /// From the producer's intent to the aggregator's return from its read.
    pub latency: LatencyHist,
    /// Time in the send call, waiting for room included.
    pub send: LatencyHist,
    /// Delay of the composing of messages against the schedule.
    pub lag: LatencyHist,
    /// From the first message's intent to the last arrival.
    pub elapsed_ns: u64,
    /// Received per second of that.
    pub throughput_per_s: f64,
    /// Bytes received per second of that.
    pub bytes_per_s: f64,
    /// CPU time of all producers, from the go on.
    pub producers_cpu_ns: u64,
    /// CPU time of the aggregator, from ready on.
    pub aggregator_cpu_ns: u64,
}

/// Results of one round.
#[derive(Debug, Serialize)]
pub struct RoundTruth {
    /// Messages received.
    pub received: u64,
    /// Sent and not received.
    pub lost: u64,
    /// From the first message's intent to the last arrival.
    pub elapsed_ns: u64,
    /// Received per second of that.
    pub throughput_per_s: f64,
    /// Median end-to-end latency.
    pub p50_ns: Option<u64>,
    /// 99th percentile of the end-to-end latency.
    pub p99_ns: Option<u64>,
}

/// One producer process.
#[derive(Debug, Serialize)]
pub struct ProcessTruth {
    /// Round, from zero.
    pub round: usize,
    /// Number of the producer (`--id`).
    pub producer: u32,
    /// Process id of the producer.
    pub pid: u32,
    /// `done`, `exit N` or `signal N`.
    pub outcome: String,
    /// Messages the link took; null when it was killed before it could tell.
    pub sent: Option<u64>,
    /// Messages it dropped.
    pub dropped: Option<u64>,
    /// Distinct messages received from it.
    pub received: u64,
    /// Sent and not received.
    pub lost: Option<u64>,
    /// Messages received again.
    pub duplicated: u64,
    /// Overtaken by a later one.
    pub reordered: u64,
    /// Reason for an early end.
    pub error: Option<String>,
}

impl RunTruth {
    /// Nothing done yet.
    pub fn new(args: &RunArgs) -> Self {
        Self {
            runtime: args.link.runtime(),
            producers: args.producers,
            messages: args.load.messages,
            size: args.load.size,
            batch: args.load.batch,
            rate: (!args.load.flood).then_some(args.load.rate),
            seed: args.common.seed,
            ..Self::default()
        }
    }

    /// Adds what a round brought.
    pub fn add(&mut self, round: Round) {
        self.timed_out |= round.timed_out;
        self.aggregators.push(round.aggregator.pid);
        self.add_stages(&round);
        let nth = self.rounds.len();
        let got = &round.aggregator.received;
        let mut seen: HashMap<u32, &Seen> = got.producers.iter().map(|seen| (seen.pid, seen)).collect();
        let mut lost = 0;
        for (id, (pid, status, sent)) in (0..).zip(&round.producers) {
            let process = ProcessTruth::new(nth, id, *pid, *status, sent.as_ref(), seen.remove(pid));
            lost += process.lost.unwrap_or(0);
            self.sums.add_producer(self.messages, sent.as_ref(), &process);
            self.processes.push(process);
        }
        self.sums.lost += lost;
        let elapsed_ns = self.sums.add_aggregator(&round);
        self.rounds.push(RoundTruth {
            received: got.messages(),
            lost,
            elapsed_ns,
            throughput_per_s: per_second(got.messages(), elapsed_ns),
            p50_ns: got.latency.quantile(0.5),
            p99_ns: got.latency.quantile(0.99),
        });
    }

    fn add_stages(&mut self, round: &Round) {
        let Some(noted) = &round.aggregator.received.noted else { return };
        let sent = round.producers.iter().filter_map(|(_, _, sent)| sent.as_ref());
        // Only a producer that dropped nothing has its sends by sequence.
        let whole = sent.filter(|sent| sent.dropped == 0 && sent.sendings.len() as u64 == sent.sent);
        let sendings: HashMap<u32, &[Sending]> =
            whole.map(|sent| (sent.producer, sent.sendings.as_slice())).collect();
        self.stages.get_or_insert_default().add(noted, &sendings);
    }

    /// True when every message is accounted for: sent once, received once, whole and in order. Only a lossy variant may
    /// lose, and only a stop may cut the plan short.
    pub fn holds(&self, lossy: bool, interrupted: bool) -> bool {
        let sums = &self.sums;
        let whole = sums.duplicated + sums.malformed + sums.corrupt + sums.truncated + sums.reconnects == 0;
        let arrived = lossy || sums.lost + sums.reordered == 0;
        let complete = interrupted || sums.sent + sums.dropped == sums.planned;
        whole && arrived && complete && self.processes.iter().all(|process| process.outcome == "done")
    }
}

impl Sums {
    fn add_producer(&mut self, planned: u64, sent: Option<&Sent>, process: &ProcessTruth) {
        self.planned += planned;
        self.duplicated += process.duplicated;
        self.reordered += process.reordered;
        self.received += process.received;
        let Some(sent) = sent else {
            self.producers_killed += 1;
            self.sent += process.received;
            return;
        };
        self.sent += sent.sent;
        self.dropped += sent.dropped;
        self.warmups_sent += sent.warmups;
        self.bytes_sent += sent.bytes;
        self.writes += sent.writes;
        self.full += sent.full;
        self.refused += sent.refused;
        self.reconnects += sent.reconnects;
        self.producers_cpu_ns += sent.cpu_ns;
        self.send.merge(&sent.send);
        self.lag.merge(&sent.lag);
    }

    fn add_aggregator(&mut self, round: &Round) -> u64 {
        let (got, aggregator) = (&round.aggregator.received, &round.aggregator);
        self.malformed += got.malformed;
        self.corrupt += got.corrupt;
        self.truncated += got.truncated;
        self.warmups_received += got.warmups;
        self.bytes_received += got.bytes;
        self.reads += got.reads;
        self.latency.merge(&got.latency);
        self.aggregator_cpu_ns += aggregator.cpu_ns;
        if let Some(drops) = aggregator.kernel_drops {
            *self.kernel_drops.get_or_insert(0) += drops;
        }
        let elapsed = match (got.first_sent_ns, got.last_received_ns) {
            (Some(first), Some(last)) => last.saturating_sub(first),
            _ => 0,
        };
        self.elapsed_ns += elapsed;
        self.throughput_per_s = per_second(self.received, self.elapsed_ns);
        self.bytes_per_s = per_second(self.bytes_received, self.elapsed_ns);
        elapsed
    }
}

impl ProcessTruth {
    fn new(
        round: usize,
        producer: u32,
        pid: u32,
        status: std::process::ExitStatus,
        sent: Option<&Sent>,
        seen: Option<&Seen>,
    ) -> Self {
        let received = seen.map_or(0, |seen| seen.received);
        let outcome = match (status.code(), status.signal()) {
            (Some(0), _) => "done".to_owned(),
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        Self {
            round,
            producer,
            pid,
            outcome,
            sent: sent.map(|sent| sent.sent),
            dropped: sent.map(|sent| sent.dropped),
            received,
            lost: sent.map(|sent| sent.sent.saturating_sub(received)),
            duplicated: seen.map_or(0, |seen| seen.duplicated),
            reordered: seen.map_or(0, |seen| seen.reordered),
            error: sent.and_then(|sent| sent.error.clone()),
        }
    }
}

fn per_second(count: u64, ns: u64) -> f64 {
    if ns == 0 { 0.0 } else { count as f64 / (ns as f64 / 1e9) }
}
