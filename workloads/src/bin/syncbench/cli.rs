//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use pulse_trace_workloads::contract::{CommonArgs, Warmup};

/// Measures the synchronisation patterns of Tokio, Crossbeam and parking_lot, each with its confidence interval,
/// against the published target and against an earlier run.
#[derive(Parser, Debug)]
#[command(name = "syncbench", version, after_help = EXIT_CODES)]
pub struct Args {
    /// Benchmarks of these names, or whose name contains one of these; all when none is given
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// List the benchmarks and what one operation of each is, and measure nothing
    #[arg(long)]
    pub list: bool,
    /// A fifth of a second for each benchmark, for a first look and for tests
    #[arg(long)]
    pub quick: bool,
    /// Time to measure each benchmark for, beside the warm-up [default: 5s; with --quick 60ms]
    #[arg(long, value_name = "TIME")]
    pub measure: Option<Span>,
    /// Samples to divide that time into [default: 100; with --quick 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub samples: Option<u32>,
    /// Confidence of the intervals, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 95, value_parser = clap::value_parser!(u8).range(50..=99))]
    pub confidence: u8,
    /// Operations of every lap of the `progressive` group [default: 2000000; with --quick 40000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..=100_000_000))]
    pub total_steps: Option<u64>,
    /// Units of arithmetic done while holding a lock, in `contention`, `progressive` and `fairness`
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub work_inside: u32,
    /// Units of arithmetic done between two acquisitions
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub work_between: u32,
    /// Compare with the run saved in this file
    #[arg(long, value_name = "FILE", help_heading = "Comparison")]
    pub baseline: Option<PathBuf>,
    /// Compare with a baseline of this very run: each lap has one of the baseline beside it
    #[arg(long, conflicts_with = "baseline", help_heading = "Comparison")]
    pub baseline_here: bool,
    /// Inject a regression: laps do so many percent more operations than are counted, those of the baseline do not
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "baseline_here",
          conflicts_with = "save_baseline", value_parser = clap::value_parser!(u32).range(..=1_000),
          help_heading = "Comparison")]
    pub inject: u32,
    /// Save this run to compare with later
    #[arg(long, value_name = "FILE", help_heading = "Comparison")]
    pub save_baseline: Option<PathBuf>,
    /// Changes up to so many percent are never called slower or faster
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(..=1_000),
        help_heading = "Comparison"
    )]
    pub noise: u32,
    #[command(flatten)]
    pub common: CommonArgs,
}

const EXIT_CODES: &str = "Exit status: 0 done; 1 something got slower than the baseline beyond noise, or a benchmark \
                          miscounted; 2 bad usage, a bad file, or a machine that refuses threads or CPUs.";

/// A length of time such as `250ms` or `5s`, at most an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Warmup::Time(time) if (Duration::from_millis(1)..=Duration::from_hours(1)).contains(&time) => {
                Ok(Self(time))
            }
            Warmup::Time(_) => Err(format!("`{text}` is not between 1ms and 3600s")),
            Warmup::Operations(_) => Err(format!("`{text}` has no unit; write `{text}ms` or `{text}s`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_and_a_bound() {
        assert_eq!("5s".parse(), Ok(Span(Duration::from_secs(5))));
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        for bad in ["5", "0s", "0ms", "1099511627776s", "3601s", "-1s", "fast"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
