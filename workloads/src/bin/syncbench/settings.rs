//! Meaning of the arguments, and the benchmarks that they choose.

use std::time::Duration;

use pulse_trace_workloads::contract::{Refusal, Warmup, cannot};
use pulse_trace_workloads::patterns::{ALL, Pattern, Setup};
use serde::{Deserialize, Serialize};

use crate::cli::Args;

/// Settings of the measurement: times, samples, rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Time to warm up each benchmark for, unless operations are given.
    pub warmup_ns: u64,
    /// Operations to warm up each benchmark with, instead of a time.
    pub warmup_operations: Option<u64>,
    /// Time to measure each benchmark for.
    pub measure_ns: u64,
    /// Samples that time is divided into.
    pub samples: u32,
    /// Repetitions of the whole, interleaved.
    pub rounds: u32,
    /// Bootstrap resamples behind each interval.
    pub resamples: u32,
    /// Confidence of the intervals, 0 to 1.
    pub confidence: f64,
    /// Operations of every lap with fixed work.
    pub total_steps: u64,
    /// Arithmetic inside the locks.
    pub work_inside: u32,
    /// Arithmetic between acquisitions.
    pub work_between: u32,
    /// CPUs pinned to.
    pub pin: Option<String>,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// True for a first look.
    pub quick: bool,
    /// Each lap has one of the baseline beside it.
    #[serde(default)]
    pub baseline_here: bool,
    /// Operations done on top of those counted, percent.
    #[serde(default)]
    pub injected_percent: u32,
}

impl Settings {
    /// The defaults, or what was asked for.
    pub fn of(args: &Args) -> Self {
        let quick = args.quick;
        let pick = |usual: u64, hasty: u64| if quick { hasty } else { usual };
        let measure = args.measure.map_or(Duration::from_millis(pick(5_000, 60)), |span| span.0);
        let (warmup, warmup_operations) = match args.common.warmup {
            Some(Warmup::Operations(operations)) => (Duration::ZERO, Some(operations)),
            Some(Warmup::Time(time)) => (time, None),
            None => (Duration::from_millis(pick(1_000, 20)), None),
        };
        Self {
            warmup_ns: pulse_trace_workloads::patterns::nanos(warmup),
            warmup_operations,
            measure_ns: pulse_trace_workloads::patterns::nanos(measure),
            samples: args.samples.unwrap_or(pick(100, 20) as u32),
            rounds: args.common.rounds,
            resamples: pick(10_000, 1_000) as u32,
            confidence: f64::from(args.confidence) / 100.0,
            total_steps: args.total_steps.unwrap_or(pick(2_000_000, 40_000)),
            work_inside: args.work_inside,
            work_between: args.work_between,
            pin: args.common.pin.as_ref().map(ToString::to_string),
            seed: args.common.seed,
            quick,
            baseline_here: args.baseline_here,
            injected_percent: args.inject,
        }
    }

    /// Time that one sample is to take.
    pub fn sample_ns(&self) -> u64 {
        (self.measure_ns / u64::from(self.samples)).max(1)
    }

    /// Settings that make results incomparable when they differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let mut found = Vec::new();
        let mut look = |name, same: bool| {
            if !same {
                found.push(name);
            }
        };
        look("--pin", self.pin == other.pin);
        look("--work-inside", self.work_inside == other.work_inside);
        look("--work-between", self.work_between == other.work_between);
        look("--total-steps", self.total_steps == other.total_steps);
        look("--measure or --samples", self.sample_ns() == other.sample_ns());
        found
    }
}

/// Settings of the patterns.
pub fn setup(args: &Args) -> Setup {
    Setup { pin: args.common.pin.clone(), work_inside: args.work_inside, work_between: args.work_between }
}

/// The benchmarks with these names. A name that is no benchmark's whole name chooses those that contain it.
pub fn chosen(names: &[String]) -> Result<Vec<Pattern>, Refusal> {
    if let Some(stranger) =
        names.iter().find(|name| !ALL.iter().any(|pattern| pattern.name.contains(name.as_str())))
    {
        return Err(cannot(
            format_args!("measure `{stranger}`"),
            "no benchmark has that in its name",
            "`syncbench --list` shows their names",
        ));
    }
    let whole = |name: &str| ALL.iter().any(|pattern| pattern.name == name);
    let meant =
        |name: &String, pattern: &str| pattern == name || !whole(name) && pattern.contains(name.as_str());
    let wanted = |pattern: &&Pattern| names.is_empty() || names.iter().any(|name| meant(name, pattern.name));
    Ok(ALL.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settings(line: &[&str]) -> Settings {
        Settings::of(&Args::try_parse_from([&["syncbench"], line].concat()).unwrap())
    }

    #[test]
    fn the_defaults_are_the_rigour_asked_for() {
        let usual = settings(&[]);
        assert_eq!((usual.warmup_ns, usual.measure_ns, usual.samples), (1_000_000_000, 5_000_000_000, 100));
        assert_eq!(usual.sample_ns(), 50_000_000);
        let hasty = settings(&["--quick"]);
        assert!(hasty.warmup_ns + hasty.measure_ns < 200_000_000);
    }

    #[test]
    fn what_is_typed_wins() {
        let typed = settings(&["--quick", "--measure", "2s", "--samples", "50", "--warmup", "7"]);
        assert_eq!((typed.measure_ns, typed.samples), (2_000_000_000, 50));
        assert_eq!((typed.warmup_ns, typed.warmup_operations), (0, Some(7)));
    }

    #[test]
    fn names_choose_and_strangers_are_refused() {
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
        let some = chosen(&["mutex/std".to_owned(), "epoch".to_owned()]).unwrap();
        assert!(some.len() > 2 && some.iter().all(|p| p.name == "mutex/std" || p.name.contains("epoch")));
        let alone = chosen(&["mutex/parking-lot".to_owned()]).unwrap();
        assert_eq!(alone.iter().map(|pattern| pattern.name).collect::<Vec<_>>(), ["mutex/parking-lot"]);
        let refusal = chosen(&["epoch".to_owned(), "nonsense".to_owned()]).unwrap_err().to_string();
        assert!(refusal.contains("cannot measure `nonsense`"), "{refusal}");
    }

    #[test]
    fn settings_that_forbid_a_comparison_are_named() {
        assert!(settings(&[]).differences(&settings(&["--rounds", "3"])).is_empty());
        let pinned = settings(&["--pin", "0", "--work-inside", "5"]);
        assert_eq!(settings(&[]).differences(&pinned), ["--pin", "--work-inside"]);
    }
}
