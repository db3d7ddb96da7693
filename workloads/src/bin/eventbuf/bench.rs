//! One round of one case: threads that live through a warm-up, a pass for throughput, and one for latency.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{Handshake, Warmup, cannot, now_ns, stop, stopping};
use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::packed::{
    EVENTS_WRAP, EventBuffer, Exchange, Locked, Order, Packed, Standard, Tally,
};
use pulse_trace_workloads::sys::perf::{Counters, Counts};

use crate::args::{self, Cas, Implementation, Options};
use crate::case::Case;
use crate::nodes;
use crate::worker::{Shared, Worker, number};

/// Offers each thread makes before anything is measured, unless told otherwise.
const WARM_UP: u64 = 20_000;
/// The pass for latency has this share of the events.
pub const LATENCY_SHARE: u64 = 4;

/// Results of one round.
#[derive(Debug)]
pub struct Round {
    /// Events offered, all passes together.
    pub offered: u64,
    pub tally: Tally,
    /// Events still waiting at the end, and the sum of the event counts of all endpoints.
    pub left: u64,
    pub counted: u64,
    pub sums_agree: bool,
    /// Of the throughput pass: events accepted, compare-and-swaps, locks.
    pub pass: Tally,
    pub elapsed_ns: u64,
    pub latency: LatencyHist,
    pub counts: Counts,
    /// Bytes of an endpoint's state as laid out, and cache lines of an operation on it.
    pub footprint: (usize, usize),
    pub nodes: usize,
}

/// Results of one thread.
struct Done {
    tally: Tally,
    pass: Tally,
    offered: u64,
    sum_in: u64,
    sum_out: u64,
    start_ns: u64,
    end_ns: u64,
    latency: LatencyHist,
    counts: Counts,
}

pub fn run(case: &Case, options: &Options, handshake: &mut Handshake) -> Result<Round> {
    let arrangement = case.arrangement(options);
    match (case.implementation, case.cas) {
        (Implementation::Standard, _) => with(|| Standard::new(arrangement), case, options, handshake),
        (Implementation::Locked, _) => with(|| Locked::new(arrangement), case, options, handshake),
        (Implementation::Packed, cas) => {
            let exchange = if cas == Some(Cas::Strong) { Exchange::Strong } else { Exchange::Weak };
            let order = if case.order == Some(args::Order::SeqCst) { Order::SeqCst } else { Order::AcqRel };
            with(|| Packed::new(arrangement, exchange, order), case, options, handshake)
        }
    }
}

fn with<B: EventBuffer + Send>(
    make: impl Fn() -> B + Sync,
    case: &Case,
    options: &Options,
    handshake: &mut Handshake,
) -> Result<Round> {
    let cpus = if options.numa { nodes::cpus() } else { vec![None] };
    let buffers = nodes::on_each(&cpus, make);
    let (shared, gate) = (Shared::default(), Barrier::new(case.threads as usize + 1));
    let done: Vec<Done> = thread::scope(|scope| {
        let threads: Vec<_> = (0..case.threads)
            .map(|id| {
                let (cpus, buffers, shared, gate) = (&cpus, &buffers, &shared, &gate);
                scope.spawn(move || {
                    // Refused at the start of the program, if at all.
                    let _ = options.common.pin.as_ref().map(|list| list.pin(id as usize));
                    let buffer = &buffers[nodes::here(cpus).min(buffers.len() - 1)];
                    thread(Worker::new(buffer, case, options, shared, id), case, options, gate, id)
                })
            })
            .collect();
        gate.wait();
        // Everybody is warm and waits for the gate: the first time, this is where the tracer is told.
        let go = handshake.ready_then_go();
        if !matches!(go, Ok(true)) {
            stop();
        }
        gate.wait();
        gate.wait();
        let joined = threads.into_iter().map(|thread| {
            thread.join().map_err(|_| cannot("run a thread", "it panicked", "report it").into())
        });
        let done = joined.collect::<Result<Vec<Done>>>();
        go?;
        done
    })?;
    Ok(add_up(&buffers, options, &done))
}

/// Passes the gate before each pass, together with the main thread.
fn thread<B: EventBuffer>(
    mut worker: Worker<'_, B>,
    case: &Case,
    options: &Options,
    gate: &Barrier,
    id: u32,
) -> Done {
    let mut latency = LatencyHist::new();
    warm_up(&mut worker, options.common.warmup);
    gate.wait();
    gate.wait();
    let (before, counters, start_ns) = (worker.tally, Counters::start(), now_ns());
    if !stopping() {
        worker.offer::<false>(case.share(options.events, id), &mut latency);
    }
    let (end_ns, counts, pass) = (now_ns(), counters.read(), worker.tally.since(&before));
    gate.wait();
    if !stopping() {
        worker.offer::<true>(case.share(options.events.div_ceil(LATENCY_SHARE), id), &mut latency);
    }
    let Worker { tally, offered, sum_in, sum_out, .. } = worker;
    Done { tally, pass, offered, sum_in, sum_out, start_ns, end_ns, latency, counts }
}

fn warm_up<B: EventBuffer>(worker: &mut Worker<'_, B>, warmup: Option<Warmup>) {
    let mut unused = LatencyHist::new();
    match warmup {
        None => worker.offer::<false>(WARM_UP, &mut unused),
        Some(Warmup::Operations(offers)) => worker.offer::<false>(offers, &mut unused),
        Some(Warmup::Time(time)) => {
            let until = Instant::now() + time.min(Duration::from_secs(3600));
            while Instant::now() < until && !stopping() {
                worker.offer::<false>(1000, &mut unused);
            }
        }
    }
}

fn add_up<B: EventBuffer>(buffers: &[B], options: &Options, done: &[Done]) -> Round {
    let (mut tally, mut pass, mut latency) = (Tally::default(), Tally::default(), LatencyHist::new());
    for one in done {
        tally.add(&one.tally);
        pass.add(&one.pass);
        latency.merge(&one.latency);
    }
    let (mut left, mut counted) = (0, 0);
    let mut rest = done.iter().fold(0u64, |sum, one| sum.wrapping_add(one.sum_out));
    for buffer in buffers {
        for endpoint in 0..options.endpoints as usize {
            let fields = buffer.snapshot(endpoint);
            left += u64::from(fields.fill);
            counted += u64::from(fields.events);
            let mut sink = |payload| rest = rest.wrapping_add(number(payload));
            buffer.drain(endpoint, u16::MAX, &mut Tally::default(), &mut sink);
        }
    }
    let sum_in = done.iter().fold(0u64, |sum, one| sum.wrapping_add(one.sum_in));
    let counts = done.iter().skip(1).fold(done[0].counts, |sum, one| sum.plus(&one.counts));
    let start = done.iter().map(|one| one.start_ns).min().unwrap_or(0);
    let end = done.iter().map(|one| one.end_ns).max().unwrap_or(0);
    Round {
        offered: done.iter().map(|one| one.offered).sum(),
        tally,
        left,
        counted,
        sums_agree: rest == sum_in,
        pass,
        elapsed_ns: end.saturating_sub(start),
        latency,
        counts,
        footprint: buffers[0].footprint(),
        nodes: buffers.len(),
    }
}

impl Round {
    /// Every event offered has one outcome, every accepted one is counted by its endpoint and either waits or was taken
    /// out, once; with a store the payloads prove it.
    pub fn holds(&self, case: &Case) -> bool {
        let Tally { accepted, full, open, drained, cas_attempts, cas_successes, .. } = self.tally;
        accepted + full + open == self.offered
            && accepted == drained + self.left
            && accepted % EVENTS_WRAP == self.counted % EVENTS_WRAP
            && cas_successes <= cas_attempts
            && (case.store == crate::args::Switch::Off || self.sums_agree)
    }
}
