//! From rounds to results: one per case.

use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::packed::Tally;
use pulse_trace_workloads::sys::perf::Counts;
use pulse_trace_workloads::timer::Timer;
use serde::Serialize;

use crate::bench::Round;
use crate::case::Case;

/// Nanoseconds of an offer, the cost of the two clock readings included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LatencyNs {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// One case over all its rounds.
#[derive(Debug, Serialize)]
pub struct Run {
    #[serde(flatten)]
    pub case: Case,
    pub rounds: u32,
    pub nodes: usize,
    pub holds: bool,
    pub offered: u64,
    #[serde(flatten)]
    pub tally: Tally,
    /// Events still waiting at the end.
    pub left: u64,
    /// Accepted events of the throughput pass per second, of each round and their median.
    pub events_per_second: Vec<f64>,
    pub throughput: f64,
    /// Shares of the throughput pass.
    pub refused_share: f64,
    pub cas_success_rate: Option<f64>,
    pub lock_contended_share: Option<f64>,
    /// Of the latency pass, in units of the processor's clock.
    #[serde(serialize_with = "LatencyHist::serialize_cycles")]
    pub latency: LatencyHist,
    pub latency_ns: LatencyNs,
    pub bytes_per_endpoint: usize,
    pub cache_lines_per_operation: usize,
    /// CPU time of the throughput pass per accepted event: unlike its duration, hardly disturbed by other programs.
    pub cpu_ns_per_event: Option<f64>,
    /// Of the throughput pass.
    pub counts: Counts,
}

impl Run {
    pub fn of(case: &Case, timer: &Timer, rounds: &[Round]) -> Self {
        let (mut tally, mut pass, mut latency) = (Tally::default(), Tally::default(), LatencyHist::new());
        for round in rounds {
            tally.add(&round.tally);
            pass.add(&round.pass);
            latency.merge(&round.latency);
        }
        let rate = |round: &Round| round.pass.accepted as f64 * 1e9 / round.elapsed_ns.max(1) as f64;
        let events_per_second: Vec<f64> = rounds.iter().map(rate).collect();
        let ns = |q| latency.quantile(q).map_or(0.0, |units| timer.ns(units));
        let counts = rounds.iter().skip(1).fold(rounds[0].counts, |sum, round| sum.plus(&round.counts));
        let (bytes_per_endpoint, cache_lines_per_operation) = rounds[0].footprint;
        Self {
            case: *case,
            rounds: rounds.len() as u32,
            nodes: rounds[0].nodes,
            holds: rounds.iter().all(|round| round.holds(case)),
            offered: rounds.iter().map(|round| round.offered).sum(),
            tally,
            left: rounds.iter().map(|round| round.left).sum(),
            throughput: median(events_per_second.clone()),
            events_per_second,
            refused_share: share(pass.full + pass.open, pass.accepted + pass.full + pass.open).unwrap_or(0.0),
            cas_success_rate: share(pass.cas_successes, pass.cas_attempts),
            lock_contended_share: share(pass.contended, pass.locks),
            latency_ns: LatencyNs {
                p50: ns(0.5),
                p90: ns(0.9),
                p99: ns(0.99),
                p999: ns(0.999),
                max: ns(1.0),
            },
            latency,
            bytes_per_endpoint,
            cache_lines_per_operation,
            cpu_ns_per_event: counts.task_clock_ns.and_then(|ns| share(ns, pass.accepted)),
            counts,
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_medians() {
        assert_eq!((share(1, 4), share(0, 0)), (Some(0.25), None));
        assert_eq!((median(vec![9.0, 1.0, 2.0]), median(vec![1.0, 2.0])), (2.0, 1.5));
    }
}
