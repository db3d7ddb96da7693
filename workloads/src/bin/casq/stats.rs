//! From rounds to results: one per case.

use pulse_trace_workloads::hist::LatencyHist;
use pulse_trace_workloads::sys::perf::Counts;
use serde::Serialize;

use crate::args::{Log, Options, Pause, Queue};
use crate::case::Case;
use crate::check::Books;
use crate::produce::Produced;
use crate::round::Round;
use pulse_trace_workloads::timer::Timer;

/// The figures of a table row.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p9999: Option<f64>,
    pub max: Option<f64>,
}

impl Summary {
    /// In units of the clock (`scale` 1) or in nanoseconds.
    pub fn of(hist: &LatencyHist, scale: f64) -> Self {
        let quantile = |q| hist.quantile(q).map(|value| value as f64 * scale);
        Self {
            mean: hist.mean().map(|mean| mean * scale),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p9999: quantile(0.9999),
            max: hist.max().map(|max| max as f64 * scale),
        }
    }
}

/// One producer over all rounds.
#[derive(Debug, Serialize)]
pub struct OneProducer {
    pub id: u32,
    pub measured: u64,
    pub service: Summary,
    pub push: Summary,
}

/// One case over all its rounds.
#[derive(Debug, Serialize)]
pub struct Run {
    pub queue: Queue,
    pub producers: u32,
    pub log: Log,
    /// `processes` or `threads`.
    pub mode: &'static str,
    pub rounds: u32,
    pub slots: u64,
    pub usable: u64,
    pub size: u64,
    pub batch: u32,
    pub rate: Option<u64>,
    pub pause: Pause,
    pub holds: bool,
    #[serde(flatten)]
    pub books: Books,
    /// Measured messages, and those of the warm-up.
    pub measured: u64,
    pub warmup: u64,
    /// Pushes that waited for room, tries that found none, and the time it took.
    pub waited: u64,
    pub full: u64,
    pub wait_ns: f64,
    /// Times left out because the clock went backwards between two CPUs.
    pub backwards: u64,
    /// Measured part of each round, from the first start to the last end of a producer.
    pub elapsed_ns: Vec<u64>,
    /// Each round with the writing of the samples, which the counters have, too.
    pub whole_ns: Vec<u64>,
    /// Task clock of the producers by that time, all rounds together.
    pub cpus_utilised: Option<f64>,
    /// Median over the rounds.
    pub messages_per_second: f64,
    /// The successful try alone, in units of the clock; per push, that is per batch.
    #[serde(serialize_with = "LatencyHist::serialize_cycles")]
    pub service: LatencyHist,
    /// From the moment each push was due.
    #[serde(serialize_with = "LatencyHist::serialize_cycles")]
    pub push: LatencyHist,
    pub service_ns: Summary,
    pub push_ns: Summary,
    pub per_producer: Vec<OneProducer>,
    pub producer_counts: Counts,
    pub consumer_counts: Counts,
}

impl Run {
    pub fn of(case: &Case, options: &Options, timer: &Timer, rounds: &[Round], holds: bool) -> Self {
        let geometry = case.geometry(options);
        let all: Vec<&Produced> = rounds.iter().flat_map(|round| round.produced.iter().flatten()).collect();
        let sum = |field: fn(&Produced) -> u64| all.iter().map(|one| field(one)).sum::<u64>();
        let (service, push) = (merged(&all, |one| &one.service), merged(&all, |one| &one.push));
        let whole_ns: Vec<u64> = rounds.iter().map(|round| until(round, |one| one.written_ns)).collect();
        let mut books = Books::default();
        rounds.iter().for_each(|round| books.add(&Books::of(round)));
        Self {
            queue: case.queue,
            producers: case.producers,
            log: case.log,
            mode: if case.in_threads(options) { "threads" } else { "processes" },
            rounds: rounds.len() as u32,
            slots: geometry.slots,
            usable: geometry.usable(),
            size: options.size,
            batch: options.batch,
            rate: options.rate,
            pause: options.pause,
            holds,
            books,
            measured: sum(|one| one.measured),
            warmup: sum(|one| one.warmup),
            waited: sum(|one| one.waited),
            full: sum(|one| one.full),
            wait_ns: timer.ns(sum(|one| one.wait)),
            backwards: sum(|one| one.backwards),
            elapsed_ns: rounds.iter().map(|round| until(round, |one| one.end_ns)).collect(),
            cpus_utilised: utilised(counts(all.iter().map(|one| one.counts)), &whole_ns),
            whole_ns,
            messages_per_second: median(rounds.iter().map(rate).collect()),
            service_ns: Summary::of(&service, timer.ns_per_unit),
            push_ns: Summary::of(&push, timer.ns_per_unit),
            service,
            push,
            per_producer: (0..case.producers).map(|id| one_producer(id, &all)).collect(),
            producer_counts: counts(all.iter().map(|one| one.counts)),
            consumer_counts: counts(rounds.iter().map(|round| round.received.counts)),
        }
    }
}

fn one_producer(id: u32, all: &[&Produced]) -> OneProducer {
    let mine: Vec<&Produced> = all.iter().copied().filter(|one| one.id == id).collect();
    OneProducer {
        id,
        measured: mine.iter().map(|one| one.measured).sum(),
        service: Summary::of(&merged(&mine, |one| &one.service), 1.0),
        push: Summary::of(&merged(&mine, |one| &one.push), 1.0),
    }
}

fn merged(all: &[&Produced], hist: fn(&Produced) -> &LatencyHist) -> LatencyHist {
    all.iter().fold(LatencyHist::new(), |mut sum, one| {
        sum.merge(hist(one));
        sum
    })
}

fn counts(mut each: impl Iterator<Item = Counts>) -> Counts {
    let first = each.next().unwrap_or_default();
    each.fold(first, |sum, one| sum.plus(&one))
}

/// From the first start of a producer to the last of these ends.
fn until(round: &Round, end: fn(&Produced) -> u64) -> u64 {
    let all = || round.produced.iter().flatten();
    let (start, end) = (all().map(|one| one.start_ns).min(), all().map(end).max());
    end.unwrap_or(0).saturating_sub(start.unwrap_or(0))
}

fn utilised(counts: Counts, whole_ns: &[u64]) -> Option<f64> {
    let whole: u64 = whole_ns.iter().sum();
    counts.task_clock_ns.filter(|_| whole > 0).map(|clock| clock as f64 / whole as f64)
}

fn rate(round: &Round) -> f64 {
    let measured: u64 = round.produced.iter().flatten().map(|one| one.measured).sum();
    measured as f64 * 1e9 / until(round, |one| one.end_ns).max(1) as f64
}

pub fn median(mut values: Vec<f64>) -> f64 {
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
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn a_task_clock_is_held_against_the_whole_time() {
        let busy = Counts { task_clock_ns: Some(300), ..Counts::default() };
        assert_eq!((utilised(busy, &[100, 50]), utilised(busy, &[0])), (Some(2.0), None));
        assert_eq!(utilised(Counts::default(), &[100]), None);
    }

    #[test]
    fn an_unknown_count_stays_unknown() {
        let known = Counts { page_faults: Some(2), ..Counts::default() };
        assert_eq!(counts([known, known].into_iter()).page_faults, Some(4));
        assert_eq!(counts([known, known].into_iter()).cycles, None);
    }
}
