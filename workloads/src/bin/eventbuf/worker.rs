//! One thread: offers events to the endpoints in turn, and takes as many out.

use std::sync::atomic::{AtomicU64, Ordering};

use pulse_trace_workloads::contract::{now_ns, stopping};
use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::packed::{Event, EventBuffer, PAYLOAD, Tally};
use pulse_trace_workloads::sys::tsc;

use crate::args::{Options, Stats, Switch};
use crate::case::Case;

/// Text that every payload begins with; a number follows that makes it unique.
const TEXT: &[u8; 7] = b"event: ";
const LENGTH: usize = TEXT.len() + 8;

/// The shared counter of `--stats relaxed|seqcst`, on a line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Shared(pub AtomicU64);

pub struct Worker<'a, B> {
    buffer: &'a B,
    case: &'a Case,
    shared: &'a Shared,
    drain_every: u32,
    id: u32,
    pub tally: Tally,
    /// Sums of the numbers of the payloads put in and taken out.
    pub sum_in: u64,
    pub sum_out: u64,
    pub offered: u64,
    endpoint: u32,
    /// Endpoint that events are taken out of next.
    cursor: u32,
    since_drain: u32,
    tick: u16,
    number: u64,
}

impl<'a, B: EventBuffer> Worker<'a, B> {
    pub fn new(buffer: &'a B, case: &'a Case, options: &Options, shared: &'a Shared, id: u32) -> Self {
        // The threads start at different endpoints, so that they do not go round in step.
        let endpoint = (u64::from(id) * u64::from(case.active) / u64::from(case.threads)) as u32;
        Self {
            buffer,
            case,
            shared,
            drain_every: options.drain_every,
            id,
            tally: Tally::default(),
            sum_in: 0,
            sum_out: 0,
            offered: 0,
            endpoint,
            cursor: endpoint,
            since_drain: 0,
            tick: tick(),
            number: 0,
        }
    }

    /// Makes so many offers; `TIMED` puts the time of each into the histogram, in units of the processor's clock.
    pub fn offer<const TIMED: bool>(&mut self, offers: u64, times: &mut LatencyHist) {
        let mut events = Vec::with_capacity(self.case.batch as usize);
        for _ in 0..offers {
            let first = self.number;
            self.number += u64::from(self.case.batch);
            events.clear();
            events.extend((first..self.number).map(|number| self.event(number)));
            let endpoint = self.next_endpoint();
            let begin = if TIMED { tsc::begin() } else { 0 };
            let accepted = self.buffer.enqueue(endpoint, &events, &mut self.tally);
            self.count_shared(accepted);
            if TIMED {
                // Zero for one that went backwards between two CPUs.
                times.record(tsc::end().saturating_sub(begin));
            }
            self.offered += events.len() as u64;
            for number in first..first + accepted as u64 {
                self.sum_in = self.sum_in.wrapping_add(self.tag(number));
            }
            if !self.drain_when_due(self.case.batch) {
                break;
            }
        }
    }

    #[inline]
    fn event(&self, number: u64) -> Event {
        let mut payload = [0; LENGTH];
        payload[..TEXT.len()].copy_from_slice(TEXT);
        payload[TEXT.len()..].copy_from_slice(&self.tag(number).to_le_bytes());
        Event::new(&payload, (number & 3) as u8, self.tick)
    }

    #[inline]
    fn tag(&self, number: u64) -> u64 {
        u64::from(self.id) << 40 | number
    }

    #[inline]
    fn next_endpoint(&mut self) -> usize {
        let endpoint = self.endpoint;
        self.endpoint = if endpoint + 1 == self.case.active { 0 } else { endpoint + 1 };
        if self.case.prefetch == Switch::On {
            self.buffer.prefetch(self.endpoint as usize);
        }
        endpoint as usize
    }

    #[inline]
    fn count_shared(&self, accepted: usize) {
        let order = match self.case.stats {
            Stats::Local => return,
            Stats::Relaxed => Ordering::Relaxed,
            Stats::Seqcst => Ordering::SeqCst,
        };
        self.shared.0.fetch_add(accepted as u64, order);
    }

    /// Takes out of the next endpoint what was put in since; false when a stop was asked for.
    #[inline]
    fn drain_when_due(&mut self, offered: u32) -> bool {
        self.since_drain += offered;
        if self.since_drain < self.drain_every {
            return true;
        }
        let most = self.since_drain as u16;
        self.since_drain = 0;
        let mut sum = self.sum_out;
        self.buffer.drain(self.cursor as usize, most, &mut self.tally, &mut |payload| {
            sum = sum.wrapping_add(number(payload))
        });
        self.sum_out = sum;
        self.cursor = if self.cursor + 1 == self.case.active { 0 } else { self.cursor + 1 };
        self.tick = tick();
        !stopping()
    }
}

/// The number in a payload.
pub fn number(payload: [u8; PAYLOAD]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&payload[TEXT.len()..LENGTH]);
    u64::from_le_bytes(bytes)
}

fn tick() -> u16 {
    (now_ns() / 1_000_000) as u16
}
