//! One benchmark, measured: set up afresh, warmed up, calibrated, sampled, and then looked at operation by operation.

use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::{Refusal, stopping};
use pulse_trace_workloads::patterns::{BATCH, Lap, Observed, Pattern, Run, Setup, nanos};

use crate::fairness::Fairness;
use crate::settings::Settings;
use crate::starved::{Spent, Stretch};
use crate::stats::median;

/// Operations that take less are not timed one by one: the clock costs as much as they do.
pub const TIMED_ALONE_FROM_NS: f64 = 50.0;
/// Share of the measuring time spent on looking at single operations afterwards.
const OBSERVED_SHARE: f64 = 0.05;
/// Most operations looked at singly.
const OBSERVED_MOST: u64 = 5_000_000;
/// Done in so many parts, between which it can be given up.
const OBSERVED_PARTS: u64 = 8;
/// A benchmark whose smallest lap is long is cut short when it has taken so many times its measuring time...
const PATIENCE: u64 = 4;
/// Laps that have one of the baseline beside them take twice the time, and their ratios need all of them.
const PATIENCE_OF_PAIRS: u64 = 32;
/// ...but not before it has so many samples.
const FEWEST_SAMPLES: usize = 10;

/// Operations done, by what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Operations {
    pub warmup: u64,
    pub measured: u64,
    pub observed: u64,
}

impl Operations {
    /// All of them.
    pub fn all(self) -> u64 {
        self.warmup + self.measured + self.observed
    }
}

/// Results of one round of one benchmark.
#[derive(Clone, Debug)]
pub struct Round {
    /// ns per operation, one value per lap.
    pub samples: Vec<f64>,
    /// The same of the baseline's lap beside each, where there is one.
    pub before: Vec<f64>,
    /// Operations of each lap.
    pub per_lap: u64,
    pub operations: Operations,
    /// Operations that the structure itself counted, where it can.
    pub counted: Option<u64>,
    /// Median over the laps of how much the parties were at it together.
    pub overlap: f64,
    /// Resources that the whole process used while it measured.
    pub spent: Spent,
    pub observed: Option<Observed>,
    pub fairness: Option<Fairness>,
}

impl Round {
    /// True when the structure counted every operation that was asked of it.
    pub fn holds(&self) -> bool {
        self.counted.is_none_or(|counted| counted == self.operations.all())
    }
}

/// Measures one benchmark once. `None` when a stop was asked for before there was anything to tell.
pub fn measure(pattern: &Pattern, setup: &Setup, settings: &Settings) -> Result<Option<Round>, Refusal> {
    let mut run = pattern.build(setup)?;
    let mut operations = Operations::default();
    let cost = warm_up(&mut *run, pattern, settings, &mut operations)?;
    let mut per_lap = operations_per_lap(pattern, settings, cost);
    let mut taken = Samples::default();
    let stretch = Stretch::begin();
    let patience = if settings.baseline_here { PATIENCE_OF_PAIRS } else { PATIENCE };
    let deadline = stretch.began() + Duration::from_nanos(settings.measure_ns.saturating_mul(patience));
    while taken.costs.len() < settings.samples as usize && !stopping() {
        let elapsed = taken.take(&mut *run, per_lap, settings)?;
        per_lap = shortened(pattern, settings, per_lap, elapsed);
        if taken.costs.len() >= FEWEST_SAMPLES && Instant::now() > deadline {
            break;
        }
    }
    if taken.costs.is_empty() {
        return Ok(None);
    }
    operations.measured = taken.operations;
    let spent = stretch.end(pattern.cpus(setup));
    let observed = observe(&mut *run, pattern, settings, median(&mut taken.costs.clone()))?;
    operations.observed = observed.as_ref().map_or(0, |seen| seen.operations);
    Ok(Some(Round {
        samples: taken.costs,
        before: taken.before,
        per_lap,
        operations,
        counted: run.counted(),
        overlap: median(&mut taken.overlaps),
        spent,
        observed,
        fairness: Fairness::of(&taken.races),
    }))
}

#[derive(Default)]
struct Samples {
    costs: Vec<f64>,
    before: Vec<f64>,
    overlaps: Vec<f64>,
    races: Vec<Lap>,
    operations: u64,
}

impl Samples {
    /// A lap, and one of the baseline before or after it in turn: a drift falls on both alike.
    fn take(&mut self, run: &mut dyn Run, per_lap: u64, settings: &Settings) -> Result<Duration, Refusal> {
        let baseline_first = self.costs.len().is_multiple_of(2);
        if settings.baseline_here && baseline_first {
            self.take_before(run, per_lap)?;
        }
        let done = with_injected(per_lap, settings);
        let lap = run.lap(done)?;
        self.add(&lap, cost(&lap) * done as f64 / per_lap as f64);
        if settings.baseline_here && !baseline_first {
            self.take_before(run, per_lap)?;
        }
        Ok(lap.elapsed)
    }

    fn take_before(&mut self, run: &mut dyn Run, per_lap: u64) -> Result<(), Refusal> {
        let lap = run.lap(per_lap)?;
        self.before.push(cost(&lap));
        self.operations += lap.operations;
        Ok(())
    }

    /// Keeps a lap, and the cost of each operation that counts.
    fn add(&mut self, lap: &Lap, cost: f64) {
        self.costs.push(cost);
        self.overlaps.push(lap.overlap());
        self.operations += lap.operations;
        if lap.longest_streak.is_some() {
            self.races.push(lap.clone());
        }
    }
}

/// Operations that a lap does, those that are injected among them.
fn with_injected(per_lap: u64, settings: &Settings) -> u64 {
    per_lap + (per_lap * u64::from(settings.injected_percent)).div_ceil(100)
}

/// ns per operation.
fn cost(lap: &Lap) -> f64 {
    nanos(lap.elapsed) as f64 / lap.operations.max(1) as f64
}

/// Runs laps of growing length for as long as asked; answers what an operation cost in the last one.
fn warm_up(
    run: &mut dyn Run,
    pattern: &Pattern,
    settings: &Settings,
    operations: &mut Operations,
) -> Result<f64, Refusal> {
    let began = Instant::now();
    let longest = Duration::from_nanos(settings.sample_ns());
    let mut length = pattern.least;
    loop {
        let lap = run.lap(length)?;
        operations.warmup += lap.operations;
        let cost = cost(&lap);
        let warm = match settings.warmup_operations {
            Some(enough) => operations.warmup >= enough,
            None => nanos(began.elapsed()) >= settings.warmup_ns,
        };
        // The first, short laps are dominated by the stamps; calibrating on them alone would be far off.
        let calibrated = lap.elapsed * 4 >= longest || length >= pattern.most;
        if (warm && calibrated) || stopping() {
            return Ok(cost.max(0.05));
        }
        if lap.elapsed < longest / 2 {
            length = length.saturating_mul(2).min(pattern.most);
        } else {
            length = shortened(pattern, settings, length, lap.elapsed);
        }
    }
}

fn operations_per_lap(pattern: &Pattern, settings: &Settings, cost: f64) -> u64 {
    let wanted =
        if pattern.fixed_work { settings.total_steps } else { (settings.sample_ns() as f64 / cost) as u64 };
    let most = pattern.most / (100 + u64::from(settings.injected_percent)).div_ceil(100);
    wanted.clamp(pattern.least, most.max(pattern.least))
}

/// Some locks have two gaits, one a hundred times slower than the other: a lap that was calibrated in the fast one
/// must not last minutes in the slow one.
fn shortened(pattern: &Pattern, settings: &Settings, per_lap: u64, took: Duration) -> u64 {
    let meant = Duration::from_nanos(settings.sample_ns());
    // Laps in pairs keep their length as long as they can: one that was interrupted says nothing about the next.
    let bearable = if settings.baseline_here { 100 } else { 4 };
    if pattern.fixed_work || took < meant * bearable {
        return per_lap;
    }
    ((per_lap as f64 * meant.as_secs_f64() / took.as_secs_f64()) as u64).clamp(pattern.least, per_lap)
}

/// A pass of its own, since timing single operations slows them and asking a lock first changes who gets it.
fn observe(
    run: &mut dyn Run,
    pattern: &Pattern,
    settings: &Settings,
    cost: f64,
) -> Result<Option<Observed>, Refusal> {
    if stopping() {
        return Ok(None);
    }
    let time = settings.measure_ns as f64 * OBSERVED_SHARE;
    let operations = ((time / cost) as u64).clamp(pattern.least, OBSERVED_MOST.min(pattern.most));
    let part = (operations / OBSERVED_PARTS).max(pattern.least);
    let (began, mut all) = (Instant::now(), Observed::default());
    while all.operations < operations {
        let Some(seen) = run.observe(part, observed_batch(cost))? else { return Ok(None) };
        all.merge(&seen);
        if stopping() || began.elapsed().as_nanos() as f64 > 2.0 * time {
            break;
        }
    }
    Ok(Some(all))
}

/// Operations timed together, so that what is recorded is the operation and not the clock.
pub fn observed_batch(cost: f64) -> u64 {
    if cost < TIMED_ALONE_FROM_NS { BATCH } else { 1 }
}

/// Cost of a look at the clock, and of a round of an empty loop: the floor under every result.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Floor {
    pub clock_ns: f64,
    pub loop_ns: f64,
}

impl Floor {
    /// Measures both costs now.
    pub fn measured() -> Self {
        const READS: u32 = 1_000;
        let mut clocks: Vec<f64> = (0..25)
            .map(|_| {
                let began = Instant::now();
                for _ in 0..READS {
                    std::hint::black_box(Instant::now());
                }
                nanos(began.elapsed()) as f64 / f64::from(READS)
            })
            .collect();
        let mut empty = pulse_trace_workloads::patterns::nothing();
        let mut loops: Vec<f64> =
            (0..25).filter_map(|_| empty.lap(100_000).ok()).map(|lap| cost(&lap)).collect();
        Self { clock_ns: median(&mut clocks), loop_ns: median(&mut loops) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pulse_trace_workloads::patterns::ALL;

    use super::*;
    use crate::cli::Args;

    fn quick() -> Settings {
        Settings::of(&Args::parse_from(["syncbench", "--quick", "--total-steps", "1000"]))
    }

    fn pattern(name: &str) -> Pattern {
        *ALL.iter().find(|pattern| pattern.name == name).unwrap()
    }

    #[test]
    fn a_measurement_has_its_samples_and_its_count_is_right() {
        for name in ["mutex/std", "contention/parking-lot-2", "channel/mpsc/crossbeam", "progressive/std-2"] {
            let round = measure(&pattern(name), &Setup::default(), &quick()).unwrap().unwrap();
            assert!(round.samples.len() >= FEWEST_SAMPLES, "{name}");
            assert!(round.samples.iter().all(|cost| *cost > 0.0), "{name}");
            assert!(round.holds() && round.counted.is_some(), "{name}: {round:?}");
            assert!(round.overlap > 0.0 && round.overlap <= 1.0, "{name}");
        }
    }

    #[test]
    fn what_is_injected_is_done_and_counted_and_in_the_cost() {
        let words = ["syncbench", "--quick", "--baseline-here", "--inject", "900"];
        let settings = Settings::of(&Args::parse_from(words));
        let round = measure(&pattern("mutex/std"), &Setup::default(), &settings).unwrap().unwrap();
        assert_eq!(round.samples.len(), round.before.len());
        assert!(round.holds(), "{:?} {:?}", round.counted, round.operations);
        assert!(round.operations.measured >= 11 * round.per_lap * round.samples.len() as u64);
        assert!(median(&mut round.samples.clone()) > median(&mut round.before.clone()));
    }

    #[test]
    fn fixed_work_is_fixed() {
        for name in ["progressive/fetch-add-1", "progressive/fetch-add-8"] {
            let round = measure(&pattern(name), &Setup::default(), &quick()).unwrap().unwrap();
            assert_eq!(round.per_lap, 1_000, "{name}");
            assert_eq!(round.operations.measured, 1_000 * round.samples.len() as u64, "{name}");
        }
    }

    #[test]
    fn a_lap_that_takes_far_too_long_is_the_last_of_its_length() {
        let (free, settings) = (pattern("fairness/std-8"), quick());
        let meant = Duration::from_nanos(settings.sample_ns());
        assert_eq!(shortened(&free, &settings, 1_000_000, meant * 2), 1_000_000);
        assert_eq!(shortened(&free, &settings, 1_000_000, meant * 100), 10_000);
        assert_eq!(shortened(&free, &settings, 10, meant * 100), free.least);
        let fixed = pattern("progressive/std-8");
        assert_eq!(shortened(&fixed, &settings, 1_000_000, meant * 100), 1_000_000);
    }

    #[test]
    fn cheap_operations_are_timed_in_batches() {
        assert_eq!(observed_batch(2.0), BATCH);
        assert_eq!(observed_batch(49.9), BATCH);
        assert_eq!(observed_batch(50.0), 1);
    }

    #[test]
    fn the_floor_is_lower_than_anything_measured_above_it() {
        let floor = Floor::measured();
        assert!(floor.clock_ns > 0.0 && floor.loop_ns >= 0.0);
    }
}
